//! How a token's place enters a decoder.

use std::f64::consts::TAU;

/// How a token's place enters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys are turned (Su et al. 2021).
    Rotary(Rotary),
    /// A learned vector a position is added to the embedding (GPT-2).
    Learned,
}

/// Rotary positions, rotate-half form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// Base of the frequencies.
    pub theta: f32,
    /// How many of a head's first numbers are turned; even.
    pub dims: Option<usize>,
    /// Frequencies stretched for a longer context.
    pub scaling: Option<RopeScaling>,
}

/// How frequencies are stretched for a context longer than that of the pre-training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// All divided by `factor` (Chen et al. 2023).
    Linear {
        /// How much longer the context became.
        factor: f32,
    },
    /// Low frequencies divided by `factor`, high ones kept, in between a mixture (Llama 3.1).
    Llama3 {
        /// What low frequencies are divided by.
        factor: f32,
        /// `original` divided by the longest wavelength that is not fully divided.
        low: f32,
        /// `original` divided by the longest wavelength that is kept.
        high: f32,
        /// Context of the pre-training.
        original: usize,
    },
}

impl Positions {
    /// Rotary positions of whole heads, unscaled.
    pub const fn rotary(theta: f32) -> Self {
        Self::Rotary(Rotary { theta, dims: None, scaling: None })
    }

    pub(super) fn check(&self, head_dim: usize) -> Result<(), String> {
        let Self::Rotary(rotary) = self else { return Ok(()) };
        let dims = rotary.dims.unwrap_or(head_dim);
        if !dims.is_multiple_of(2) {
            return Err(format!("head-dim ({dims}) is odd, rotary positions need pairs"));
        }
        if dims > head_dim {
            return Err(format!("{dims} rotary dimensions do not fit in a head of {head_dim}"));
        }
        if !(rotary.theta.is_finite() && rotary.theta > 0.0) {
            return Err(format!("rope-theta ({}) is not positive", rotary.theta));
        }
        rotary.scaling.map_or(Ok(()), RopeScaling::check)
    }

    /// theta^(−2i / dims), scaled; one a pair, radians a position. Empty for learned positions.
    pub fn inv_freq(&self, head_dim: usize) -> Vec<f32> {
        let Self::Rotary(rotary) = self else { return Vec::new() };
        let dims = rotary.dims.unwrap_or(head_dim);
        let plain = |i: usize| f64::from(rotary.theta).powf(-2.0 * i as f64 / dims as f64);
        let scaled = |f: f64| rotary.scaling.map_or(f, |scaling| scaling.apply(f));
        (0..dims / 2).map(|i| scaled(plain(i)) as f32).collect()
    }
}

impl RopeScaling {
    fn check(self) -> Result<(), String> {
        let positive = match self {
            Self::Linear { factor } => vec![factor],
            Self::Llama3 { factor, low, high, original } => vec![factor, low, high - low, original as f32],
        };
        if positive.iter().all(|x| x.is_finite() && *x > 0.0) {
            Ok(())
        } else {
            Err(format!("the RoPE scaling {self:?} is impossible"))
        }
    }

    fn apply(self, f: f64) -> f64 {
        match self {
            Self::Linear { factor } => f / f64::from(factor),
            Self::Llama3 { factor, low, high, original } => {
                let (factor, low, high) = (f64::from(factor), f64::from(low), f64::from(high));
                // wavelengths that the original context holds
                let turns = original as f64 * f / TAU;
                let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - keep) * f / factor + keep * f
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192 };
        let rotary = |scaling| Positions::Rotary(Rotary { theta: 5e5, dims: None, scaling });
        let (plain, scaled) = (rotary(None).inv_freq(128), rotary(Some(scaling)).inv_freq(128));
        assert_eq!(plain[..29], scaled[..29]);
        assert!(plain[29] > scaled[29] && scaled[34] > plain[34] / 8.0);
        assert!(plain[36..].iter().zip(&scaled[36..]).all(|(a, b)| (a / b - 8.0).abs() < 1e-5));
    }

    #[test]
    fn part_of_a_head_turns() {
        let part = Positions::Rotary(Rotary { theta: 1e4, dims: Some(4), scaling: None });
        assert_eq!(part.inv_freq(16), [1.0, 0.01]);
        assert!(part.check(2).is_err_and(|e| e.contains("do not fit")));
    }
}
