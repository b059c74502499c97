//! What is wrong with data, templates, masks and rewards, found before the first step.

mod ends;
mod finding;
mod lengths;
mod masks;
mod packs;
mod repeats;
mod rewards;
mod rows;
mod settings;
mod shown;
mod texts;

use std::sync::Arc;

use regimen_base::Result;
use regimen_core::feed::{DataFeed, RolloutFeed};
use regimen_core::registry::{BuildCx, Registry, build};
use regimen_core::stage::{Feed, Stage};
use regimen_data::{Source, Tokenizer};
use regimen_recipe::{Node, StagePlan};

pub use finding::{Findings, Level};
pub use rows::{Looked, look};
#[cfg(test)]
pub use shown::Run;
pub use shown::{Sequence, Shown};

/// What the checks of a stream must know of it.
pub struct Setting {
    /// The policy's tokenizer.
    pub tokenizer: Tokenizer,
    /// The longest sequence.
    pub context: usize,
    /// Where `max-length` cuts, if it does.
    pub truncates: Option<usize>,
    /// The ids that end a reply, where there is a chat template.
    pub stops: Option<Vec<u32>>,
    /// Whether the recipe says that every token is meant to be trained on.
    pub everything: bool,
    /// The programs that rewards run; they are handed every column.
    pub programs: Vec<String>,
}

impl Setting {
    fn of(stream: &Node, registry: &Registry, tokenizer: &Tokenizer, context: usize) -> Result<Self> {
        let cx = BuildCx { tokenizer: Some(tokenizer.clone()), context, weights: Vec::new() };
        let mut setting = Self {
            tokenizer: tokenizer.clone(),
            context,
            truncates: None,
            stops: None,
            everything: false,
            programs: stream.list("reward").iter().filter(|r| r.kind() == "program").map(command).collect(),
        };
        for node in stream.list("transform") {
            let transform = build(&registry.transform, node, &cx)?;
            if let Some(template) = transform.template() {
                setting.stops = Some(template.stops()?);
            }
            let field = |name: &str| node.to_json().get(name).cloned().unwrap_or_default();
            setting.everything |= field("loss") == "everything";
            if field("over") == "truncate" {
                setting.truncates = Some(field("tokens").as_u64().map_or(context, |n| n as usize));
            }
        }
        Ok(setting)
    }
}

/// What a reward of the kind `program` runs.
fn command(reward: &Node) -> String {
    match reward.to_json().get("command") {
        Some(serde_json::Value::Array(words)) => {
            words.iter().filter_map(|w| w.as_str()).collect::<Vec<_>>().join(" ")
        }
        other => other.and_then(|c| c.as_str()).unwrap_or_default().to_owned(),
    }
}

/// What is filled while looking.
pub struct Report<'a> {
    /// What was found.
    pub findings: &'a mut Findings,
    /// Rows to be shown.
    pub shown: &'a mut Shown,
}

/// Looks at every stream of a stage.
pub fn examine(
    stage: &Stage,
    node: &Node,
    plan: &StagePlan,
    registry: &Registry,
    loaded: bool,
    report: &mut Report,
) -> Result<()> {
    report.findings.enter(format!("stage `{}`", stage.id));
    settings::learning_rate(node, plan, loaded, report.findings);
    for (stream, (name, stream_node)) in stage.streams.iter().zip(node.map("stream")) {
        let within = format!("stage `{}`, stream `{name}`", stage.id);
        report.findings.enter(within.clone());
        let context = match &stream.feed {
            Feed::Data(feed) => feed.context,
            Feed::Rollout(_) => stage.policy.shape()?.max_positions,
        };
        // rows of numbers come from tasks, and have neither masks nor templates to get wrong
        let Some((tokenizer, _)) = stage.policy.speech() else { continue };
        let setting = Setting::of(stream_node, registry, tokenizer, context)?;
        let supply = match &stream.feed {
            Feed::Data(feed) => {
                static_data(feed, &setting, &within, report);
                &feed.supply
            }
            Feed::Rollout(feed) => {
                rollouts(feed, &setting, &within, report)?;
                &feed.supply
            }
        };
        for source in supply.catalogue.sources().iter().filter(|s| s.is_in_files()) {
            repeats::duplicates(source, report.findings);
        }
    }
    Ok(())
}

fn static_data(feed: &DataFeed, setting: &Setting, within: &str, report: &mut Report) {
    let findings = &mut *report.findings;
    let looked = look(&feed.supply, &feed.transforms, findings);
    masks::check(&looked, setting, findings);
    ends::check(&looked, setting, findings);
    packs::check(&looked, setting, findings);
    lengths::check(&looked, setting, findings);
    texts::specials(&looked, setting, findings);
    texts::columns(&looked, setting, findings);
    report.shown.keep(within, &looked, &setting.tokenizer);
}

fn rollouts(feed: &RolloutFeed, setting: &Setting, within: &str, report: &mut Report) -> Result<()> {
    for command in &setting.programs {
        report.findings.note(format!("program: {within} runs `{command}`"));
    }
    let looked = look(&feed.supply, &[], report.findings);
    texts::specials(&looked, setting, report.findings);
    texts::columns(&looked, setting, report.findings);
    rewards::dry_run(feed, &setting.tokenizer, report.findings)?;
    report.shown.keep_prompts(within, &looked, feed, &setting.tokenizer)
}

/// Looks for held-out rows among what all stages train on.
pub fn leaks(trained: &[Arc<dyn Source>], held_out: &[Arc<dyn Source>], findings: &mut Findings) {
    findings.enter(String::new());
    repeats::leaks(trained, held_out, findings);
}
