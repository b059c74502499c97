//! What a model said: episodes, and groups of them over one prompt.

use regimen_data::{Example, Role, Token};
use serde::{Deserialize, Serialize};

/// Why a completion ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model ended its turn.
    Eos,
    /// A stop string appeared.
    StopString,
    /// The most tokens allowed were made.
    Length,
    /// The context was full.
    Context,
}

impl StopReason {
    /// Whether the completion was cut off rather than ended.
    pub fn truncated(self) -> bool {
        matches!(self, Self::Length | Self::Context)
    }

    /// The word used in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::StopString => "stop-string",
            Self::Length => "length",
            Self::Context => "context",
        }
    }

    /// The inverse of [`StopReason::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Eos, Self::StopString, Self::Length, Self::Context].into_iter().find(|s| s.name() == name)
    }
}

/// One generated sequence: prompt and completion, token for token as the model read and drew them.
#[derive(Clone, PartialEq, Debug)]
pub struct Episode {
    /// Prompt, forced prefix and completion. Drawn tokens carry their log-prob.
    pub tokens: Vec<Token>,
    /// How many of them are prompt.
    pub prompt_len: usize,
    /// Why it ended.
    pub stop: StopReason,
    /// The completion as text, without the turn-ending token. A view: training uses the tokens.
    pub text: String,
}

impl Episode {
    /// The tokens after the prompt.
    pub fn completion(&self) -> &[Token] {
        &self.tokens[self.prompt_len..]
    }

    /// How many tokens the model drew.
    pub fn drawn(&self) -> usize {
        self.completion().iter().filter(|t| t.logprob.is_some()).count()
    }
}

/// A token that the model drew itself.
pub(crate) fn drawn_token(id: u32, logprob: f32) -> Token {
    Token { id, role: Role::Assistant, weight: 1.0, logprob: Some(logprob) }
}

/// All episodes of one prompt.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// The prompt's example, with the answer and every column a reward may want.
    pub example: Example,
    /// Its episodes.
    pub episodes: Vec<Episode>,
}
