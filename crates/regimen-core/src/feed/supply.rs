//! Where a stream's examples come from: sources, the sampler over them, and the ledger of what was used.

use std::sync::Arc;

use regimen_base::{Key, Result, Split};
use regimen_data::task::{Judgement, Parse, Task};
use regimen_data::{Catalogue, Example, Ledger};
use regimen_data::{Draw, Sampler};

/// The verifiers of a stream's sources, in their order.
#[derive(Clone, Default)]
pub struct Judges(pub Vec<Option<Arc<dyn Task>>>);

impl Judges {
    /// Whether there is something to judge a reply to this example by.
    pub fn can_judge(&self, example: &Example) -> bool {
        example.answer.is_some() || self.0.get(example.id.source as usize).is_some_and(Option::is_some)
    }

    /// A task's verdict; for a row of a file, whether the reply is its `answer`; `None` where neither exists.
    pub fn judge(&self, example: &Example, reply: &str) -> Option<Judgement> {
        match self.0.get(example.id.source as usize).and_then(Option::as_ref) {
            Some(task) => Some(task.judge(example, reply)),
            None => example.answer.as_deref().map(|answer| exact_match(answer, reply)),
        }
    }
}

fn exact_match(answer: &str, reply: &str) -> Judgement {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let parse = if reply.trim().is_empty() { Parse::Missing } else { Parse::Answer };
    Judgement { score: f64::from(u8::from(words(answer) == words(reply))), parse }
}

/// Sources, sampler and ledger of one stream.
pub struct Supply {
    /// The sources.
    pub catalogue: Catalogue,
    /// Their verifiers.
    pub judges: Judges,
    /// What decides the order.
    pub sampler: Box<dyn Sampler>,
    /// What was used so far.
    pub ledger: Ledger,
    /// The stream's own key.
    pub key: Key,
}

impl Supply {
    /// The next draw, with its example.
    pub fn draw(&mut self) -> Result<(Draw, Example)> {
        let draws = self.sampler.draw(1, &self.catalogue, &self.ledger, self.key.child("sampler"))?;
        let draw = draws
            .into_iter()
            .next()
            .ok_or_else(|| regimen_base::Error::failed("the sampler drew nothing"))?;
        let mut example = self.catalogue.get(draw.id, Split::Train)?;
        example.view = draw.view;
        Ok((draw, example))
    }

    /// How often the data has been passed over; `None` for endless tasks.
    pub fn epoch(&self) -> Option<f64> {
        let total = self.catalogue.total(Split::Train)?;
        Some(self.sampler.position() as f64 / total.max(1) as f64)
    }

    /// The key of what is random about one view of an example.
    pub fn view_key(&self, draw: &Draw) -> Key {
        self.key.child("view").at(u64::from(draw.id.source)).at(draw.id.index).at(draw.view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_whole_reply() {
        for (reply, score, parse) in [
            ("Paris", 1.0, Parse::Answer),
            ("  Paris\n", 1.0, Parse::Answer),
            ("Paris or Rome", 0.0, Parse::Answer),
            (" ", 0.0, Parse::Missing),
        ] {
            assert_eq!(exact_match("Paris", reply), Judgement { score, parse }, "{reply}");
        }
    }
}
