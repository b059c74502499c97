//! The places of a batch that carry loss: which token is predicted from where, and all that is known of it.

use regimen_data::{ExampleId, Features, Goal, Token};
use regimen_nn::Pick;
use serde::{Deserialize, Serialize};

/// Which reply of a preference a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The preferred one.
    Chosen,
    /// The other one; it stands right behind the chosen one.
    Rejected,
}

/// What a net reads of a unit.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// A document; each token carries its own weight and log-prob.
    Tokens(Vec<Token>),
    /// One row of numbers.
    Features(Features),
}

/// One part of a batch: an example, one side of a preference, or an episode.
#[derive(Clone, PartialEq, Debug)]
pub struct Unit {
    /// What it was made from.
    pub example: ExampleId,
    /// What the net reads.
    pub content: Content,
    /// Factor on its tokens' weights, from the sampler.
    pub weight: f32,
    /// How much better it was than its group; `None` for data, or where no reward exists.
    pub advantage: Option<f32>,
    /// Its side, where it belongs to a preference.
    pub side: Option<Side>,
}

impl Unit {
    /// Its tokens; none where it is a row of numbers.
    pub fn tokens(&self) -> &[Token] {
        match &self.content {
            Content::Tokens(tokens) => tokens,
            Content::Features(_) => &[],
        }
    }

    /// How much of a batch it takes: its tokens, or one row.
    pub fn size(&self) -> usize {
        match &self.content {
            Content::Tokens(tokens) => tokens.len(),
            Content::Features(_) => 1,
        }
    }

    /// How many places of it carry loss, but for the sampler's weight.
    pub fn places(&self) -> usize {
        match &self.content {
            Content::Tokens(tokens) => tokens.iter().skip(1).filter(|t| t.weight != 0.0).count(),
            Content::Features(features) => match &features.goal {
                Goal::Class(_) => 1,
                Goal::Values(wanted) => wanted.len(),
            },
        }
    }
}

/// Loss positions of some units, flat, in the order of the batch.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picks {
    /// Where in the flat batch the prediction is made, and the token to predict.
    pub picks: Vec<Pick>,
    /// The unit (document) of each pick.
    pub unit: Vec<u32>,
    /// The weight of each pick.
    pub weight: Vec<f32>,
    /// The log-prob under which each token was drawn; 0 where it was not.
    pub sampled: Vec<f32>,
    /// Whether the token was drawn by a model.
    pub drawn: Vec<bool>,
    /// The advantage of each pick's unit, where there is one.
    pub advantage: Vec<Option<f32>>,
    /// The value that each picked output should have; 0 for tokens.
    pub wanted: Vec<f32>,
    /// The side of each unit, with or without picks.
    pub sides: Vec<Option<Side>>,
    /// What each unit was made from: neighbours from one example are views of it.
    pub examples: Vec<ExampleId>,
}

impl Picks {
    /// The picks of `units` laid end to end. A document's first token has nothing before it and is never predicted.
    pub fn of(units: &[Unit]) -> Self {
        let mut all = Self {
            sides: units.iter().map(|u| u.side).collect(),
            examples: units.iter().map(|u| u.example).collect(),
            ..Self::default()
        };
        let mut start = 0u32;
        for (u, unit) in units.iter().enumerate() {
            match &unit.content {
                Content::Tokens(tokens) => {
                    for (i, token) in tokens.iter().enumerate().skip(1) {
                        let pick = Pick { position: start + i as u32 - 1, target: token.id };
                        all.push(u, unit, pick, (token.weight, 0.0), token.logprob);
                    }
                }
                Content::Features(Features { goal: Goal::Class(class), .. }) => {
                    all.push(u, unit, Pick { position: start, target: *class }, (1.0, 1.0), None);
                }
                Content::Features(Features { goal: Goal::Values(wanted), .. }) => {
                    for w in wanted {
                        all.push(u, unit, Pick { position: start, target: w.output }, (1.0, w.value), None);
                    }
                }
            }
            start += read(unit) as u32;
        }
        all
    }

