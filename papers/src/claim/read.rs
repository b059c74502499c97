//! From the file to claims that can be decided.

use std::collections::{BTreeMap, BTreeSet};

use regimen_recipe::{Catalogue, Choice, Fault, Form, Node, Recipe, Report, Resolved, did_you_mean};
use regimen_stats::{Claim, Crossing, Design, Law, Quantity, Reading, Rule, Side, Term};
use serde_json::Value as Json;

use super::metric::Metric;
use super::quantity;
use super::spec::FORM;

/// A claim.toml that fits its recipe.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims {
    /// The paper's title.
    pub title: String,
    /// Where it was published; may be empty.
    pub source: String,
    /// `method`, `study`, …
    pub kind: String,
    /// What is smaller than in the paper.
    pub scaled_down: Vec<String>,
    /// What decides the verdict.
    pub primary: Stated,
    /// What decides nothing.
    pub secondary: Vec<Stated>,
    /// The seeds that decide.
    pub seeds: Vec<u64>,
    /// When it may be looked at.
    pub design: Design,
    /// The arms of the recipe.
    pub arms: Vec<String>,
    /// Every value, defaults included, for digests.
    pub written: Json,
}

/// A claim with the sentence that says it.
#[derive(Clone, PartialEq, Debug)]
pub struct Stated {
    /// The sentence.
    pub says: String,
    /// The rule.
    pub claim: Claim,
}

/// What the claims may refer to.
struct Reader<'a> {
    form: &'a Form,
    arms: BTreeMap<String, Resolved>,
    order: Vec<String>,
    faults: Vec<Fault>,
}

impl Claims {
    /// Reads a claim.toml. `path` is what messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, or that the recipe has no arm or metric for.
    pub fn read(path: &str, text: &str, recipe: &Recipe, catalogue: &Catalogue) -> Result<Self, Report> {
        let form = Form::read(path, text, &FORM, catalogue)?;
        let root = form.root();
        let mut arms = BTreeMap::new();
        for arm in recipe.arms() {
            arms.insert(arm.clone(), recipe.resolve(catalogue, &Choice { arm: Some(&arm), sets: &[] })?);
        }
        let mut reader = Reader { form: &form, arms, order: recipe.arms(), faults: Vec::new() };
        reader.seeds();
        reader.metrics();
        let primary = reader.stated(root.table("primary"));
        let secondary: Vec<Option<Stated>> =
            root.list("secondary").iter().map(|node| reader.stated(node)).collect();
        let Reader { order, faults, .. } = reader;
        let (Some(primary), true) = (primary, faults.is_empty()) else { return Err(form.report(faults)) };
        Ok(Self {
            title: root.str("title").to_owned(),
            source: root.opt_str("source").unwrap_or_default().to_owned(),
            kind: root.str("kind").to_owned(),
            scaled_down: root.strs("scaled-down").into_iter().map(str::to_owned).collect(),
            primary,
            secondary: secondary.into_iter().flatten().collect(),
            seeds: root.u64s("seeds"),
            design: design(root),
            arms: order,
            written: root.to_json(),
        })
    }

    /// All claims, the primary one first.
    pub fn all(&self) -> impl Iterator<Item = &Stated> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }

    /// The same claims on other seeds, for tuning.
    #[must_use]
    pub fn with_seeds(&self, seeds: &[u64]) -> Self {
        let mut other = self.clone();
        other.seeds = seeds.to_vec();
        for stated in std::iter::once(&mut other.primary).chain(&mut other.secondary) {
            stated.claim.seeds = seeds.to_vec();
        }
        other
    }

    /// All metrics that some claim reads of some arm.
    pub fn metrics(&self) -> BTreeSet<&str> {
        self.all().flat_map(|stated| stated.claim.terms()).map(|term| term.metric.as_str()).collect()
    }

    /// The arms that some claim looks at, and the metrics it reads of each.
    pub fn read_by_arm(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut read: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for term in self.all().flat_map(|stated| stated.claim.terms()) {
            let metrics = read.entry(&term.arm).or_default();
            if !metrics.contains(&term.metric.as_str()) {
                metrics.push(&term.metric);
            }
        }
        read
    }
}

fn design(root: &Node) -> Design {
    if root.str("design") == "anytime" { Design::Anytime } else { Design::Fixed }
}

