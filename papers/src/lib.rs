//! Papers that check themselves: one folder a paper, with its recipe, its claim, and the pieces that only it needs.
//!
//! A folder `pNNN_slug` holds `README.md`, `recipe.toml`, `claim.toml`, after a recorded verification `result.json`, and
//! where the paper has pieces of its own a `mod.rs` with `pub fn pieces(registry: &mut Registry)`, which appends tables.
//! `build.rs` finds the folders; nothing else names them. `docs/add-a-paper.md` tells how to write one.

mod claim;
mod digests;
mod paper;
mod record;

pub use claim::{Claims, FORM, KINDS, Metric, Score, Stated, Sum};
pub use digests::Digests;
pub use paper::Paper;
pub use record::{ArmLedger, Record, Standing, StatedVerdict};

use regimen_core::registry::Registry;

include!(concat!(env!("OUT_DIR"), "/papers.rs"));

/// All pieces: those of the kit, those of the papers, and the kinds of claims.
pub fn registry() -> Registry {
    let mut registry = regimen_kit::registry();
    registry.claim.push(KINDS);
    registry.forms.push(&FORM);
    for pieces in PAPERS.iter().filter_map(|paper| paper.pieces) {
        pieces(&mut registry);
    }
    registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sound() {
        let faults = registry().catalogue().verify();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn numbers_are_given_once() {
        for pair in PAPERS.windows(2) {
            assert!(pair[0].number() != pair[1].number(), "{} and {}", pair[0].folder, pair[1].folder);
        }
    }

    /// Every claim names arms and metrics that its recipe has, and can be decided.
    #[test]
    fn every_paper_is_sound() {
        let catalogue = registry().catalogue();
        for paper in PAPERS {
            let recipe = regimen_recipe::Recipe::read(&format!("{}/recipe.toml", paper.folder), &|_| {
                Ok(paper.recipe.to_owned())
            });
            // a recipe that builds on another one is checked by the program, which carries the bases
            let Ok(recipe) = recipe else { continue };
            recipe.check(&catalogue, &[]).unwrap_or_else(|e| panic!("{e}"));
            let claims =
                Claims::read(&format!("{}/claim.toml", paper.folder), paper.claim, &recipe, &catalogue);
            claims.unwrap_or_else(|e| panic!("{e}"));
            assert!(!paper.readme.trim().is_empty(), "{} has no words", paper.folder);
        }
    }
}
