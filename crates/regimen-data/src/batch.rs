//! What the model is given: tokens of several documents, one after the other, without padding.

use regimen_base::{Error, Result};

use crate::{Body, Example, ExampleId, Token};

/// One example as tokens.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// The example it comes from.
    pub id: ExampleId,
    /// Its tokens.
    pub tokens: Vec<Token>,
}

impl Document {
    /// The tokens of an example that the transforms are done with.
    ///
    /// # Errors
    /// The example is no tokens yet.
    pub fn of(example: Example) -> Result<Self> {
        match example.body {
            Body::Tokens(tokens) => Ok(Self { id: example.id, tokens }),
            _ => Err(Error::usage("examples are still text after the last transform")
                .remedy("add the transform `chat` (for conversations) or `text` to the stream")),
        }
    }
}

/// Documents laid end to end. Attention stays inside a document and positions restart at each, so what shares a batch
/// cannot be seen in any loss.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// The tokens of all documents.
    pub tokens: Vec<Token>,
    /// Where documents begin, and at the end the number of tokens: document `d` is `starts[d]..starts[d + 1]`.
    pub starts: Vec<u32>,
    /// The example of each document. Pieces of one example carry the same id.
    pub documents: Vec<ExampleId>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { tokens: Vec::new(), starts: vec![0], documents: Vec::new() }
    }
}

impl Batch {
    /// No documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// These documents, in order.
    pub fn of(documents: &[Document]) -> Self {
        let mut batch = Self::new();
        for document in documents {
            batch.push(document.id, &document.tokens);
        }
        batch
    }

    /// Adds a document; one without tokens is left out.
    pub fn push(&mut self, id: ExampleId, tokens: &[Token]) {
        if !tokens.is_empty() {
            self.tokens.extend_from_slice(tokens);
            self.starts.push(self.tokens.len() as u32);
            self.documents.push(id);
        }
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens of document `d`.
    pub fn document(&self, d: usize) -> &[Token] {
        &self.tokens[self.starts[d] as usize..self.starts[d + 1] as usize]
    }

    /// The ids of all tokens.
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|t| t.id).collect()
    }

    /// The sum of the weights of all tokens that are predicted: all but the first of each document.
    pub fn weight(&self) -> f64 {
        (0..self.documents.len()).flat_map(|d| &self.document(d)[1..]).map(|t| f64::from(t.weight)).sum()
    }

    /// Parts of at most `cap` tokens, cut between documents, in order; a longer document is a part alone.
    pub fn split(&self, cap: usize) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for (d, id) in self.documents.iter().enumerate() {
            let document = self.document(d);
            if let Some(part) = parts.last_mut().filter(|part| part.len() + document.len() <= cap) {
                part.push(*id, document);
            } else {
                let mut part = Self::new();
                part.push(*id, document);
                parts.push(part);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn tokens(n: u32) -> Vec<Token> {
        (0..n).map(|id| Token { id, role: Role::Text, weight: 1.0, logprob: None }).collect()
    }

    #[test]
    fn documents_keep_their_borders() {
        let id = |index| ExampleId { source: 0, index };
        let mut batch = Batch::new();
        [3, 0, 5, 2].iter().enumerate().for_each(|(i, n)| batch.push(id(i as u64), &tokens(*n)));
        assert_eq!(
            (batch.starts.as_slice(), batch.documents.as_slice()),
            (&[0, 3, 8, 10][..], &[id(0), id(2), id(3)][..])
        );
        assert_eq!(batch.document(2), tokens(2));
        assert_eq!(batch.weight(), 7.0);
        let lens = |cap| batch.split(cap).iter().map(Batch::len).collect::<Vec<_>>();
        assert_eq!((lens(8), lens(1), lens(100), lens(7)), (vec![8, 2], vec![3, 5, 2], vec![10], vec![3, 7]));
        assert!(Batch::new().split(4).is_empty());
    }
}
