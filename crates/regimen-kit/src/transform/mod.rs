//! Transforms: how recipes name those of `regimen-data`.

mod augment;
mod tokens;

use regimen_core::registry::Table;
use regimen_data::Transform;

/// The room's table.
pub static TABLE: Table<dyn Transform> =
    &[augment::PIECE, tokens::CHAT, tokens::CHUNK, tokens::MAX_LENGTH, tokens::TEXT, tokens::TRAIN_ON_REPLY];
