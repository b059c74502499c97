//! Means with their spread.

/// A mean over runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation (n − 1); 0 for a single value.
    pub sd: f64,
    /// How many values.
    pub n: usize,
}

/// Mean and standard deviation; `None` for no values.
pub fn mean(values: &[f64]) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let sd = if n > 1 { (square / (n - 1) as f64).sqrt() } else { 0.0 };
    Some(Estimate { mean, sd, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_deviation() {
        let e = mean(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).expect("values");
        assert_eq!((e.mean, e.n), (5.0, 8));
        assert!((e.sd - 2.138_089_935).abs() < 1e-9);
        assert_eq!(mean(&[]), None);
    }
}