impl Reader<'_> {
    fn fault(&mut self, node: &Node, what: impl Into<String>, label: impl Into<String>) {
        self.faults.push(Fault::at(node, what, label));
    }

    fn seeds(&mut self) {
        let node = self.form.root().get("seeds");
        let mut seen = Vec::new();
        for seed in node.as_list().unwrap_or(&[]) {
            if seen.contains(&seed.as_u64()) {
                self.fault(seed, "a seed is given twice", "give each once");
            }
            seen.push(seed.as_u64());
        }
    }

    /// Names that nobody uses may be wrong too.
    fn metrics(&mut self) {
        for (name, node) in self.form.root().map("metric") {
            if let Err(what) = reading(node) {
                self.fault(node, format!("metric `{name}` cannot be read"), what);
                continue;
            }
            let of = metric_name(node);
            let all = |recipe| expand(of, recipe)?.iter().try_for_each(|m| Metric::of(m, recipe).map(drop));
            let known = self.arms.values().next().map(all);
            if let Some(Err(what)) = known {
                self.fault(node, format!("there is no metric `{of}`"), what);
            }
        }
        if self.arms.is_empty() {
            let root = self.form.root();
            self.fault(root, "the recipe has no arms to compare", "add [[arm]] with an `id` to the recipe");
        }
    }

    fn stated(&mut self, node: &Node) -> Option<Stated> {
        let says = node.opt_str("says").map(str::to_owned);
        if says.is_none() {
            self.fault(node, "a claim needs `says`", "add the claim as a sentence: says = \"…\"");
        }
        let rule = self.rule(node)?;
        let root = self.form.root();
        let mut seeds = root.u64s("seeds");
        seeds.sort_unstable();
        if seeds.windows(2).any(|pair| pair[0] == pair[1]) {
            // told once, and not for every claim
            return None;
        }
        let claim = Claim { rule, alpha: root.f64("alpha"), seeds: root.u64s("seeds"), design: design(root) };
        if let Err(error) = claim.check() {
            self.faults.push(Fault::at(node, error.what, "").note(error.remedy.unwrap_or_default()));
        }
        Some(Stated { says: says?, claim })
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        Some(match node.kind() {
            "positive" => {
                let (a, b) = self.pair(node, "a", "b")?;
                Rule::Positive { a, b }
            }
            "non-inferior" => {
                let (a, b) = self.pair(node, "a", "b")?;
                Rule::NonInferior { a, b, margin: node.f64("margin") }
            }
            "ratio" => {
                let (a, b) = self.pair(node, "a", "b")?;
                Rule::Ratio { a, b, at_least: node.f64("above") }
            }
            "above" => Rule::Above { what: self.quantity(node, "what")?, threshold: node.f64("threshold") },
            "below" => Rule::Below { what: self.quantity(node, "what")?, threshold: node.f64("threshold") },
            "within" => {
                Rule::Within { what: self.quantity(node, "what")?, lo: node.f64("lo"), hi: node.f64("hi") }
            }
            "interaction" => {
                let (first, second) = (self.pair(node, "a", "b"), self.pair(node, "c", "d"));
                Rule::Interaction { first: first?, second: second? }
            }
            "onset-before" => {
                let (early, late) = (self.onset(node, "early"), self.onset(node, "late"));
                Rule::OnsetBefore { early: early?, late: late? }
            }
            "count" => Rule::Seeds {
                what: self.quantity(node, "what")?,
                lo: node.opt_f64("lo").unwrap_or(f64::NEG_INFINITY),
                hi: node.opt_f64("hi").unwrap_or(f64::INFINITY),
                at_least: node.usize("seeds"),
            },
            "all-of" => Rule::AllOf(self.parts(node)?),
            _ => Rule::AnyOf(self.parts(node)?),
        })
    }

    fn parts(&mut self, node: &Node) -> Option<Vec<Rule>> {
        let parts: Vec<Option<Rule>> = node.list("of").iter().map(|part| self.rule(part)).collect();
        parts.into_iter().collect()
    }

    /// Two quantities; what is wrong with either is told.
    fn pair(&mut self, node: &Node, a: &str, b: &str) -> Option<(Quantity, Quantity)> {
        let (a, b) = (self.quantity(node, a), self.quantity(node, b));
        Some((a?, b?))
    }

    fn quantity(&mut self, node: &Node, field: &str) -> Option<Quantity> {
        let parsed = quantity::parse(node.str(field), &|arm, metric| self.look_up(arm, metric));
        let node = node.get(field);
        parsed.map_err(|what| self.fault(node, format!("`{field}` cannot be read"), what)).ok()
    }

    /// A term alone, as onsets are compared.
    fn onset(&mut self, node: &Node, field: &str) -> Option<Term> {
        if let Quantity::Of(term) = self.quantity(node, field)? {
            return Some(term);
        }
        self.fault(node.get(field), format!("`{field}` must be one curve"), "write ARM:METRIC");
        None
    }

    /// The reading behind `ARM:METRIC`, where METRIC is a name of the claim's own or that of a metric. Of a metric of all
    /// held-out sets each is read, and the mean taken.
    fn look_up(&self, arm: &str, metric: &str) -> Result<Quantity, String> {
        let Some(recipe) = self.arms.get(arm) else {
            let names: Vec<&str> = self.order.iter().map(String::as_str).collect();
            let near = did_you_mean(arm, &names);
            let near = if near.is_empty() { near } else { format!(": {near}") };
            return Err(format!("the recipe has no arm `{arm}`{near} (it has {})", names.join(", ")));
        };
        let named = self.form.root().map("metric");
        let (name, reading) = match named.iter().find(|(name, _)| *name == metric) {
            Some((_, node)) => (metric_name(node), reading(node)?),
            None if metric.contains('/') => (metric, Reading::Final),
            None => {
                let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
                let near = did_you_mean(metric, &names);
                let near = if near.is_empty() { near } else { format!(": {near}") };
                return Err(format!(
                    "there is no metric `{metric}`{near}; name it in [metric], or write STAGE/NAME"
                ));
            }
        };
        let names = expand(name, recipe)?;
        let share = 1.0 / names.len().max(1) as f64;
        let mut parts = Vec::new();
        for name in names {
            if !Metric::of(&name, recipe)?.is_curve() && reading != Reading::Final {
                return Err(format!(
                    "`{name}` is one number, not a curve: nothing of it can be read but `final`"
                ));
            }
            parts.push((share, Quantity::read(arm, &name, reading)));
        }
        Ok(match parts.pop() {
            Some((_, one)) if parts.is_empty() => one,
            last => Quantity::Sum(parts.into_iter().chain(last).collect()),
        })
    }
}

