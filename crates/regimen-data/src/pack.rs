//! Documents into batches of a token budget.

use regimen_base::{Error, Result};

use crate::{Batch, Document};

/// How documents are put together. Since a batch is ragged and attention stays inside a document, none of these can
/// leak from one into another; they differ in how full batches are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Each document into the first batch that still has room.
    FirstFit,
    /// The longest first, each into the batch that it fills best (best-fit decreasing).
    BestFit,
    /// Batches filled to the last token: a document that does not fit is cut, and its rest begins the next batch as
    /// a document of its own.
    Wrapped,
}

/// Packs a window of documents into batches of at most `budget` tokens. Batches keep the order of their first
/// document, and documents in a batch keep theirs.
///
/// # Errors
/// A document is longer than the budget (not with [`Packing::Wrapped`]).
pub fn pack(documents: Vec<Document>, budget: usize, how: Packing) -> Result<Vec<Batch>> {
    if budget == 0 {
        return Err(Error::usage("a batch of 0 tokens").remedy("raise the token budget"));
    }
    if how == Packing::Wrapped {
        return Ok(wrap(&documents, budget));
    }
    if let Some(long) = documents.iter().find(|d| d.tokens.len() > budget) {
        let (n, id) = (long.tokens.len(), long.id);
        let what = format!("row {} of source {} has {n} tokens, a batch holds {budget}", id.index, id.source);
        return Err(
            Error::data(what).remedy("raise the token budget, or add the transform `max-length` or `chunk`")
        );
    }
    let mut order: Vec<usize> = (0..documents.len()).filter(|i| !documents[*i].tokens.is_empty()).collect();
    if how == Packing::BestFit {
        order.sort_by_key(|i| (std::cmp::Reverse(documents[*i].tokens.len()), *i));
    }
    let mut bins: Vec<(usize, Vec<usize>)> = Vec::new();
    for i in order {
        let need = documents[i].tokens.len();
        let mut fits = bins.iter_mut().filter(|(room, _)| *room >= need);
        let bin = match how {
            Packing::BestFit => fits.min_by_key(|(room, _)| *room),
            _ => fits.next(),
        };
        match bin {
            Some((room, members)) => {
                *room -= need;
                members.push(i);
            }
            None => bins.push((budget - need, vec![i])),
        }
    }
    for (_, members) in &mut bins {
        members.sort_unstable();
    }
    bins.sort_by_key(|(_, members)| members[0]);
    let batch = |members: &[usize]| {
        let mut batch = Batch::new();
        for i in members {
            batch.push(documents[*i].id, &documents[*i].tokens);
        }
        batch
    };
    Ok(bins.iter().map(|(_, members)| batch(members)).collect())
}

fn wrap(documents: &[Document], budget: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Batch::new();
    for document in documents {
        let mut rest = &document.tokens[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(budget - batch.len()));
            batch.push(document.id, now);
            rest = later;
            if batch.len() == budget {
                batches.push(std::mem::take(&mut batch));
            }
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExampleId, Role, Token};

    fn documents(lens: &[usize]) -> Vec<Document> {
        let token = |id: usize| Token { id: id as u32, role: Role::Text, weight: 1.0, logprob: None };
        let document = |(i, n): (usize, &usize)| Document {
            id: ExampleId { source: 0, index: i as u64 },
            tokens: (0..*n).map(|t| token(i * 100 + t)).collect(),
        };
        lens.iter().enumerate().map(document).collect()
    }

    fn members(lens: &[usize], budget: usize, how: Packing) -> Vec<Vec<u64>> {
        let batches = pack(documents(lens), budget, how).unwrap();
        assert!(batches.iter().all(|b| b.len() <= budget));
        batches.iter().map(|b| b.documents.iter().map(|d| d.index).collect()).collect()
    }

    #[test]
    fn first_fit_takes_the_first_room_and_best_fit_the_tightest() {
        let lens = [5, 7, 3, 1, 4];
        assert_eq!(members(&lens, 8, Packing::FirstFit), [vec![0, 2], vec![1, 3], vec![4]]);
        assert_eq!(members(&[4, 8, 1, 5, 2], 10, Packing::BestFit), [vec![0, 2, 3], vec![1, 4]]);
        assert_eq!(members(&[0, 2], 2, Packing::FirstFit), [vec![1]]);
    }

    #[test]
    fn no_token_is_lost_and_every_document_stays_whole() {
        let lens = [5, 7, 3, 1, 4, 8, 8, 2, 6];
        for how in [Packing::FirstFit, Packing::BestFit] {
            let batches = pack(documents(&lens), 8, how).unwrap();
            let mut seen: Vec<(u64, usize)> = Vec::new();
            for b in &batches {
                seen.extend(b.documents.iter().enumerate().map(|(d, id)| (id.index, b.document(d).len())));
            }
            seen.sort_unstable();
            assert!(seen.iter().map(|(_, n)| *n).eq(lens));
        }
    }

    #[test]
    fn wrapped_batches_are_full() {
        let batches = pack(documents(&[5, 0, 12, 2]), 8, Packing::Wrapped).unwrap();
        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [8, 8, 3]);
        let all: Vec<u32> = batches.iter().flat_map(Batch::ids).collect();
        assert_eq!(
            all,
            documents(&[5, 0, 12, 2]).iter().flat_map(|d| d.tokens.iter().map(|t| t.id)).collect::<Vec<_>>()
        );
        assert_eq!(batches[0].starts, [0, 5, 8]);
    }

    #[test]
    fn a_document_over_the_budget_is_refused() {
        let e = pack(documents(&[3, 9]), 8, Packing::BestFit).unwrap_err().to_string();
        assert!(e.starts_with("row 1 of source 0 has 9 tokens, a batch holds 8"), "{e}");
    }
}
