//! What a clamp may need of the pass it stands in: its tokens, and activations of earlier sites.

use std::collections::BTreeMap;

use burn::Tensor;
use regimen_base::{Error, Result};

/// The pass so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Padded ids, `[B, T]`.
    pub(super) ids: Vec<i64>,
    /// T.
    pub(super) longest: usize,
    /// The padded position of every row of the logits.
    pub(super) rows: Vec<i64>,
    kept: BTreeMap<String, (Tensor<1>, Vec<usize>)>,
}

impl Said {
    pub(super) fn new(ids: Vec<i64>, longest: usize) -> Self {
        Self { ids, longest, ..Self::default() }
    }

    /// Keeps an activation, with its place in the graph.
    pub(super) fn keep<const D: usize>(&mut self, site: &str, x: Tensor<D>) {
        let dims = x.dims();
        let flat = x.reshape([dims.iter().product::<usize>()]);
        self.kept.insert(site.to_owned(), (flat, dims.to_vec()));
    }

    /// The activation of an earlier site.
    pub(super) fn of<const D: usize>(&self, site: &str, at: &str) -> Result<Tensor<D>> {
        let kept = self.kept.get(site).and_then(|(flat, dims)| {
            let dims: [usize; D] = dims.as_slice().try_into().ok()?;
            Some(flat.clone().reshape(dims))
        });
        kept.ok_or_else(|| {
            Error::usage(format!("what is at `{site}` cannot stand in at `{at}`"))
                .remedy("name a site that comes earlier in the pass and has the same axes")
        })
    }

    /// The ids of the document that padded position `row` belongs to, and its place in it.
    pub(super) fn around(&self, row: usize) -> (&[i64], usize) {
        let (document, place) = (row / self.longest.max(1), row % self.longest.max(1));
        (&self.ids[document * self.longest..(document + 1) * self.longest], place)
    }
}
