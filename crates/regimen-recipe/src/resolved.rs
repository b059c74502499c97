//! A recipe that passed every check.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::node::{Node, Unread};
use crate::plan::Plan;
use crate::print;

use crate::report::{Diag, Report};
use crate::source::Sources;

/// A recipe with every default filled in and every reference checked.
#[derive(Clone, Debug)]
pub struct Resolved {
    root: Node,
    arm: Option<Arc<str>>,
    arm_about: Option<Arc<str>>,
    seeds: Vec<u64>,
    sources: Sources,
    plan: Plan,
}

impl Resolved {
    pub(crate) fn new(
        root: Node,
        (arm, arm_about): (Option<&str>, Option<&str>),
        seeds: Vec<u64>,
        sources: Sources,
        plan: Plan,
        used: &BTreeSet<String>,
    ) -> Self {
        root.mark();
        if let Some(data) = root.peek("data") {
            mark_used(data, used);
        }
        Self { root, arm: arm.map(Into::into), arm_about: arm_about.map(Into::into), seeds, sources, plan }
    }

    /// The recipe's own table.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The arm that was chosen.
    pub fn arm(&self) -> Option<&str> {
        self.arm.as_deref()
    }

    /// What the recipe says about the arm.
    pub fn arm_about(&self) -> Option<&str> {
        self.arm_about.as_deref()
    }

    /// The seeds that the recipe asks to be run with, one after the other; empty where it has only `seed`.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// Name and text of every file and every `--set` that the recipe was put together from.
    pub fn sources(&self) -> Vec<(&str, &str)> {
        self.sources.iter().collect()
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[Node] {
        self.root.list("stage")
    }

    /// Where every stage starts from, its knobs and who writes them.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every value that nobody read so far, defaults and absent fields included.
    pub fn unread(&self) -> Vec<Unread> {
        let mut out = Vec::new();
        self.root.collect_unread(&mut out);
        out
    }

    /// What the recipe says and nobody read: call it when everything is built.
    pub fn report_unread(&self) -> Option<Report> {
        let mut nodes = Vec::new();
        self.root.given_unread(&mut nodes);
        let diag = |node: &&Node| {
            Diag::new(format!("nothing reads `{}`", node.path()))
                .at(&node.origin, "remove it: it would have no effect")
        };
        let diags: Vec<Diag> = nodes.iter().map(diag).collect();
        (!diags.is_empty()).then(|| Report::new(diags, &self.sources))
    }

    /// The recipe with everything filled in, as TOML; each value has a comment that says where it comes from. Resolving
    /// it again gives the same values.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.root, self.arm())
    }
}

/// Data sets are read through their copies in streams.
fn mark_used(data: &Node, used: &BTreeSet<String>) {
    if data.spec().is_some() {
        if used.contains("data") {
            data.mark_all_read();
        }
        return;
    }
    data.mark();
    let crate::node::Value::Table(entries) = &data.value else { return };
    entries.iter().filter(|(name, _)| used.contains(&**name)).for_each(|(_, node)| node.mark_all_read());
}