/// The metrics that `name` stands for: one, or with `*` for a held-out set one of each set of the stage.
fn expand(name: &str, recipe: &Resolved) -> Result<Vec<String>, String> {
    let Some((before, after)) = name.split_once('*') else { return Ok(vec![name.to_owned()]) };
    let sets = Metric::sets(before.split('/').next().unwrap_or_default(), recipe)?;
    if !before.ends_with('/') || !after.starts_with('/') || after.contains('*') || sets.is_empty() {
        return Err(format!(
            "`*` stands for every held-out set of a stage, as in main/*/loss; not in `{name}`"
        ));
    }
    Ok(sets.into_iter().map(|set| format!("{before}{set}{after}")).collect())
}

fn metric_name(node: &Node) -> &str {
    node.as_str().unwrap_or_else(|| node.str("of"))
}

/// How a metric becomes one number, or what is missing.
fn reading(node: &Node) -> Result<Reading, String> {
    if node.as_str().is_some() {
        return Ok(Reading::Final);
    }
    let read = node.str("read");
    let allowed: &[&str] = match read {
        "at" => &["step"],
        "mean" | "slope" => &["from", "to"],
        "onset" => &["reaches", "falls-to", "hold", "never"],
        "rate" => &["law"],
        _ => &[],
    };
    let optional = ["step", "from", "to", "reaches", "falls-to", "hold", "never", "law"];
    if let Some(field) = optional.iter().find(|f| !allowed.contains(f) && node.get(f).given()) {
        return Err(format!("`{field}` says nothing where `read` is \"{read}\""));
    }
    let from = node.opt_f64("from").unwrap_or(f64::NEG_INFINITY);
    let to = node.opt_f64("to").unwrap_or(f64::INFINITY);
    Ok(match read {
        "at" => Reading::At(node.opt_f64("step").ok_or("`at` needs a `step`")?),
        "highest" => Reading::Highest,
        "lowest" => Reading::Lowest,
        "mean" => Reading::Mean { from, to },
        "slope" => Reading::Slope { from, to },
        "onset" => Reading::Onset { crossing: crossing(node)?, never: node.opt_f64("never") },
        "rate" if node.str("law") == "exponential" => Reading::Rate(Law::Exponential),
        "rate" => Reading::Rate(Law::Power),
        _ => Reading::Final,
    })
}

fn crossing(node: &Node) -> Result<Crossing, String> {
    let hold = node.usize("hold");
    match (node.opt_f64("reaches"), node.opt_f64("falls-to")) {
        (Some(threshold), None) => Ok(Crossing { threshold, side: Side::Rising, hold }),
        (None, Some(threshold)) => Ok(Crossing { threshold, side: Side::Falling, hold }),
        _ => Err("an onset needs `reaches`, or `falls-to`".to_owned()),
    }
}
