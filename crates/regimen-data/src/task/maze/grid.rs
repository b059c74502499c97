//! The grid: cells, walls, distances, and how it is written.

use std::collections::VecDeque;

use regimen_base::Rng;

/// The letter of the first cell; 64 letters follow it without a gap.
const FIRST: u32 = 0x410;

/// A cell's letter.
pub(super) fn letter(cell: usize) -> char {
    char::from_u32(FIRST + cell as u32).unwrap_or('?')
}

/// A letter's cell, in a grid of `size` rows.
pub(super) fn cell(letter: char, size: usize) -> Option<usize> {
    let cell = (letter as u32).checked_sub(FIRST)? as usize;
    (cell < size * size).then_some(cell)
}

/// A square of free cells and walls.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Grid {
    size: usize,
    walls: Vec<bool>,
}

impl Grid {
    /// Each cell is a wall by chance.
    pub(super) fn draw(size: usize, walls: f64, rng: &mut Rng) -> Self {
        Self { size, walls: (0..size * size).map(|_| rng.chance(walls)).collect() }
    }

    /// The cells that are no walls.
    pub(super) fn free(&self) -> Vec<usize> {
        (0..self.walls.len()).filter(|&cell| !self.walls[cell]).collect()
    }

    /// The free cells above, below, left and right.
    pub(super) fn around(&self, cell: usize) -> Vec<usize> {
        let (row, column) = (cell / self.size, cell % self.size);
        let mut cells = Vec::with_capacity(4);
        cells.extend((row > 0).then(|| cell - self.size));
        cells.extend((row + 1 < self.size).then(|| cell + self.size));
        cells.extend((column > 0).then(|| cell - 1));
        cells.extend((column + 1 < self.size).then(|| cell + 1));
        cells.retain(|&cell| !self.walls[cell]);
        cells
    }

    /// Steps from one cell to the other if there were no walls.
    pub(super) fn manhattan(&self, a: usize, b: usize) -> u32 {
        ((a / self.size).abs_diff(b / self.size) + (a % self.size).abs_diff(b % self.size)) as u32
    }

    /// Steps from `start` to every cell that can be reached.
    pub(super) fn distances(&self, start: usize) -> Vec<Option<u32>> {
        let mut far = vec![None; self.walls.len()];
        far[start] = Some(0);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((cell, steps)) = queue.pop_front() {
            for next in self.around(cell) {
                if far[next].is_none() {
                    far[next] = Some(steps + 1);
                    queue.push_back((next, steps + 1));
                }
            }
        }
        far
    }

    /// Whether `way` leads from `start` to `goal` over neighbouring free cells.
    pub(super) fn is_way(&self, way: &[usize], start: usize, goal: usize) -> bool {
        way.first() == Some(&start)
            && way.last() == Some(&goal)
            && way.windows(2).all(|step| self.around(step[0]).contains(&step[1]))
    }

    /// `АД|БВ`: start, goal, and the other free cells.
    pub(super) fn written(&self, start: usize, goal: usize) -> String {
        let others = self.free().into_iter().filter(|&cell| cell != start && cell != goal);
        format!("{}{}|{}", letter(start), letter(goal), others.map(letter).collect::<String>())
    }

    /// The inverse of [`Grid::written`].
    pub(super) fn read(size: usize, text: &str) -> Option<(Self, usize, usize)> {
        let (ends, named) = text.split_once('|')?;
        let ends: Vec<usize> = ends.chars().map(|c| cell(c, size)).collect::<Option<_>>()?;
        let [start, goal] = ends[..] else { return None };
        let mut walls = vec![true; size * size];
        (walls[start], walls[goal]) = (false, false);
        for free in named.chars() {
            walls[cell(free, size)?] = false;
        }
        Some((Self { size, walls }, start, goal))
    }

    /// The least of the eight ways to write the maze turned and mirrored.
    pub(super) fn canonical(&self, start: usize, goal: usize) -> String {
        let n = self.size;
        let moves: [&dyn Fn(usize, usize) -> (usize, usize); 8] = [
            &|r, c| (r, c),
            &|r, c| (c, n - 1 - r),
            &|r, c| (n - 1 - r, n - 1 - c),
            &|r, c| (n - 1 - c, r),
            &|r, c| (r, n - 1 - c),
            &|r, c| (n - 1 - r, c),
            &|r, c| (c, r),
            &|r, c| (n - 1 - c, n - 1 - r),
        ];
        let written = moves.iter().map(|turn| {
            let at = |cell: usize| {
                let (row, column) = turn(cell / n, cell % n);
                row * n + column
            };
            let mut walls = vec![true; n * n];
            self.free().iter().for_each(|&cell| walls[at(cell)] = false);
            Self { size: n, walls }.written(at(start), at(goal))
        });
        written.min().unwrap_or_default()
    }
}