    /// Enters a place, its weight and wanted value, and the log-prob under which its token was drawn, unless it weighs
    /// nothing.
    fn push(&mut self, u: usize, unit: &Unit, pick: Pick, (weight, wanted): (f32, f32), logp: Option<f32>) {
        let weight = weight * unit.weight;
        if weight != 0.0 {
            self.picks.push(pick);
            self.unit.push(u as u32);
            self.weight.push(weight);
            self.wanted.push(wanted);
            self.sampled.push(logp.unwrap_or(0.0));
            self.drawn.push(logp.is_some());
            self.advantage.push(unit.advantage);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// How many units there are, with or without picks.
    pub fn units(&self) -> usize {
        self.sides.len()
    }

    /// The preferences: the place of each chosen unit; its rejected one is the next.
    pub fn pairs(&self) -> Vec<usize> {
        (0..self.units()).filter(|&u| self.sides[u] == Some(Side::Chosen)).collect()
    }

    /// Whether nothing carries loss.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }
}

/// Cuts units into micro-batches of at most `cap` tokens (or rows of numbers) each, in order. What is longer than that
/// goes alone; the two sides of a preference stay together, and so do neighbouring rows that are views of one example.
pub fn micro_batches(units: &[Unit], cap: usize) -> Vec<std::ops::Range<usize>> {
    let mut cuts = Vec::new();
    let (mut from, mut tokens, mut at) = (0, 0, 0);
    while at < units.len() {
        let end = at + together(&units[at..]);
        let more: usize = units[at..end].iter().map(Unit::size).sum();
        if at > from && tokens + more > cap {
            cuts.push(from..at);
            (from, tokens) = (at, 0);
        }
        tokens += more;
        at = end;
    }
    if from < units.len() {
        cuts.push(from..units.len());
    }
    cuts
}

/// How many of the units at the beginning of `units` belong into one micro-batch.
fn together(units: &[Unit]) -> usize {
    let first = &units[0];
    match &first.content {
        Content::Tokens(_) => 1 + usize::from(first.side == Some(Side::Chosen)),
        Content::Features(_) => units.iter().take_while(|u| u.example == first.example).count(),
    }
}

/// How much of a unit a net reads: a row of numbers, or all tokens but the last, from which nothing is predicted.
pub(crate) fn read(unit: &Unit) -> usize {
    match &unit.content {
        Content::Tokens(tokens) => tokens.len().saturating_sub(1).max(1),
        Content::Features(_) => 1,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::flat::Flat;
    use regimen_data::{Role, Wanted};

    pub(crate) fn unit(weights: &[f32]) -> Unit {
        let token =
            |(i, &weight): (usize, &f32)| Token { id: i as u32 + 5, role: Role::Text, weight, logprob: None };
        Unit {
            example: ExampleId { source: 0, index: 0 },
            content: Content::Tokens(weights.iter().enumerate().map(token).collect()),
            weight: 1.0,
            advantage: None,
            side: None,
        }
    }

    #[test]
    fn a_first_token_is_never_predicted() {
        let picks = Picks::of(&[unit(&[1.0, 0.0, 1.0]), unit(&[1.0, 0.5])]);
        assert_eq!(picks.picks, [Pick { position: 1, target: 7 }, Pick { position: 2, target: 6 }]);
        assert_eq!(picks.unit, [0, 1]);
        assert_eq!(picks.weight, [1.0, 0.5]);
    }

    #[test]
    fn a_last_token_is_never_read() {
        let units = [unit(&[1.0, 1.0, 1.0]), unit(&[1.0]), unit(&[1.0, 1.0])];
        let flat = Flat::of(&units).expect("documents");
        assert_eq!(flat, Flat::Tokens { ids: vec![5, 6, 5, 5], starts: vec![0, 2, 3, 4] });
        let from: Vec<u32> = Picks::of(&units).picks.iter().map(|p| p.position).collect();
        assert_eq!(from, [0, 1, 3]);
    }

    fn row(index: u64, values: &[f32], goal: Goal) -> Unit {
        Unit {
            example: ExampleId { source: 0, index },
            content: Content::Features(Features { values: values.to_vec(), goal }),
            weight: 0.5,
            advantage: None,
            side: None,
        }
    }

    #[test]
    fn rows_of_numbers_pick_what_is_wanted_of_them() {
        let wanted = |output, value| Wanted { output, value };
        let units = [
            row(0, &[1.0, 2.0], Goal::Class(3)),
            row(1, &[3.0, 4.0], Goal::Values(vec![wanted(1, 0.5), wanted(0, -2.0)])),
        ];
        let picks = Picks::of(&units);
        let pick = |position, target| Pick { position, target };
        assert_eq!(picks.picks, [pick(0, 3), pick(1, 1), pick(1, 0)]);
        assert_eq!((picks.unit, picks.weight), (vec![0, 1, 1], vec![0.5; 3]));
        assert_eq!(picks.wanted, [1.0, 0.5, -2.0]);
        let flat = Flat::of(&units).expect("rows");
        assert_eq!(flat, Flat::Rows { values: vec![1.0, 2.0, 3.0, 4.0], width: 2 });
        let short = row(2, &[1.0], Goal::Class(0));
        assert!(Flat::of(&[units[0].clone(), short]).is_err());
        assert!(Flat::of(&[units[0].clone(), unit(&[1.0, 1.0])]).is_err());
        assert!(Flat::of(&[unit(&[1.0, 1.0]), units[0].clone()]).is_err());
    }

    #[test]
    fn views_of_an_example_stay_together() {
        let units: Vec<Unit> = [0, 0, 0, 1, 1, 2].iter().map(|&i| row(i, &[0.0], Goal::Class(0))).collect();
        assert_eq!(micro_batches(&units, 4), [0..3, 3..6]);
        assert_eq!(micro_batches(&units, 1), [0..3, 3..5, 5..6]);
    }

    #[test]
    fn micro_batches_cover_everything_once() {
        let units: Vec<Unit> = [3, 3, 9, 1, 2, 5].iter().map(|&n| unit(&vec![1.0; n])).collect();
        assert_eq!(micro_batches(&units, 6), [0..2, 2..3, 3..5, 5..6]);
        assert!(micro_batches(&[], 6).is_empty());
    }

    #[test]
    fn the_sides_of_a_preference_stay_together() {
        let side = |side, n: usize| Unit { side: Some(side), ..unit(&vec![1.0; n]) };
        let pair = |n| [side(Side::Chosen, n), side(Side::Rejected, n)];
        let units = [pair(2), pair(1), pair(4)].concat();
        assert_eq!(micro_batches(&units, 6), [0..4, 4..6]);
        assert_eq!(micro_batches(&units, 1), [0..2, 2..4, 4..6]);
        assert_eq!(Picks::of(&units).pairs(), [0, 2, 4]);
    }
}
