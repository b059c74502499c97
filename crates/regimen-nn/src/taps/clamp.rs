//! Putting something else in the place of an activation.

use burn::{Bool, IndexingUpdateOp, Int, Tensor, TensorData};
use regimen_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Said;

/// Replaces part of an activation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Clamp {
    /// Where.
    pub site: String,
    /// Which part of it; all by default.
    #[serde(default)]
    pub at: Selection,
    /// By what.
    pub value: Value,
}

/// A part of an activation: what lies in every list that is given. Positions beyond a short batch select nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Selection {
    /// Documents of the batch.
    pub documents: Option<Vec<usize>>,
    /// Positions; at scores and patterns, those that attend.
    pub positions: Option<Vec<usize>>,
    /// Heads; at keys and values, groups of heads.
    pub heads: Option<Vec<usize>>,
}

/// What an activation is replaced by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Value {
    /// One number everywhere.
    Fill(f32),
    /// An array of the site's rank; axes of length 1 stretch. What it says of the future is dropped from a pattern.
    Array {
        /// Its axes.
        shape: Vec<usize>,
        /// Its numbers, row-major.
        values: Vec<f32>,
    },
    /// Patterns only: every position attends to the one so many before it, and to itself where there is none.
    Back(usize),
    /// Patterns only: every position attends to those right behind an earlier occurrence of its own token, in equal
    /// parts. A position without such is left alone.
    Induction,
    /// What an earlier site of the same axes holds so many positions before; 0 at the beginning. Gradients go there.
    Earlier {
        /// Which site.
        site: String,
        /// How many positions.
        back: usize,
    },
    /// Logits only: ln of the attention that a pattern gives to each token, all its heads together. Gradients go there.
    Copied {
        /// Which pattern.
        site: String,
    },
}

impl Value {
    /// The other site that it takes its numbers from.
    pub(super) fn source(&self) -> Option<&str> {
        match self {
            Self::Earlier { site, .. } | Self::Copied { site } => Some(site),
            Self::Fill(_) | Self::Array { .. } | Self::Back(_) | Self::Induction => None,
        }
    }
}

/// Attention that a token has at least when it is copied, so that its logarithm is a number.
const LEAST: f32 = 1e-4;

