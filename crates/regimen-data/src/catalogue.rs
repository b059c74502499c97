//! The sources of a stream, numbered.

use std::sync::Arc;

use regimen_base::{Error, Result, Split};

use crate::{Example, ExampleId, Source};

/// All sources that a sampler draws from.
#[derive(Clone)]
pub struct Catalogue(Vec<Arc<dyn Source>>);

impl Catalogue {
    /// Numbers the sources by their position.
    ///
    /// # Errors
    /// No sources, or one that was opened under another number.
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Result<Self> {
        if sources.is_empty() {
            return Err(Error::usage("a stream without data").remedy("give it `data`"));
        }
        for (i, source) in sources.iter().enumerate() {
            if source.number() as usize != i {
                let (name, number) = (source.name(), source.number());
                return Err(Error::failed(format!(
                    "source `{name}` was opened as number {number}, but stands at {i}"
                )));
            }
        }
        Ok(Self(sources))
    }

    /// The sources, in order.
    pub fn sources(&self) -> &[Arc<dyn Source>] {
        &self.0
    }

    /// An example by its id.
    pub fn get(&self, id: ExampleId, split: Split) -> Result<Example> {
        self.source(id.source)?.get(id.index, split)
    }

    /// Where an example stands, for messages.
    pub fn place(&self, id: ExampleId, split: Split) -> String {
        self.source(id.source).map_or_else(|_| format!("{id:?}"), |s| s.place(id.index, split))
    }

    /// The number of examples of each source; `None` for no end.
    pub fn lens(&self, split: Split) -> Vec<Option<u64>> {
        self.0.iter().map(|s| s.len(split)).collect()
    }

    /// The number of all examples; `None` when a source has no end.
    pub fn total(&self, split: Split) -> Option<u64> {
        self.0.iter().map(|s| s.len(split)).sum()
    }

    /// The example at a position of all sources laid end to end.
    pub fn at(&self, position: u64, split: Split) -> Option<ExampleId> {
        let mut left = position;
        for source in &self.0 {
            match source.len(split) {
                Some(len) if left >= len => left -= len,
                _ => return Some(ExampleId { source: source.number(), index: left }),
            }
        }
        None
    }

    fn source(&self, number: u32) -> Result<&Arc<dyn Source>> {
        self.0.get(number as usize).ok_or_else(|| {
            Error::failed(format!("there is no source {number} among {}", self.0.len()))
                .remedy("the data of the recipe changed since the run began: start a new run")
        })
    }
}
