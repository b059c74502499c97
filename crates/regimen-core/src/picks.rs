//! The places of a batch that carry loss: which token is predicted from where, and all that is known of it.

use regimen_data::{ExampleId, Token};
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

/// One document of a batch: an example, one side of a preference, or an episode.
#[derive(Clone, PartialEq, Debug)]
pub struct Unit {
    /// What it was made from.
    pub example: ExampleId,
    /// Its tokens; each carries its own weight and log-prob.
    pub tokens: Vec<Token>,
    /// Factor on its tokens' weights, from the sampler.
    pub weight: f32,
    /// How much better it was than its group; `None` for data, or where no reward exists.
    pub advantage: Option<f32>,
    /// Its side, where it belongs to a preference.
    pub side: Option<Side>,
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
    /// The side of each unit, with or without picks.
    pub sides: Vec<Option<Side>>,
}

impl Picks {
    /// The picks of `units` laid end to end. A document's first token has nothing before it and is never predicted.
    pub fn of(units: &[Unit]) -> Self {
        let mut all = Self { sides: units.iter().map(|u| u.side).collect(), ..Self::default() };
        let mut start = 0u32;
        for (u, unit) in units.iter().enumerate() {
            for (i, token) in unit.tokens.iter().enumerate().skip(1) {
                let weight = token.weight * unit.weight;
                if weight != 0.0 {
                    all.picks.push(Pick { position: start + i as u32 - 1, target: token.id });
                    all.unit.push(u as u32);
                    all.weight.push(weight);
                    all.sampled.push(token.logprob.unwrap_or(0.0));
                    all.drawn.push(token.logprob.is_some());
                    all.advantage.push(unit.advantage);
                }
            }
            start += read(unit) as u32;
        }
        all
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

/// Cuts units into micro-batches of at most `cap` tokens each, in order. What is longer than that goes alone, and the
/// two sides of a preference stay together.
pub fn micro_batches(units: &[Unit], cap: usize) -> Vec<std::ops::Range<usize>> {
    let mut cuts = Vec::new();
    let (mut from, mut tokens, mut at) = (0, 0, 0);
    while at < units.len() {
        let end = at + if units[at].side == Some(Side::Chosen) { 2 } else { 1 };
        let more: usize = units[at..end].iter().map(|u| u.tokens.len()).sum();
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

/// How many tokens of a unit a net reads: nothing is predicted from the last one.
fn read(unit: &Unit) -> usize {
    unit.tokens.len().saturating_sub(1).max(1)
}

/// Ids and document starts of `units` laid end to end, each without its last token, as far as a net has to read them;
/// the last start is the number of tokens.
pub fn flat(units: &[Unit]) -> (Vec<u32>, Vec<u32>) {
    let mut ids = Vec::with_capacity(units.iter().map(read).sum());
    let mut starts = vec![0];
    for unit in units {
        ids.extend(unit.tokens.iter().take(read(unit)).map(|t| t.id));
        starts.push(ids.len() as u32);
    }
    (ids, starts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use regimen_data::Role;

    pub(crate) fn unit(weights: &[f32]) -> Unit {
        let token =
            |(i, &weight): (usize, &f32)| Token { id: i as u32 + 5, role: Role::Text, weight, logprob: None };
        Unit {
            example: ExampleId { source: 0, index: 0 },
            tokens: weights.iter().enumerate().map(token).collect(),
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
        let (ids, starts) = flat(&units);
        assert_eq!((ids, starts), (vec![5, 6, 5, 5], vec![0, 2, 3, 4]));
        let from: Vec<u32> = Picks::of(&units).picks.iter().map(|p| p.position).collect();
        assert_eq!(from, [0, 1, 3]);
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
