//! How unreduced terms become one number: said in the recipe, done once over the whole optimiser batch.

/// The denominator of a term.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reduce {
    /// Weighted mean over all tokens of the optimiser batch.
    PerToken,
    /// Mean over units (documents) of the weighted mean over each unit's tokens.
    PerUnit,
    /// Weighted sum divided by units × this constant (Dr. GRPO's longest completion).
    Constant(f64),
}

impl Reduce {
    /// The factor of each value in the loss, so that the loss is Σ factor·value over the whole optimiser batch,
    /// however it is cut into micro-batches. `unit[i]` in `0..units` owns `weights[i]`; a unit without weight counts
    /// in the mean over units as 0.
    pub fn factors(self, weights: &[f32], unit: &[u32], units: usize) -> Vec<f32> {
        let sum = |ws: &[f32]| ws.iter().map(|&w| f64::from(w)).sum::<f64>();
        match self {
            Self::PerToken => scaled(weights, sum(weights)),
            Self::Constant(c) => scaled(weights, c * units as f64),
            Self::PerUnit => {
                let mut totals = vec![0.0f64; units];
                for (&w, &u) in weights.iter().zip(unit) {
                    totals[u as usize] += f64::from(w);
                }
                let factor = |(&w, &u): (&f32, &u32)| divide(f64::from(w), totals[u as usize] * units as f64);
                weights.iter().zip(unit).map(factor).collect()
            }
        }
    }
}

fn scaled(weights: &[f32], by: f64) -> Vec<f32> {
    weights.iter().map(|&w| divide(f64::from(w), by)).collect()
}

fn divide(w: f64, by: f64) -> f32 {
    if by == 0.0 { 0.0 } else { (w / by) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_token_is_one_mean() {
        assert_eq!(Reduce::PerToken.factors(&[1.0, 1.0, 2.0], &[0, 0, 1], 2), [0.25, 0.25, 0.5]);
    }

    #[test]
    fn per_unit_gives_each_unit_the_same_say() {
        assert_eq!(Reduce::PerUnit.factors(&[1.0, 1.0, 5.0], &[0, 0, 2], 4), [0.125, 0.125, 0.25]);
    }

    #[test]
    fn constant_ignores_how_long_the_units_are() {
        assert_eq!(Reduce::Constant(4.0).factors(&[1.0, 1.0, 1.0], &[0, 0, 1], 2), [0.125; 3]);
    }

    #[test]
    fn nothing_to_learn_is_not_a_nan() {
        assert_eq!(Reduce::PerToken.factors(&[0.0, 0.0], &[0, 0], 1), [0.0, 0.0]);
        assert_eq!(Reduce::PerUnit.factors(&[0.0], &[0], 1), [0.0]);
        assert!(Reduce::PerToken.factors(&[], &[], 0).is_empty());
    }
}
