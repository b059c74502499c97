//! Looking at activations and holding them fixed: rules as data at named sites.
//!
//! Names are those of TransformerLens without `hook_`. Axes: `b` document, `t` position, `h` head, `d` channel, `q` the
//! position that attends, `k` the one attended to. Documents shorter than the longest are padded; readings are 0 there.

mod clamp;
mod pass;
mod site;

use std::collections::BTreeMap;

use burn::Tensor;
use regimen_base::{Error, Result};
use regimen_kernels::Shape;
use serde::{Deserialize, Serialize};

pub use clamp::{Clamp, Selection, Value};
use pass::Said;
pub use site::sites;

/// One rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Keep the activation at a site for later. Changes nothing.
    Read {
        /// Where.
        site: String,
    },
    /// Put something else in its place; the gradient flows only through what is left.
    Clamp(Clamp),
}

impl Rule {
    fn site(&self) -> &str {
        match self {
            Self::Read { site } => site,
            Self::Clamp(clamp) => &clamp.site,
        }
    }
}

/// An activation that a rule read.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The meaning of the axes, a letter each.
    pub axes: &'static str,
    /// Their lengths, outermost first.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub values: Vec<f32>,
    /// The length of each document: what lies behind it is padding.
    pub lengths: Vec<usize>,
}

/// Rules, and what the last forward pass read. Rules apply in the order given: a read after a clamp of the same site
/// sees the clamped activation. No rules cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    rules: Vec<Rule>,
    readings: BTreeMap<String, Reading>,
    said: Said,
}

impl Taps {
    /// No rules.
    pub fn none() -> Self {
        Self::default()
    }

    /// Rules, in the order in which they apply at a site.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Reads several sites.
    pub fn reading<'a>(sites: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(sites.into_iter().map(|site| Rule::Read { site: site.to_owned() }).collect())
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the last forward pass read, by site.
    pub fn readings(&self) -> &BTreeMap<String, Reading> {
        &self.readings
    }

    /// Whether a rule reads.
    pub fn reads(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Read { .. }))
    }

    /// Whether a rule changes an activation.
    pub fn clamps(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Clamp(_)))
    }

    pub(crate) fn clamps_at(&self, site: &str) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Clamp(clamp) if clamp.site == site))
    }

    /// Errs when a rule names a site that the architecture does not have, and lists the nearest ones it has.
    pub fn check(&self, shape: &Shape) -> Result<()> {
        let source = |rule: &'_ Rule| match rule {
            Rule::Clamp(clamp) => clamp.value.source().map(str::to_owned),
            Rule::Read { .. } => None,
        };
        self.rules.iter().try_for_each(|rule| site::check(rule.site(), shape))?;
        self.rules.iter().filter_map(source).try_for_each(|site| site::check(&site, shape))
    }

    /// Forgets earlier readings: a pass starts, over documents of these padded ids, `[B, T]`.
    pub(crate) fn start(&mut self, ids: Vec<i64>, longest: usize) {
        self.readings.clear();
        self.said = Said::new(ids, longest);
    }

    /// Tells where the logits that follow are put out: rows of the padded positions.
    pub(crate) fn picked(&mut self, rows: Vec<i64>) {
        self.said.rows = rows;
    }

    /// Ends a pass: what was kept for later sites is let go.
    pub(crate) fn end(&mut self) {
        self.said = Said::default();
    }

    /// Applies the rules of one site to its activation.
    pub(crate) fn visit<const D: usize>(
        &mut self,
        site: &str,
        axes: &'static str,
        lengths: &[usize],
        mut x: Tensor<D>,
    ) -> Result<Tensor<D>> {
        for rule in self.rules.iter().filter(|rule| rule.site() == site) {
            match rule {
                Rule::Read { .. } => {
                    self.readings.insert(site.to_owned(), read(x.clone(), axes, lengths)?);
                }
                Rule::Clamp(clamp) => x = clamp.apply(x, axes, &self.said)?,
            }
        }
        let wanted = |rule: &Rule| matches!(rule, Rule::Clamp(c) if c.value.source() == Some(site));
        if self.rules.iter().any(wanted) {
            self.said.keep(site, x.clone());
        }
        Ok(x)
    }
}

fn read<const D: usize>(x: Tensor<D>, axes: &'static str, lengths: &[usize]) -> Result<Reading> {
    let shape = x.dims().to_vec();
    let values = x.into_data().try_into_vec::<f32>();
    let mut values = values.map_err(|e| Error::failed(format!("an activation cannot be read: {e}")))?;
    blank_padding(&mut values, &shape, axes, lengths);
    Ok(Reading { axes, shape, values, lengths: lengths.to_vec() })
}

/// What the twin computes for padding means nothing; nobody should average over it by mistake.
fn blank_padding(values: &mut [f32], shape: &[usize], axes: &str, lengths: &[usize]) {
    let Some(time) = axes.find(['t', 'q']) else { return };
    let inner: usize = shape[time + 1..].iter().product();
    let per_document: usize = shape[1..].iter().product();
    for (row, chunk) in values.chunks_mut(inner).enumerate() {
        let document = row * inner / per_document;
        if row % shape[time] >= lengths[document] {
            chunk.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_data() {
        let clamp = Clamp {
            site: "blocks.0.attn.z".to_owned(),
            at: Selection { heads: Some(vec![1]), ..Selection::default() },
            value: Value::Fill(0.0),
        };
        let rules = vec![Rule::Read { site: "final".to_owned() }, Rule::Clamp(clamp)];
        let text = serde_json::to_string(&rules).expect("rules have no odd keys");
        assert_eq!(serde_json::from_str::<Vec<Rule>>(&text).expect("it was just written"), rules);
        assert!(
            serde_json::from_str::<Rule>(r#"{"clamp": {"site": "final", "value": {"fill": 0}, "head": 1}}"#)
                .is_err()
        );
    }

    #[test]
    fn padding_reads_as_zero() {
        let mut values = vec![1.0; 2 * 2 * 3 * 2];
        blank_padding(&mut values, &[2, 2, 3, 2], "bhqk", &[3, 1]);
        assert_eq!(values[..12], [1.0; 12]);
        assert_eq!(values[12..18], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