impl Clamp {
    /// `x` with the selected part replaced. Its padding is replaced as well, which nothing looks at.
    pub(super) fn apply<const D: usize>(&self, x: Tensor<D>, axes: &str, said: &Said) -> Result<Tensor<D>> {
        let dims = x.dims();
        let device = x.device().without_autodiff();
        let mut mask = self.at.mask(&self.site, &dims, axes)?;
        let constant = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, dims), &device);
        let value = match &self.value {
            Value::Fill(number) => Tensor::full(dims, *number, &device),
            Value::Array { shape, values } => self.array(shape, values, dims, &device)?,
            Value::Back(by) => constant(self.back(*by, &dims, axes)?),
            Value::Induction => {
                let pattern = self.induction(&dims, axes, said)?;
                for (row, keys) in mask.chunks_mut(dims[D - 1]).zip(pattern.chunks(dims[D - 1])) {
                    if keys.iter().all(|weight| *weight == 0.0) {
                        row.fill(false);
                    }
                }
                constant(pattern)
            }
            Value::Earlier { site, back } => self.earlier(site, *back, dims, axes, said)?,
            Value::Copied { site } => self.copied(site, dims, axes, said)?,
        };
        let mask = Tensor::<D, Bool>::from_data(TensorData::new(mask, dims), &device);
        Ok(x.mask_where(mask, value))
    }

    fn array<const D: usize>(
        &self,
        shape: &[usize],
        values: &[f32],
        dims: [usize; D],
        device: &burn::Device,
    ) -> Result<Tensor<D>> {
        let stretches =
            shape.len() == D && shape.iter().zip(&dims).all(|(have, want)| have == want || *have == 1);
        if !stretches || shape.iter().product::<usize>() != values.len() {
            let what = format!(
                "{} numbers of shape {shape:?} cannot stand in for {dims:?} at `{}`",
                values.len(),
                self.site
            );
            return Err(Error::usage(what).remedy("give the site's own shape, with 1 for axes that repeat"));
        }
        Ok(Tensor::<D>::from_data(TensorData::new(values.to_vec(), shape.to_vec()), device).expand(dims))
    }

    /// Errs unless the site is one where a value of this name can stand.
    fn must_be(&self, fits: bool, value: &str, place: &str) -> Result<()> {
        if fits {
            return Ok(());
        }
        let what = format!("`{value}` cannot stand in at `{}`", self.site);
        Err(Error::usage(what).remedy(format!("use it at {place}")))
    }

    fn must_be_pattern(&self, axes: &str, value: &str) -> Result<()> {
        let fits = self.site.ends_with(".attn.pattern") && axes == "bhqk";
        self.must_be(fits, value, "blocks.{l}.attn.pattern")
    }

    fn induction(&self, dims: &[usize], axes: &str, said: &Said) -> Result<Vec<f32>> {
        self.must_be_pattern(axes, "induction")?;
        let (heads, queries, keys) = (dims[1], dims[2], dims[3]);
        let mut pattern = Vec::with_capacity(dims.iter().product());
        for document in 0..dims[0] {
            let mut square = Vec::with_capacity(queries * keys);
            for query in 0..queries {
                let (ids, place) = said.around(document * said.longest + query);
                let fits = |key: usize| key > 0 && key <= place && ids[key - 1] == ids[place];
                let found = (0..keys).filter(|key| fits(*key)).count();
                square.extend((0..keys).map(|key| if fits(key) { 1.0 / found as f32 } else { 0.0 }));
            }
            pattern.extend(square.repeat(heads));
        }
        Ok(pattern)
    }

    fn earlier<const D: usize>(
        &self,
        site: &str,
        back: usize,
        dims: [usize; D],
        axes: &str,
        said: &Said,
    ) -> Result<Tensor<D>> {
        self.must_be(axes.starts_with("bt"), "earlier", "a site with positions")?;
        let from: Tensor<D> = said.of(site, &self.site)?;
        if from.dims() != dims {
            let what = format!("`{site}` has the shape {:?}, `{}` {dims:?}", from.dims(), self.site);
            return Err(Error::usage(what).remedy("name a site of the same axes"));
        }
        let back = back.min(dims[1]);
        let mut missing = dims;
        missing[1] = back;
        let nothing = Tensor::zeros(missing, &from.device());
        Ok(if back == dims[1] {
            nothing
        } else {
            Tensor::cat(vec![nothing, from.narrow(1, 0, dims[1] - back)], 1)
        })
    }

    fn copied<const D: usize>(
        &self,
        site: &str,
        dims: [usize; D],
        axes: &str,
        said: &Said,
    ) -> Result<Tensor<D>> {
        self.must_be(axes == "pv", "copied", "logits")?;
        let pattern: Tensor<4> = said.of(site, &self.site)?;
        let [documents, _, queries, keys] = pattern.dims();
        let pattern_device = pattern.device();
        let device = pattern_device.clone().without_autodiff();
        let ints = |values: Vec<i64>, shape: [usize; 2]| {
            Tensor::<2, Int>::from_data(TensorData::new(values, shape), &device)
        };
        let ids: Vec<i64> =
            said.rows.iter().flat_map(|row| said.around(*row as usize).0.iter().copied()).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(said.rows.clone(), [dims[0]]), &device);
        let mass = pattern.mean_dim(1).reshape([documents * queries, keys]).select(0, rows);
        let empty = Tensor::<2>::zeros([dims[0], dims[1]], &pattern_device);
        let spread = empty.scatter(1, ints(ids, [dims[0], keys]), mass, IndexingUpdateOp::Add);
        Ok(spread.add_scalar(LEAST).log().reshape(dims))
    }

    fn back(&self, by: usize, dims: &[usize], axes: &str) -> Result<Vec<f32>> {
        self.must_be_pattern(axes, "back")?;
        let (queries, keys) = (dims[2], dims[3]);
        let row =
            |query: usize| (0..keys).map(move |key| f32::from(key == query.checked_sub(by).unwrap_or(query)));
        let square: Vec<f32> = (0..queries).flat_map(row).collect();
        Ok(square.repeat(dims[0] * dims[1]))
    }
}

