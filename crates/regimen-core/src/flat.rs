//! What nets are fed: units laid end to end.

use regimen_base::{Error, Result};
use regimen_nn::{Inputs, Pick, Tokens, Vectors};

use crate::picks::{Content, Unit, read};

/// What a net reads of some units, laid end to end.
#[derive(Clone, PartialEq, Debug)]
pub enum Flat {
    /// Ids and document starts, each document without its last token; the last start is the number of tokens.
    Tokens {
        /// All ids.
        ids: Vec<u32>,
        /// Where documents start.
        starts: Vec<u32>,
    },
    /// Rows of numbers.
    Rows {
        /// `[rows, width]`.
        values: Vec<f32>,
        /// Numbers in a row.
        width: usize,
    },
}

impl Flat {
    /// Lays `units` end to end.
    ///
    /// # Errors
    /// Units that are not of one kind, or rows of different lengths.
    pub fn of(units: &[Unit]) -> Result<Self> {
        let width = match units.first().map(|u| &u.content) {
            Some(Content::Features(features)) => features.values.len(),
            _ => return Self::tokens(units),
        };
        let mut values = Vec::with_capacity(units.len() * width);
        for unit in units {
            match &unit.content {
                Content::Features(features) if features.values.len() == width => {
                    values.extend_from_slice(&features.values);
                }
                Content::Features(features) => {
                    let what = format!("one row has {width} numbers, another {}", features.values.len());
                    return Err(Error::data(what).remedy("give the stream data of one width"));
                }
                Content::Tokens(_) => return Err(mixed()),
            }
        }
        Ok(Self::Rows { values, width })
    }

    fn tokens(units: &[Unit]) -> Result<Self> {
        let mut ids = Vec::with_capacity(units.iter().map(read).sum());
        let mut starts = vec![0];
        for unit in units {
            let Content::Tokens(tokens) = &unit.content else { return Err(mixed()) };
            ids.extend(tokens.iter().take(read(unit)).map(|t| t.id));
            starts.push(ids.len() as u32);
        }
        Ok(Self::Tokens { ids, starts })
    }

    /// As a net is fed it, with what is to be put out.
    pub fn inputs<'a>(&'a self, picks: &'a [Pick], temperature: f32) -> Inputs<'a> {
        match self {
            Self::Tokens { ids, starts } => Inputs::Tokens(Tokens { ids, starts, picks, temperature }),
            Self::Rows { values, width } => {
                Inputs::Vectors(Vectors { values, width: *width, picks, temperature })
            }
        }
    }
}

fn mixed() -> Error {
    Error::data("a batch holds both tokens and rows of numbers")
        .remedy("give them streams, and stages, of their own")
}
