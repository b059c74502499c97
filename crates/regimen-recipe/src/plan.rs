//! Checks across the whole recipe that need no model: references, knobs, who writes what.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hint;
use crate::node::{Node, Value};
use crate::report::Diag;
use crate::resolve::name_fault;
use crate::spec::Names;

/// The stages and what ties them together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// In the order of the recipe.
    pub stages: Vec<StagePlan>,
}

/// One stage.
#[derive(Clone, PartialEq, Debug)]
pub struct StagePlan {
    /// The stage's id.
    pub id: String,
    /// Whether it trains, or only evaluates.
    pub trains: bool,
    /// The weights it starts from.
    pub from: Start,
    /// Its other models, and the weights each of them starts from.
    pub casts: Vec<(String, Start)>,
    /// Streams that go on with an earlier one: stream, and the stage and the stream that it goes on with.
    pub uses: Vec<(String, String, String)>,
    /// Every number by its path within the stage, with its value at the start.
    pub knobs: BTreeMap<String, f64>,
    /// Which piece writes which knob, by their paths within the stage.
    pub writers: BTreeMap<String, String>,
}

/// Where weights come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// The recipe's `[model]`.
    Model,
    /// The end of an earlier stage.
    Stage(String),
    /// A checkpoint.
    Folder(String),
}

/// Looks at a tree that may have holes where something was reported already.
pub(crate) fn check(root: &Node, diags: &mut Vec<Diag>) -> Plan {
    let Some(stages) = root.peek("stage").map(items) else { return Plan::default() };
    if let Some(stage) = root.peek("stage").filter(|s| s.present() && stages.is_empty()) {
        diags.push(Diag::new("the recipe has no stages").at(&stage.origin, "add a [[stage]]"));
    }
    let mut plan = Plan::default();
    for stage in stages {
        let checked = StageCheck { root, stage, all: stages, earlier: &plan, diags }.run();
        plan.stages.extend(checked);
    }
    plan
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(list) => list,
        _ => &[],
    }
}

fn entries<'a>(stage: &'a Node, name: &str) -> &'a [(Arc<str>, Node)] {
    match stage.peek(name).map(|node| &node.value) {
        Some(Value::Table(table)) => table,
        _ => &[],
    }
}

struct StageCheck<'a> {
    root: &'a Node,
    stage: &'a Node,
    all: &'a [Node],
    earlier: &'a Plan,
    diags: &'a mut Vec<Diag>,
}

