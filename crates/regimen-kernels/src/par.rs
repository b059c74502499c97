//! Fixed tasks handed out over the threads of the current team, and slices that tasks share.
//!
//! What a task computes never depends on which thread runs it or how many there are, so results do not either.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::team::together;
pub(crate) use crate::team::{may_share, threads};

/// Who works on something: all threads of the team together, or one worker of a larger job alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crew {
    All,
    Alone(usize),
}

impl Crew {
    /// Runs `task(worker, index)` for every index below `tasks`, in any order; a worker (below `threads()`) runs one
    /// task at a time.
    pub fn each(self, tasks: usize, task: impl Fn(usize, usize) + Sync) {
        match self {
            Crew::All => each(tasks, task),
            Crew::Alone(worker) => (0..tasks).for_each(|i| task(worker, i)),
        }
    }
}

/// Runs `task(worker, index)` for every index below `tasks` over all threads, as [`Crew::each`]. Every worker begins with its
/// own indices, the same ones every time: what they are about may still be in its cache.
pub(crate) fn each(tasks: usize, task: impl Fn(usize, usize) + Sync) {
    let workers = threads().min(tasks);
    if workers <= 1 {
        (0..tasks).for_each(|i| task(0, i));
        return;
    }
    let count = workers.min(MOST_QUEUES);
    let queues: [_; MOST_QUEUES] =
        std::array::from_fn(|i| Queue::new(if i < count { (tasks - i).div_ceil(count) } else { 0 }));
    let work = |worker: usize| {
        let own = worker % count;
        while let Some(k) = queues[own].first() {
            task(worker, own + k * count);
        }
        for other in (1..count).map(|i| (own + i) % count) {
            while let Some(k) = queues[other].last() {
                task(worker, other + k * count);
            }
        }
    };
    if !together(workers, &work) {
        work(0);
    }
}

/// Queues of tasks; more threads than these share them.
const MOST_QUEUES: usize = 32;

/// Tasks `front..back` that nobody has begun: in the upper and in the lower half of a word.
#[repr(align(64))]
struct Queue(AtomicU64);

impl Queue {
    fn new(tasks: usize) -> Queue {
        Queue(AtomicU64::new(u64::from(u32::try_from(tasks).expect("fewer tasks than 2³²"))))
    }

    /// Takes the first one.
    fn first(&self) -> Option<usize> {
        self.take(|front, _| front, |ends| ends + (1 << 32))
    }

    /// Takes the last one.
    fn last(&self) -> Option<usize> {
        self.take(|_, back| back - 1, |ends| ends - 1)
    }

    fn take(&self, which: impl Fn(u64, u64) -> u64, rest: impl Fn(u64) -> u64) -> Option<usize> {
        let ends = |ends: u64| (ends >> 32, ends & u64::from(u32::MAX));
        let left = |word: u64| ends(word).0 < ends(word).1;
        let before =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| left(word).then(|| rest(word)));
        let (front, back) = ends(before.ok()?);
        Some(which(front, back) as usize)
    }
}

/// Runs `task(first, count)` for blocks of `high` of `all` items over all threads; the last block may be lower.
pub(crate) fn blocks(all: usize, high: usize, task: impl Fn(usize, usize) + Sync) {
    each(all.div_ceil(high), |_, i| task(i * high, high.min(all - i * high)));
}

/// Runs `task` once on every thread of the team, or on this one alone while the team is at work for somebody else.
pub(crate) fn on_every_thread(task: impl Fn() + Sync) {
    if !together(threads(), &|_| task()) {
        task();
    }
}

