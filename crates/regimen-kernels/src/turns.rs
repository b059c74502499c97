//! Work in a fixed order whose parts go from thread to thread, close behind each other.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::team::{look, threads, together};

/// Where one item of [`in_turn`] is. A cache line of its own: whoever does the next item looks at it all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Turn(AtomicUsize);

impl Turn {
    /// Waits until step j is done.
    fn wait(&self, j: usize) {
        while !look(|| self.0.load(Ordering::Acquire) > j) {
            std::thread::yield_now();
        }
    }
}

/// Ends the waiting of others when a step panics.
struct End<'a>(&'a Turn);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0.store(usize::MAX, Ordering::Release);
    }
}

/// Items with a part of their own and steps that follow those of the item before. There is an item for each of `turns`;
/// `own(worker, i)` runs in any order and side by side, and then, on the same thread, `step(own, j)` for every j below
/// `steps`: step j of item i after step j of item i − 1. A worker (below `threads()`) does one item at a time.
pub(crate) fn in_turn<T>(
    turns: &mut [Turn],
    steps: usize,
    own: impl Fn(usize, usize) -> T + Sync,
    step: impl Fn(&T, usize) + Sync,
) {
    for turn in turns.iter_mut() {
        *turn.0.get_mut() = 0;
    }
    let (turns, next) = (&*turns, AtomicUsize::new(0));
    // items are begun in order, so the one before is done or somebody is at it
    let work = |worker: usize| {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(turn) = turns.get(i) else { return };
            let _end = End(turn);
            let item = own(worker, i);
            for j in 0..steps {
                if i > 0 {
                    turns[i - 1].wait(j);
                }
                step(&item, j);
                turn.0.store(j + 1, Ordering::Release);
            }
        }
    };
    let workers = threads().min(turns.len());
    if workers <= 1 || !together(workers, &work) {
        work(0);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;
    use crate::Team;

    #[test]
    fn steps_follow_those_of_the_item_before() {
        for threads in [1, 2, 5] {
            let sums = [const { Mutex::new(Vec::new()) }; 7];
            let mut turns: Vec<Turn> = (0..40).map(|_| Turn::default()).collect();
            let step = |i: &usize, j: usize| sums[j].lock().expect("no panic").push(*i);
            let team = Team::new(threads).expect("threads");
            team.install(|| in_turn(&mut turns, 7, |_, i| i, step));
            let want: Vec<usize> = (0..40).collect();
            assert!(sums.into_iter().all(|sum| sum.into_inner().expect("no panic") == want));
        }
    }

    #[test]
    fn a_panic_lets_nobody_wait() {
        let mut turns: Vec<Turn> = (0..9).map(|_| Turn::default()).collect();
        for bad in [0, 4] {
            let step = |i: &usize, j: usize| assert!(*i != bad || j < 2, "a bad step");
            let run = || in_turn(&mut turns, 3, |_, i| i, step);
            let team = Team::new(3).expect("threads");
            assert!(catch_unwind(AssertUnwindSafe(|| team.install(run))).is_err());
        }
    }
}
