//! What data is made of: examples (static) and tokens that carry their own role, weight and log-prob.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Names one example of a stage: which of the stage's sources, and which item of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ExampleId {
    /// Index of the source in its catalogue.
    pub source: u32,
    /// Index of the item in its source.
    pub index: u64,
}

/// Who says something. Also the role of every token; `Template` marks what only the chat template writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Markers, line breaks and headers that a chat template adds.
    Template,
    /// Plain text of a language-modelling example.
    Text,
    /// The system message.
    System,
    /// The user: a prompt.
    User,
    /// The model: a reply.
    Assistant,
    /// What a tool returned.
    Tool,
}

/// One turn of a conversation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Everything else the row had for this message (`name`, `tool_calls`, …), handed to the chat template.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message without extras.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), extra: Map::new() }
    }
}

/// A token with all that is known of it. There are no parallel arrays.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Who says it.
    pub role: Role,
    /// Its weight in the loss of *predicting it*; 0 leaves it out.
    pub weight: f32,
    /// Its log-probability when it was sampled; `None` for tokens that no model drew.
    pub logprob: Option<f32>,
}

/// What a net of numbers reads, and what it is to give.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Features {
    /// As many numbers as the net has inputs.
    pub values: Vec<f32>,
    /// What is wanted of its outputs.
    pub goal: Goal,
}

/// What is wanted of the outputs of a net of numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Goal {
    /// That this one is the largest: a class.
    Class(u32),
    /// That these have given values; the others are free.
    Values(Vec<Wanted>),
}

/// The value that one output should have.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// Which output.
    pub output: u32,
    /// Its value.
    pub value: f32,
}

/// The content of an example.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Text for language modelling.
    Text(String),
    /// A conversation. With a gold reply the last message is the assistant's; for RL prompts it is not.
    Messages(Vec<Message>),
    /// A pair of conversations over one prompt.
    Preference {
        /// What both share.
        prompt: Vec<Message>,
        /// The preferred continuation.
        chosen: Vec<Message>,
        /// The other one.
        rejected: Vec<Message>,
    },
    /// What the model sees, after the transforms.
    Tokens(Vec<Token>),
    /// What the model sees of a preference: both sides begin with the same prompt, whose tokens have weight 0.
    Pair {
        /// Prompt and preferred continuation.
        chosen: Vec<Token>,
        /// Prompt and the other one.
        rejected: Vec<Token>,
    },
    /// Numbers, for nets that read no tokens.
    Features(Features),
}

impl Body {
    /// The sequences that a model reads: one, two of a pair, none before the transforms.
    pub fn sequences(&self) -> Vec<&[Token]> {
        match self {
            Self::Tokens(tokens) => vec![tokens],
            Self::Pair { chosen, rejected } => vec![chosen, rejected],
            Self::Text(_) | Self::Messages(_) | Self::Preference { .. } | Self::Features(_) => Vec::new(),
        }
    }
}

/// One static item: a row of a file, or an item of a task.
#[derive(Clone, PartialEq, Debug)]
pub struct Example {
    /// Its name.
    pub id: ExampleId,
    /// Its content.
    pub body: Body,
    /// What a verifier compares a reply with.
    pub answer: Option<String>,
    /// How hard it is, in the task's own levels.
    pub difficulty: Option<u32>,
    /// Every further column or fact, handed to rewards.
    pub columns: Map<String, Value>,
    /// Which view of the item this is, as its sampler counts ([`crate::Draw`]).
    pub view: u64,
}

impl Example {
    /// An example with nothing but a content.
    pub fn new(id: ExampleId, body: Body) -> Self {
        Self { id, body, answer: None, difficulty: None, columns: Map::new(), view: 0 }
    }
}

/// The conversation without a final reply of the assistant: what a model is prompted with.
pub fn prompt_of(messages: &[Message]) -> &[Message] {
    match messages.split_last() {
        Some((last, before)) if last.role == Role::Assistant => before,
        _ => messages,
    }
}
