//! What one step takes from a stage's streams, and what their files take.

use regimen_base::{Result, Split};
use regimen_core::feed::{DataFeed, RolloutFeed, prompt_tokens};
use regimen_core::model::Outline;
use regimen_core::run::Disk;
use regimen_core::stage::{Feed, Stage};
use regimen_data::{Body, Example, ExampleId, Files, Role};
use regimen_recipe::{Node, Room};

use super::examine::SLOTS;
use super::load::Load;

/// Items that are looked at to learn how long they are.
const PROBE: u64 = 64;

/// What one step takes from a stream.
pub(super) struct Step {
    pub tokens: f64,
    pub generated: f64,
    pub rows: f64,
}

pub(super) fn static_step(feed: &mut DataFeed) -> Result<Step> {
    // a sampler that cannot draw and a mask that leaves nothing show at the first batch
    feed.next(0)?;
    let (_, units, tokens) = feed.probe(PROBE)?;
    let rows = feed.batch as f64;
    Ok(Step { tokens: rows * tokens as f64 / units.max(1) as f64, generated: 0.0, rows })
}

pub(super) fn rollout_step(feed: &mut RolloutFeed, outline: &Outline, load: &mut Load) -> Result<Step> {
    feed.supply.draw()?;
    let settings = feed.rollout.settings();
    let (mut lengths, mut longest, mut seen) = (0, 0, 0);
    let (mut replies, mut with_reply) = (0, 0);
    for (source, len) in feed.supply.catalogue.lens(Split::Train).into_iter().enumerate() {
        for index in 0..len.unwrap_or(PROBE).min(PROBE) {
            let example =
                feed.supply.catalogue.get(ExampleId { source: source as u32, index }, Split::Train)?;
            let length = prompt_tokens(&feed.template, &example)?.len();
            (lengths, longest, seen) = (lengths + length, longest.max(length), seen + 1);
            if let Some(reply) = gold_reply(feed, &example, length)? {
                (replies, with_reply) = (replies + reply, with_reply + 1);
            }
        }
    }
    let prompt = f64::from(lengths as u32) / f64::from(seen.max(1));
    let rows = (feed.batch * settings.size) as f64;
    let context = outline.decoder()?.shape.max_positions;
    load.longest = load.longest.max((longest + settings.max_new).min(context));
    load.slots = load.slots.max((feed.batch * settings.size).min(SLOTS));
    let most = (settings.max_new as f64).min((context as f64 - prompt).max(0.0));
    // as long as the replies of the data, or half of what is allowed
    let written =
        if with_reply > 0 { f64::from(replies as u32) / f64::from(with_reply) } else { most / 2.0 }.min(most);
    let fresh = 1.0 / settings.inner_steps.max(1) as f64;
    Ok(Step { tokens: rows * (prompt + written), generated: rows * written * fresh, rows })
}

/// The length of the reply that the data holds, in tokens.
fn gold_reply(feed: &RolloutFeed, example: &Example, prompt: usize) -> Result<Option<usize>> {
    let Body::Messages(messages) = &example.body else { return Ok(None) };
    if messages.last().is_none_or(|m| m.role != Role::Assistant) {
        return Ok(None);
    }
    Ok(Some(feed.template.tokenize(messages)?.len().saturating_sub(prompt)))
}

/// What is kept of a row of a file: where it lies.
pub(super) const ROW_BYTES: u64 = 40;

/// Rows of the files of all streams.
pub(super) fn rows_of(stage: &Stage) -> u64 {
    let supply = |feed: &Feed| match feed {
        Feed::Data(feed) => feed.supply.catalogue.total(Split::Train),
        Feed::Rollout(feed) => feed.supply.catalogue.total(Split::Train),
    };
    stage.streams.iter().filter_map(|stream| supply(&stream.feed)).sum()
}

/// What a file of `bytes` takes beside its rows' places. Lines are read where they lie; of Parquet up to about 1 GiB of
/// decoded row groups is kept; the rest is read as a whole.
fn held(path: &std::path::Path, bytes: u64) -> u64 {
    match path.extension().and_then(|e| e.to_str()) {
        Some("jsonl" | "ndjson" | "txt" | "md" | "text") => 0,
        Some("parquet") => (4 * bytes).min(1 << 30),
        _ => bytes,
    }
}

/// What the files of a stage's streams take in memory.
pub(super) fn data_bytes(stage: &Node) -> Result<u64> {
    let mut bytes = 0;
    for (_, stream) in stage.map("stream") {
        for data in stream.list("data").iter().filter(|d| d.room() == Some(Room::Data) && declares(d, "path"))
        {
            for file in Disk.list(std::path::Path::new(data.str("path")))? {
                bytes += held(&file, std::fs::metadata(&file).map_or(0, |m| m.len()));
            }
        }
    }
    Ok(bytes)
}

/// Whether a piece has a field of this name; kinds are added without this crate knowing them.
pub(super) fn declares(node: &Node, field: &str) -> bool {
    node.spec().is_some_and(|spec| spec.fields.iter().any(|f| f.name == field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_lines_takes_no_memory() {
        let held = |name: &str| held(std::path::Path::new(name), 1 << 40);
        assert_eq!((held("a.jsonl"), held("b/a.txt"), held("a.parquet")), (0, 0, 1 << 30));
        assert_eq!((held("a.json"), held("a.csv"), held("a")), (1 << 40, 1 << 40, 1 << 40));
    }
}
