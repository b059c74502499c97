//! The rows that the preflight looks at, before and after the stream's transforms.

use regimen_base::{Error, Split};
use regimen_core::feed::Supply;
use regimen_data::{Example, ExampleId, Notes, Token, Transform, apply_all};

use super::Findings;

/// Rows of each source that are looked at, spread evenly over it.
pub const ROWS: u64 = 512;

/// A row.
pub struct Row {
    /// Where it stands.
    pub place: String,
    /// What it says.
    pub example: Example,
    /// What the transforms made of it.
    pub made: Vec<Example>,
}

impl Row {
    /// The sequences that the model would read.
    pub fn sequences(&self) -> impl Iterator<Item = &[Token]> {
        self.made.iter().flat_map(|e| e.body.sequences())
    }

    /// Whether there is a token to learn. A first token is never predicted.
    pub fn teaches(&self) -> bool {
        self.sequences().any(|s| s.iter().skip(1).any(|t| t.weight != 0.0))
    }
}

/// The rows of a stream that were looked at.
#[derive(Default)]
pub struct Looked {
    /// Those that can be read.
    pub rows: Vec<Row>,
    /// What happened to them on their way.
    pub notes: Notes,
    /// Whether a source comes from files; tasks are checked by their own tests.
    pub from_files: bool,
}

/// Looks at rows of every source of a stream.
pub fn look(supply: &Supply, transforms: &[Box<dyn Transform>], findings: &mut Findings) -> Looked {
    let mut looked = Looked::default();
    for source in supply.catalogue.sources() {
        let files = source.is_in_files();
        looked.from_files |= files;
        let len = source.len(Split::Train);
        let (all, take) = (len.unwrap_or(ROWS / 8), len.unwrap_or(ROWS / 8).min(ROWS));
        let mut refused: Option<(String, usize, Error)> = None;
        for i in 0..take {
            let id = ExampleId { source: source.number(), index: i * all / take };
            let place = source.place(id.index, Split::Train);
            let key = supply.key.child("probe").at(i);
            let row = source.get(id.index, Split::Train).and_then(|example| {
                let made = apply_all(transforms, example.clone(), key, &mut looked.notes)?;
                Ok(Row { place: place.clone(), example, made })
            });
            match (row, &mut refused) {
                (Ok(row), _) => looked.rows.push(row),
                (Err(e), none @ None) => *none = Some((place, 1, e)),
                (Err(_), Some((_, count, _))) => *count += 1,
            }
        }
        if let Some((place, count, error)) = refused {
            findings.refused(&place, count, &error);
        }
        if files {
            findings.note(format!("data: {}", source.describe()));
            if take < all {
                findings.note(format!("data: {}: looked closely at {take} of {all} rows", source.name()));
            }
        }
    }
    looked
}
