//! What a recorded result was recorded of.

use regimen_core::run::digest;
use regimen_recipe::Recipe;
use serde::{Deserialize, Serialize};

use crate::Claims;

/// Digests of all that decides a result, but for the program's arithmetic, which has a version of its own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Digests {
    /// Of the recipe's values as written, with its bases; comments do not count.
    pub recipe: String,
    /// Of the claim's values, with defaults.
    pub claim: String,
    /// Of the code of the paper's own pieces.
    pub pieces: String,
}

impl Digests {
    /// Those of a paper.
    pub fn of<'a>(
        recipe: &Recipe,
        claims: &Claims,
        sources: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut pieces = String::new();
        for (file, text) in sources {
            pieces.extend([file, "\0", text, "\0"]);
        }
        Self {
            recipe: digest(recipe.as_written().to_string().as_bytes()),
            claim: digest(claims.written.to_string().as_bytes()),
            pieces: digest(pieces.as_bytes()),
        }
    }

    /// What is not as it was: `recipe`, `claim`, `pieces`.
    pub fn changed(&self, recorded: &Self) -> Vec<&'static str> {
        let each = [
            ("recipe", self.recipe == recorded.recipe),
            ("claim", self.claim == recorded.claim),
            ("pieces", self.pieces == recorded.pieces),
        ];
        each.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}
