//! `matrix-completion`: some entries of a matrix of low rank; the others are held out.
//!
//! Item j asks for column j: its input is the j-th unit vector, so that a linear net's product *is* the matrix. Training has
//! the observed entries alone; the held-out items have all. Which entries are observed depends on the source's key and
//! `observed` alone: two matrices of one `pool` are seen at the same places.

use regimen_base::{Error, Key, Result, Split};
use regimen_core::registry::Piece;
use regimen_data::task::{Judgement, Parse, Task};
use regimen_data::{Body, Example, ExampleId, Features, Goal, Wanted};
use regimen_recipe::{Field, KindSpec, Room, Ty};

/// The settings of the task.
struct Completion {
    n: usize,
    rank: usize,
    observed: usize,
    matrix: u64,
}

impl Completion {
    /// The matrix, `[row][column]`, of Frobenius norm n: entries have a mean square of 1.
    fn matrix(&self, key: Key) -> Vec<Vec<f64>> {
        let key = key.child("matrix").at(self.matrix);
        let factor = |name: &str| {
            let mut rng = key.child(name).rng();
            let mut row = || (0..self.rank).map(|_| rng.normal()).collect::<Vec<f64>>();
            (0..self.n).map(|_| row()).collect::<Vec<_>>()
        };
        let (left, right) = (factor("left"), factor("right"));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let mut all: Vec<Vec<f64>> = left.iter().map(|a| right.iter().map(|b| dot(a, b)).collect()).collect();
        let norm = all.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        all.iter_mut().flatten().for_each(|x| *x *= self.n as f64 / norm);
        all
    }

    /// The places that are observed: the first of one order, so that fewer are a part of more.
    fn places(&self, key: Key) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.n * self.n).collect();
        key.child("observed").rng().shuffle(&mut places);
        places.truncate(self.observed);
        places.sort_unstable();
        places
    }
}

impl Task for Completion {
    fn name(&self) -> &'static str {
        "matrix-completion"
    }

    fn example(&self, split: Split, key: Key) -> Example {
        let all = self.draw_all(split, key).unwrap_or_default();
        all.into_iter().next().expect("a matrix has columns")
    }

    fn draw_all(&self, split: Split, key: Key) -> Option<Vec<Example>> {
        let matrix = self.matrix(key);
        let places = match split {
            Split::Train => self.places(key),
            Split::Eval => (0..self.n * self.n).collect(),
        };
        let column = |j: usize| {
            let mut values = vec![0.0; self.n];
            values[j] = 1.0;
            let seen = places.iter().filter(|&&place| place % self.n == j).map(|&place| place / self.n);
            let wanted = seen.map(|i| Wanted { output: i as u32, value: matrix[i][j] as f32 });
            let goal = Goal::Values(wanted.collect());
            let id = ExampleId { source: 0, index: j as u64 };
            Example::new(id, Body::Features(Features { values, goal }))
        };
        let columns = (0..self.n).map(column);
        // a column without an observed entry teaches nothing
        let teaches = |e: &Example| matches!(&e.body, Body::Features(Features { goal: Goal::Values(w), .. }) if !w.is_empty());
        Some(columns.filter(teaches).collect())
    }

    fn judge(&self, _: &Example, _: &str) -> Judgement {
        Judgement { score: 0.0, parse: Parse::Missing }
    }

    fn alphabet(&self) -> String {
        String::new()
    }

    fn check(&self) -> Result<()> {
        if self.rank > self.n || self.observed > self.n * self.n {
            let n = self.n;
            return Err(Error::usage(format!(
                "a matrix of {n} rows has no rank above it, nor so many entries"
            )));
        }
        Ok(())
    }
}

pub(super) const PIECE: Piece<dyn Task> = Piece {
    spec: KindSpec::new(
        Room::Task,
        "matrix-completion",
        "entries of a random matrix of low rank, by column; all of them are held out",
        &[
            Field::new("n", Ty::Count, "rows and columns").or("40").min(1.0).max(1000.0),
            Field::new("rank", Ty::Count, "of the matrix").required().min(1.0),
            Field::new("observed", Ty::Count, "entries that training sees").required().min(1.0),
            Field::new("matrix", Ty::Count, "which of the pool's matrices").or("0"),
        ],
    )
    .example(r#"{ kind = "matrix-completion", rank = 2, observed = 400, pool = 1 }"#),
    build: |node, _| {
        let task = Completion {
            n: node.usize("n"),
            rank: node.usize("rank"),
            observed: node.usize("observed"),
            matrix: node.u64("matrix"),
        };
        task.check().map_err(|e| e.within(node.origin()))?;
        Ok(Box::new(task))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(task: &Completion, split: Split) -> Vec<(usize, usize, f32)> {
        let columns = task.draw_all(split, Key::new(3)).expect("drawn at once");
        let column = |e: &Example| match &e.body {
            Body::Features(Features { values, goal: Goal::Values(wanted) }) => {
                let j = values.iter().position(|x| *x == 1.0).expect("a unit vector");
                wanted.iter().map(|w| (w.output as usize, j, w.value)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        columns.iter().flat_map(column).collect()
    }

    #[test]
    fn entries_are_those_of_one_matrix_of_the_given_norm_and_rank() {
        let task = Completion { n: 12, rank: 2, observed: 60, matrix: 0 };
        let (seen, all) = (entries(&task, Split::Train), entries(&task, Split::Eval));
        assert_eq!((seen.len(), all.len()), (60, 144));
        assert!(seen.iter().all(|entry| all.contains(entry)));
        let square: f64 = all.iter().map(|e| f64::from(e.2).powi(2)).sum();
        assert!((square - 144.0).abs() < 1e-3, "{square}");
        // every minor of three rows and columns is 0, and some of two is not
        let m = task.matrix(Key::new(3));
        let two = |i: usize, j: usize| m[i][j] * m[i + 1][j + 1] - m[i][j + 1] * m[i + 1][j];
        let three =
            m[0][0] * two(1, 1) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) + m[0][2] * two(1, 0);
        assert!(three.abs() < 1e-9 && (0..8).any(|i| two(i, i).abs() > 1e-3));
    }

    #[test]
    fn other_matrices_are_seen_at_the_same_places_and_fewer_are_a_part() {
        let places = |rank, matrix, observed| {
            let task = Completion { n: 12, rank, observed, matrix };
            let mut places: Vec<(usize, usize)> =
                entries(&task, Split::Train).into_iter().map(|(i, j, _)| (i, j)).collect();
            places.sort_unstable();
            places
        };
        let own = places(2, 0, 60);
        assert_eq!(own, places(4, 1, 60));
        let few = places(2, 0, 30);
        assert!(few.len() == 30 && few.iter().all(|place| own.contains(place)));
        let value = |matrix| entries(&Completion { n: 12, rank: 2, observed: 60, matrix }, Split::Train)[0].2;
        assert!((value(0) - value(1)).abs() > 1e-6);
    }
}
