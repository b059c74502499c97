//! Weights to start from.

use regimen_base::Key;

use crate::layout::Entry;
use crate::params::Params;

/// How a net's weights are drawn: normal(0, `std`) for matrices, 1 for norm weights, 0 for biases (the rule of
/// GPT-2 and of `transformers`' `initializer_range`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Init {
    /// Standard deviation of matrices.
    pub std: f32,
    /// `Some(layers)` divides it by √(2·layers) for the projections that write into the residual stream
    /// (`o_proj`, `down_proj`), so that the stream's variance does not grow with depth (Radford et al. 2019, §2.3).
    pub residual: Option<usize>,
}

impl Default for Init {
    fn default() -> Self {
        Self { std: 0.02, residual: None }
    }
}

impl Init {
    fn std_of(&self, path: &str) -> f64 {
        let writes = path.ends_with("o_proj.weight") || path.ends_with("down_proj.weight");
        match self.residual {
            Some(layers) if writes => f64::from(self.std) / (2.0 * layers.max(1) as f64).sqrt(),
            _ => f64::from(self.std),
        }
    }
}

impl Params {
    /// Draws every parameter anew, each from its own `key.child(path)`: adding a parameter changes no other draw.
    pub fn init(&mut self, how: &Init, key: Key) {
        let (layout, flat) = self.parts_mut();
        for entry in layout.entries() {
            draw(&mut flat[entry.range.clone()], entry, how, key.child(&entry.path));
        }
    }
}

fn draw(weights: &mut [f32], entry: &Entry, how: &Init, key: Key) {
    if entry.path.ends_with("bias") || entry.path.ends_with("lora_B.weight") {
        weights.fill(0.0);
    } else if entry.shape.len() == 1 {
        weights.fill(1.0);
    } else {
        let std = how.std_of(&entry.path);
        let mut rng = key.rng();
        for w in weights {
            *w = (rng.normal() * std) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn params(extra: bool) -> Params {
        let mut named = vec![
            ("model.norm.weight".to_owned(), vec![8]),
            ("a.q_proj.weight".to_owned(), vec![64, 64]),
            ("a.q_proj.bias".to_owned(), vec![64]),
            ("a.o_proj.weight".to_owned(), vec![64, 64]),
        ];
        if extra {
            named.insert(1, ("b.weight".to_owned(), vec![3, 3]));
        }
        Params::zeros(Layout::new(named))
    }

    fn std(values: &[f32]) -> f64 {
        (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn each_kind_gets_its_own_spread() {
        let mut p = params(false);
        p.init(&Init { std: 0.02, residual: Some(8) }, Key::new(1));
        let of = |path| p.get(path).expect("it is in the layout");
        assert!(of("model.norm.weight").iter().all(|w| *w == 1.0));
        assert!(of("a.q_proj.bias").iter().all(|w| *w == 0.0));
        assert!((std(&of("a.q_proj.weight")) / 0.02 - 1.0).abs() < 0.05);
        assert!((std(&of("a.o_proj.weight")) / 0.005 - 1.0).abs() < 0.05);
    }

    #[test]
    fn another_parameter_changes_no_draw() {
        let (mut small, mut large) = (params(false), params(true));
        small.init(&Init::default(), Key::new(1));
        large.init(&Init::default(), Key::new(1));
        assert_eq!(small.get("a.q_proj.weight"), large.get("a.q_proj.weight"));
    }
}
