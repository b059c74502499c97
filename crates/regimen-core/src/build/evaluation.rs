//! What is measured on held-out items.

use std::sync::Arc;

use regimen_base::{Key, Result, Split};
use regimen_data::{ChatTemplate, Source, Tokenizer, Transform};
use regimen_nn::{Arch, Shape};
use regimen_recipe::Node;

use super::{Builder, micro_batch_tokens};
use crate::evaluate::{Evaluation, Set};
use crate::registry::{BuildCx, build};
use crate::rollout::{Rollout, Settings, SingleTurn};

impl Builder<'_> {
    /// The sets that an `eval` table names. Its items do not depend on the run's seed, so that runs are compared on
    /// the same questions.
    /// `speech` is what a decoder has; `arch` is the net's.
    pub fn evaluation(
        &self,
        eval: &Node,
        speech: Option<(&Tokenizer, &Shape)>,
        arch: &Arch,
    ) -> Result<Evaluation> {
        let key = Key::new(0).child("eval");
        let sources = self.sources(eval.list("data"), key.child("source"))?;
        let rollout: Box<dyn Rollout> = match eval.opt_table("sampling") {
            Some(node) => build(&self.registry.rollout, node, &BuildCx::default())?,
            None => {
                Box::new(SingleTurn(Settings::greedy(speech.map_or(1, |(_, shape)| shape.max_positions))))
            }
        };
        let mut probes = Vec::new();
        for node in eval.list("probe") {
            probes.push((String::new(), build(&self.registry.probe, node, &BuildCx::default())?));
        }
        let mut sets = Vec::new();
        for (i, source) in sources.catalogue.sources().iter().enumerate() {
            let gold = match speech {
                Some((tokenizer, shape)) => gold_transforms(source.as_ref(), tokenizer, shape.max_positions)?,
                None => Vec::new(),
            };
            let name = sources.names[i].clone();
            sets.push(Set { name, source: Arc::clone(source), judges: sources.judges.clone(), gold });
        }
        let n = eval.opt_u64("n").unwrap_or(200);
        let (micro_batch_tokens, select) = (micro_batch_tokens(arch), eval.opt_usize("select"));
        Ok(Evaluation { sets, n, rollout, key, micro_batch_tokens, probes, select })
    }
}

/// What makes weighted gold tokens of a source's items: conversations are judged on the reply, text on all of it.
fn gold_transforms(
    source: &dyn Source,
    tokenizer: &Tokenizer,
    context: usize,
) -> Result<Vec<Box<dyn Transform>>> {
    use regimen_data::Body;
    use regimen_data::transform::{Chat, Chunk, Text, TrainOnReply, Turns};
    let is_text =
        source.len(Split::Eval) != Some(0) && matches!(source.get(0, Split::Eval)?.body, Body::Text(_));
    if is_text {
        return Ok(vec![Box::new(Text::new(tokenizer.clone())), Box::new(Chunk { tokens: context })]);
    }
    Ok(vec![Box::new(Chat::new(ChatTemplate::of(tokenizer)?)), Box::new(TrainOnReply { turns: Turns::All })])
}
