//! Rewards look at whole groups and return numbers, abstentions, or errors with their cause.

use regimen_data::task::Judgement;

use crate::episode::Group;

/// What a reward says of one completion. An error never becomes 0.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// The reward.
    Score(f64),
    /// This reward does not apply here; it is left out of the sum.
    Abstain,
    /// The reward could not be computed. The episode is left out of the loss and the cause is counted.
    Error(String),
}

/// Judges a reply to an example, when its source can.
pub type Judge<'a> = &'a dyn Fn(&regimen_data::Example, &str) -> Option<Judgement>;

/// Scores completions.
pub trait Reward: Send {
    /// One outcome for each episode of the group, in order.
    fn score(&self, group: &Group, judge: Judge) -> Vec<Outcome>;
}

/// A reward with its place in the sum.
pub struct Weighted {
    /// The name under which it is reported, `rewards/{name}/mean`.
    pub name: String,
    /// Its factor in the sum.
    pub weight: f64,
    /// The piece.
    pub reward: Box<dyn Reward>,
}

/// The rewards of one group: each part, and the weighted sum where it exists.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scored {
    /// The rewards' names, in the order of `parts`.
    pub names: Vec<String>,
    /// Per reward, per episode.
    pub parts: Vec<Vec<Outcome>>,
    /// Per episode; `None` when a part failed or all abstained.
    pub total: Vec<Option<f64>>,
    /// The causes of the failures.
    pub errors: Vec<String>,
}

/// Scores a group with all rewards.
pub fn score_group(rewards: &[Weighted], group: &Group, judge: Judge) -> Scored {
    let parts: Vec<Vec<Outcome>> = rewards.iter().map(|r| r.reward.score(group, judge)).collect();
    let names = rewards.iter().map(|r| r.name.clone()).collect();
    let mut scored = Scored { names, parts, total: Vec::new(), errors: Vec::new() };
    for episode in 0..group.episodes.len() {
        let mut sum = None;
        let mut failed = false;
        for (reward, outcomes) in rewards.iter().zip(&scored.parts) {
            match outcomes.get(episode) {
                Some(Outcome::Score(x)) if x.is_finite() => {
                    sum = Some(sum.unwrap_or(0.0) + reward.weight * x);
                }
                Some(Outcome::Abstain) => {}
                other => {
                    failed = true;
                    let cause = match other {
                        Some(Outcome::Error(cause)) => cause.clone(),
                        Some(Outcome::Score(x)) => format!("the score is {x}"),
                        _ => "no score for this completion".to_owned(),
                    };
                    scored.errors.push(format!("reward `{}`: {cause}", reward.name));
                }
            }
        }
        scored.total.push(if failed { None } else { sum });
    }
    scored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::{Episode, StopReason};
    use regimen_data::{Body, Example, ExampleId};

    struct Fixed(Vec<Outcome>);

    impl Reward for Fixed {
        fn score(&self, _: &Group, _: Judge) -> Vec<Outcome> {
            self.0.clone()
        }
    }

    fn group(n: usize) -> Group {
        let example = Example::new(ExampleId { source: 0, index: 0 }, Body::Messages(Vec::new()));
        let episode =
            Episode { tokens: Vec::new(), prompt_len: 0, stop: StopReason::Eos, text: String::new() };
        Group { example, episodes: vec![episode; n] }
    }

    fn weighted(weight: f64, outcomes: Vec<Outcome>) -> Weighted {
        Weighted { name: "r".into(), weight, reward: Box::new(Fixed(outcomes)) }
    }

    #[test]
    fn an_error_is_not_a_zero() {
        let rewards = [
            weighted(
                1.0,
                vec![Outcome::Score(1.0), Outcome::Score(1.0), Outcome::Abstain, Outcome::Score(f64::NAN)],
            ),
            weighted(
                0.5,
                vec![Outcome::Score(1.0), Outcome::Error("boom".into()), Outcome::Abstain, Outcome::Abstain],
            ),
        ];
        let scored = score_group(&rewards, &group(4), &|_, _| None);
        assert_eq!(scored.total, [Some(1.5), None, None, None]);
        assert_eq!(scored.errors, ["reward `r`: boom", "reward `r`: the score is NaN"]);
    }

    #[test]
    fn a_missing_score_is_an_error() {
        let scored = score_group(&[weighted(1.0, vec![])], &group(1), &|_, _| None);
        assert_eq!(scored.total, [None]);
        assert_eq!(scored.errors.len(), 1);
    }
}
