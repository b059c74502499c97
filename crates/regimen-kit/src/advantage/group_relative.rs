//! `group-relative`: reward minus the group's mean, by default over its standard deviation (Shao et al. 2024, §4.1).

use regimen_core::advantage::Advantage;
use regimen_core::registry::Piece;
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// TRL's ε in the division by the standard deviation.
const EPSILON: f64 = 1e-4;

/// (r − mean) / (std + ε) within a group.
pub struct GroupRelative {
    /// Divide by the group's standard deviation; without it this is Dr. GRPO's advantage (Liu et al. 2025).
    pub std: bool,
    /// Leave out groups whose rewards are all the same (DAPO's filter, Yu et al. 2025, §3.2).
    pub filter: bool,
}

impl Advantage for GroupRelative {
    fn advantages(&self, rewards: &[Option<f64>]) -> Vec<Option<f64>> {
        let known: Vec<f64> = rewards.iter().copied().flatten().collect();
        let n = known.len() as f64;
        let mean = known.iter().sum::<f64>() / n.max(1.0);
        let std = (known.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
        if self.filter && std == 0.0 {
            return vec![None; rewards.len()];
        }
        let scale = if self.std { std + EPSILON } else { 1.0 };
        rewards.iter().map(|r| r.map(|r| (r - mean) / scale)).collect()
    }
}

pub(super) const PIECE: Piece<dyn Advantage> = Piece {
    spec: KindSpec::new(
        Room::Advantage,
        "group-relative",
        "reward minus the group's mean, over the group's standard deviation",
        &[
            Field::new("std", Ty::Bool, "divide by the standard deviation; false is Dr. GRPO's advantage")
                .or("true"),
            Field::new("filter", Ty::Bool, "leave out groups whose rewards are all the same").or("false"),
        ],
    )
    .source("Shao et al. 2024 (arXiv:2402.03300), §4.1; Dr. GRPO arXiv:2503.20783; DAPO arXiv:2503.14476")
    .example(r#"{ kind = "group-relative", std = false }"#)
    .standard(),
    build: |node, _| Ok(Box::new(GroupRelative { std: node.bool("std"), filter: node.bool("filter") })),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_deviation_as_in_trl() {
        let a = GroupRelative { std: true, filter: false }.advantages(&[
            Some(1.0),
            Some(0.0),
            None,
            Some(0.0),
            Some(1.0),
        ]);
        let want = 0.5 / ((1.0f64 / 3.0).sqrt() + 1e-4);
        assert!((a[0].expect("a reward") - want).abs() < 1e-12);
        assert_eq!(a[2], None);
    }

    #[test]
    fn groups_without_a_difference_teach_nothing() {
        assert_eq!(GroupRelative { std: true, filter: false }.advantages(&[Some(1.0); 3]), [Some(0.0); 3]);
        assert_eq!(GroupRelative { std: true, filter: true }.advantages(&[Some(1.0); 3]), [None; 3]);
        assert_eq!(GroupRelative { std: true, filter: true }.advantages(&[None, None]), [None; 2]);
    }
}