impl Selection {
    /// True where the activation is to be replaced.
    fn mask(&self, site: &str, dims: &[usize], axes: &str) -> Result<Vec<bool>> {
        let has_heads = axes.contains('h');
        if self.heads.is_some() && !has_heads {
            return Err(Error::usage(format!("`{site}` has no heads to select")));
        }
        if let Some(head) =
            self.heads.iter().flatten().find(|head| axes.find('h').is_some_and(|axis| **head >= dims[axis]))
        {
            return Err(Error::usage(format!("`{site}` has no head {head}")).remedy("heads count from 0"));
        }
        let list = |letter| match letter {
            'b' => self.documents.as_ref(),
            't' | 'q' => self.positions.as_ref(),
            'h' => self.heads.as_ref(),
            _ => None,
        };
        let mut mask = vec![true];
        for (letter, length) in axes.chars().zip(dims) {
            let chosen: Vec<bool> =
                (0..*length).map(|i| list(letter).is_none_or(|l| l.contains(&i))).collect();
            mask = mask.iter().flat_map(|outer| chosen.iter().map(move |inner| *outer && *inner)).collect();
        }
        Ok(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clamp(site: &str, at: Selection, value: Value) -> Clamp {
        Clamp { site: site.to_owned(), at, value }
    }

    fn ones<const D: usize>(dims: [usize; D]) -> Tensor<D> {
        Tensor::ones(dims, &crate::Device::cpu().tensors(false))
    }

    fn values<const D: usize>(x: Result<Tensor<D>>) -> Vec<f32> {
        x.expect("the clamp fits").into_data().try_into_vec().expect("it is f32")
    }

    #[test]
    fn a_selection_is_the_overlap_of_its_lists() {
        let at = Selection { heads: Some(vec![1]), positions: Some(vec![0, 9]), documents: None };
        let z = clamp("blocks.0.attn.z", at, Value::Fill(0.0));
        assert_eq!(
            values(z.apply(ones([1, 2, 2, 2]), "bthd", &Said::default())),
            [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
        );
    }

    #[test]
    fn arrays_stretch() {
        let row = clamp(
            "final",
            Selection::default(),
            Value::Array { shape: vec![1, 1, 2], values: vec![3.0, 4.0] },
        );
        assert_eq!(values(row.apply(ones([1, 2, 2]), "btd", &Said::default())), [3.0, 4.0, 3.0, 4.0]);
        let wrong =
            clamp("final", Selection::default(), Value::Array { shape: vec![1, 1, 3], values: vec![0.0; 3] });
        assert!(wrong.apply(ones([1, 2, 2]), "btd", &Said::default()).is_err());
    }

    #[test]
    fn back_looks_at_the_token_before() {
        let previous = clamp("blocks.0.attn.pattern", Selection::default(), Value::Back(1));
        assert_eq!(
            values(previous.apply(ones([1, 1, 3, 3]), "bhqk", &Said::default())),
            [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        );
        assert!(
            clamp("final", Selection::default(), Value::Back(1))
                .apply(ones([1, 2, 2]), "btd", &Said::default())
                .is_err()
        );
    }

    #[test]
    fn a_head_that_is_not_there_is_refused() {
        let at = |head| Selection { heads: Some(vec![head]), ..Selection::default() };
        assert!(
            clamp("blocks.0.attn.z", at(2), Value::Fill(0.0))
                .apply(ones([1, 2, 2, 2]), "bthd", &Said::default())
                .is_err()
        );
        assert!(
            clamp("final", at(0), Value::Fill(0.0)).apply(ones([1, 2, 2]), "btd", &Said::default()).is_err()
        );
    }
}