/// A slice whose disjoint parts are written by different tasks.
pub(crate) struct Shared<'a, T = f32> {
    at: *mut T,
    len: usize,
    life: std::marker::PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: only `part` gives access, whose callers promise that parts in use do not overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { at: slice.as_mut_ptr(), len: slice.len(), life: std::marker::PhantomData }
    }

    /// The slice from `start` on.
    pub fn after(&self, start: usize) -> Self {
        assert!(start <= self.len, "inside the slice");
        // SAFETY: inside the slice, or its end.
        Self { at: unsafe { self.at.add(start) }, len: self.len - start, life: self.life }
    }

    /// A part of the slice, to be shared in turn.
    pub fn within(&self, range: std::ops::Range<usize>) -> Self {
        let rest = self.after(range.start);
        assert!(range.len() <= rest.len, "inside the slice");
        Self { len: range.len(), ..rest }
    }

    /// `slice[start..start + len]`, mutable.
    /// # Safety
    /// No other part in use at the same time may overlap it.
    #[allow(clippy::mut_from_ref, reason = "disjoint parts, promised by the caller")]
    pub unsafe fn part(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start + len <= self.len, "a task's part lies inside the slice");
        // SAFETY: inside the slice; disjoint from other parts (caller).
        unsafe { std::slice::from_raw_parts_mut(self.at.add(start), len) }
    }

    /// `slice[start..start + len]`, shared.
    /// # Safety
    /// Nobody may write it at the same time.
    pub unsafe fn read(&self, start: usize, len: usize) -> &'a [T] {
        assert!(start + len <= self.len, "a task's part lies inside the slice");
        // SAFETY: inside the slice; not written meanwhile (caller).
        unsafe { std::slice::from_raw_parts(self.at.add(start), len) }
    }
}

/// Rows of `width` floats, `row` apart, that one task may write: columns of a matrix that tasks share.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    at: *mut f32,
    rows: usize,
    row: usize,
    width: usize,
    life: std::marker::PhantomData<&'a mut [f32]>,
}

impl<'a> Block<'a> {
    /// Rows of a slice that belongs to the caller alone.
    pub fn new(slice: &'a mut [f32], rows: usize, row: usize, width: usize) -> Self {
        // SAFETY: the slice is borrowed mutably.
        unsafe { Shared::new(slice).block(0, rows, row, width) }
    }

    /// Some of the columns, borrowed from the block.
    pub fn columns(&mut self, first: usize, width: usize) -> Block<'_> {
        assert!(first + width <= self.width, "columns of the block");
        Block { at: self.at.wrapping_add(first), rows: self.rows, row: self.row, width, life: self.life }
    }

    /// One row.
    pub fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows, "a row of the block");
        // SAFETY: inside the slice this was made from; borrowed through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(i * self.row), self.width) }
    }

    /// The address of row i on, for the products: they may write rows i.. of the block.
    pub fn address(&mut self, i: usize) -> *mut f32 {
        self.at.wrapping_add(i * self.row)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn row_stride(&self) -> usize {
        self.row
    }

    pub fn width(&self) -> usize {
        self.width
    }
}

/// A block whose columns are written by different tasks.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a>(Shared<'a>, [usize; 3]);

impl<'a> Columns<'a> {
    pub fn new(block: Block<'a>) -> Self {
        let Block { at, rows, row, width, life } = block;
        let len = if rows == 0 { 0 } else { (rows - 1) * row + width };
        Self(Shared { at, len, life }, [rows, row, width])
    }

    /// Some of the columns.
    /// # Safety
    /// No other columns in use at the same time may overlap them.
    pub unsafe fn part(&self, first: usize, width: usize) -> Block<'a> {
        let [rows, row, all] = self.1;
        assert!(first + width <= all, "columns of the block");
        // SAFETY: promised by the caller.
        unsafe { self.0.block(first, rows, row, width) }
    }
}

impl<'a> Shared<'a> {
    /// `rows` rows of `width` floats from `start`, `row` apart.
    /// # Safety
    /// No other part in use at the same time may overlap it.
    pub unsafe fn block(&self, start: usize, rows: usize, row: usize, width: usize) -> Block<'a> {
        assert!(
            rows == 0 || start + (rows - 1) * row + width <= self.len,
            "a task's block lies inside the slice"
        );
        Block { at: self.at.wrapping_add(start), rows, row, width, life: self.life }
    }
}