impl StageCheck<'_> {
    fn run(mut self) -> Option<StagePlan> {
        let id_node = self.stage.peek("id")?;
        let id = id_node.text()?.to_owned();
        let fault = match id.as_str() {
            "model" | "policy" => Some("the word has another meaning in recipes"),
            _ => name_fault(&id),
        };
        if let Some(fault) = fault {
            self.diags.push(Diag::new(format!("`{id}` cannot name a stage")).at(&id_node.origin, fault));
        }
        let from = self.start_of_stage();
        let lead = format!("{}.", self.stage.path());
        let mut knobs = BTreeMap::new();
        collect_knobs(self.stage, &lead, &mut knobs);
        let casts = self.casts(&from);
        let mut uses = Vec::new();
        self.references(self.stage, &knobs, &mut uses);
        let mut writers = BTreeMap::new();
        self.writers(self.stage, &lead, &mut writers);
        let writers = writers.into_iter().map(|(knob, (holder, _))| (knob, holder)).collect();
        let trains = self.stage.peek("stream").is_some();
        Some(StagePlan { id, trains, from, casts, uses, knobs, writers })
    }

    /// What the stage says, or the end of the stage before.
    fn start_of_stage(&mut self) -> Start {
        let said = self.stage.peek("from").filter(|from| from.present());
        let from = said.and_then(|node| node.text().and_then(|text| self.start(text)));
        let from = from.unwrap_or_else(|| self.earlier.stages.last().map_or(Start::Model, end_of));
        let has_model = self.root.peek("model").is_some_and(|model| model.present() || model.broken);
        if from == Start::Model && !has_model {
            let place = said.unwrap_or(self.stage);
            let diag = Diag::new("the recipe has no model to start from");
            self.diags.push(diag.at(&place.origin, "add a [model], or `from = \"checkpoint/folder\"`"));
        }
        from
    }

    fn start(&self, text: &str) -> Option<Start> {
        if text == "model" {
            return Some(Start::Model);
        }
        if text.contains(['/', '\\']) || text.starts_with(['.', '~']) {
            return Some(Start::Folder(text.to_owned()));
        }
        self.earlier.stages.iter().find(|s| s.id == text).map(end_of)
    }

    fn casts(&mut self, from: &Start) -> Vec<(String, Start)> {
        let mut casts = Vec::new();
        for (name, cast) in entries(self.stage, "cast") {
            if &**name == "policy" {
                let diag = Diag::new("`policy` cannot name a cast")
                    .at(&cast.origin, "it is the model that the stage trains");
                self.diags.push(diag);
            }
            let said = cast.peek("from").and_then(Node::text);
            let start = said.map_or_else(|| Some(from.clone()), |text| self.start(text));
            casts.extend(start.map(|start| (name.to_string(), start)));
        }
        casts
    }

    /// Checks every reference in the stage.
    fn references(
        &mut self,
        node: &Node,
        knobs: &BTreeMap<String, f64>,
        uses: &mut Vec<(String, String, String)>,
    ) {
        if let (Some(names), Some(text)) = (node.names, node.text()) {
            self.reference(names, text, node, knobs, uses);
        }
        for child in node.children() {
            self.references(child, knobs, uses);
        }
    }

    fn reference(
        &mut self,
        names: Names,
        text: &str,
        node: &Node,
        knobs: &BTreeMap<String, f64>,
        uses: &mut Vec<(String, String, String)>,
    ) {
        let (found, known): (bool, Vec<String>) = match names {
            Names::Start => {
                (self.start(text).is_some(), self.earlier.stages.iter().map(|s| s.id.clone()).collect())
            }
            Names::StreamOf => self.stream_of(text, node, uses),
            Names::Stream => among(text, entries(self.stage, "stream").iter().map(|(k, _)| k.to_string())),
            Names::Cast => {
                let casts = entries(self.stage, "cast").iter().map(|(k, _)| k.to_string());
                among(text, casts.chain(["policy".to_owned()]))
            }
            Names::Clamp => among(text, entries(self.stage, "clamp").iter().map(|(k, _)| k.to_string())),
            Names::Knob | Names::KnobRead => (knobs.contains_key(text), knobs.keys().cloned().collect()),
        };
        if !found {
            let diag = self.not_found(names, text, node, &known);
            self.diags.push(diag);
        }
    }

    fn stream_of(
        &self,
        text: &str,
        node: &Node,
        uses: &mut Vec<(String, String, String)>,
    ) -> (bool, Vec<String>) {
        let before = self.all.iter().take(self.earlier.stages.len());
        let of_stage = |stage: &Node| {
            let id = stage.peek("id").and_then(Node::text).unwrap_or("").to_owned();
            entries(stage, "stream").iter().map(move |(name, _)| format!("{id}.{name}")).collect::<Vec<_>>()
        };
        let (found, known) = among(text, before.flat_map(of_stage));
        if let (true, Some((stage, stream))) = (found, text.split_once('.'))
            && let ["stage", _, "stream", own, "use"] = node.path().split('.').collect::<Vec<_>>().as_slice()
        {
            uses.push(((*own).to_owned(), stage.to_owned(), stream.to_owned()));
        }
        (found, known)
    }

    fn not_found(&self, names: Names, text: &str, node: &Node, known: &[String]) -> Diag {
        let what = match names {
            Names::Start => "earlier stage",
            Names::StreamOf => "stream of an earlier stage",
            Names::Stream => "stream of this stage",
            Names::Cast => "cast of this stage",
            Names::Clamp => "clamp of this stage",
            Names::Knob | Names::KnobRead => "number of this stage with a value",
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let later = self.all.iter().any(|s| s.peek("id").and_then(Node::text) == Some(text));
        let label = match names {
            Names::Start if later => "this stage does not come earlier".to_owned(),
            _ => hint::did_you_mean(text, &known),
        };
        let list = if known.is_empty() || known.len() > 12 {
            String::new()
        } else {
            format!("there are: {}", known.join(", "))
        };
        let folder =
            if names == Names::Start { format!("for a folder, write ./{text}") } else { String::new() };
        Diag::new(format!("`{text}` is no {what}")).at(&node.origin, label).note(list).note(folder)
    }

    /// Who writes which number; two writers of one are an error, because the order would decide.
    fn writers<'n>(
        &mut self,
        node: &'n Node,
        lead: &str,
        writers: &mut BTreeMap<String, (String, &'n Node)>,
    ) {
        if let Some(spec) = node.spec() {
            let holder = node.path().strip_prefix(lead).unwrap_or(node.path()).to_owned();
            let mut knobs: Vec<(String, &Node)> = Vec::new();
            named_knobs(node, &mut knobs);
            knobs.extend(spec.writes.iter().flat_map(|pattern| fill(pattern, node)).map(|knob| (knob, node)));
            for (knob, place) in knobs {
                match writers.get(&knob) {
                    Some((first, first_place)) => {
                        let diag = Diag::new(format!("`{knob}` is written by `{first}` and by `{holder}`"))
                            .at(&place.origin, "give each number one writer")
                            .at(&first_place.origin, "the first");
                        self.diags.push(diag);
                    }
                    None => drop(writers.insert(knob, (holder.clone(), place))),
                }
            }
        }
        for child in node.children() {
            self.writers(child, lead, writers);
        }
    }
}

/// An evaluation changes nothing: its end is its start.
fn end_of(stage: &StagePlan) -> Start {
    if stage.trains { Start::Stage(stage.id.clone()) } else { stage.from.clone() }
}

fn among(text: &str, known: impl Iterator<Item = String>) -> (bool, Vec<String>) {
    let known: Vec<String> = known.collect();
    (known.iter().any(|k| k == text), known)
}

fn collect_knobs(node: &Node, lead: &str, out: &mut BTreeMap<String, f64>) {
    if let (Some(x), Some(path)) = (node.number(), node.path().strip_prefix(lead)) {
        out.insert(path.to_owned(), x);
    }
    node.children().for_each(|child| collect_knobs(child, lead, out));
}

/// Knobs that a piece's own fields name; pieces inside it answer for theirs.
fn named_knobs<'n>(node: &'n Node, out: &mut Vec<(String, &'n Node)>) {
    for child in node.children() {
        match (child.names, child.text()) {
            (Some(Names::Knob), Some(knob)) => out.push((knob.to_owned(), child)),
            _ if child.spec().is_none() => named_knobs(child, out),
            _ => {}
        }
    }
}

/// A pattern with `{field}` in it gives one knob for each value of that field.
fn fill(pattern: &str, node: &Node) -> Vec<String> {
    let parts =
        pattern.split_once('{').and_then(|(a, rest)| rest.split_once('}').map(|(field, b)| (a, field, b)));
    let Some((before, field, after)) = parts else { return vec![pattern.to_owned()] };
    let Some(value) = node.peek(field) else { return Vec::new() };
    let texts = value.text().into_iter().chain(items(value).iter().filter_map(Node::text));
    texts.map(|text| format!("{before}{text}{after}")).collect()
}
