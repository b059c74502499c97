//! Panics of libraries on damaged input, made into values.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or `None` where it panicked: for libraries that still have assertions on the path of damaged
/// files. Nothing that `work` was changing may be used afterwards.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    done.ok()
}

/// Whether a panic of this thread is being made into a value, so that a panic hook stays silent.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value_and_the_guard_is_lifted() {
        assert_eq!(guarded(is_guarded), Some(true));
        assert_eq!(guarded(|| [0u8; 2][std::hint::black_box(2)]), None);
        assert!(!is_guarded());
    }
}
