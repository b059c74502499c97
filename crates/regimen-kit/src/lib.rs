//! The shared pieces: one file a piece, one table a room.

pub mod advantage;
pub mod arch;
pub mod controller;
pub mod data;
pub mod objective;
pub mod optimizer;
pub mod probe;
pub mod reward;
pub mod rollout;
pub mod sampler;
pub mod schedule;
pub mod task;
pub mod tokenizer;
pub mod transform;
pub mod update;

use regimen_core::registry::Registry;

/// All pieces of this crate.
pub fn registry() -> Registry {
    Registry {
        arch: vec![arch::TABLE],
        tokenizer: vec![tokenizer::TABLE],
        task: vec![task::TABLE],
        data: vec![data::TABLE],
        transform: vec![transform::TABLE],
        sampler: vec![sampler::TABLE],
        objective: vec![objective::TABLE],
        rollout: vec![rollout::TABLE],
        reward: vec![reward::TABLE],
        advantage: vec![advantage::TABLE],
        update: vec![update::TABLE],
        optimizer: vec![optimizer::TABLE],
        schedule: vec![schedule::TABLE],
        controller: vec![controller::TABLE],
        probe: vec![probe::TABLE],
        ..Registry::default()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tables_are_sound() {
        let faults = super::registry().catalogue().verify();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
