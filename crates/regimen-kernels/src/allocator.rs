//! How the allocator treats memory that is freed.

/// `mi_option_purge_delay` of mimalloc 2 and 3; the binding has no name for it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed memory for the next allocation instead of giving it back to the system: a training step frees what the
/// next one asks for. Call it first thing in `main`; it has an effect where mimalloc is the global allocator.
pub fn keep_freed_memory() {
    // SAFETY: the call takes any option number below the library's own last one and any value; -1 is "never purge".
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number belongs to the option that is 1000 ms (mimalloc 3) or 10 ms (mimalloc 2) until it is set.
    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: reads an option by its number.
        let get = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!(matches!(get(), 10 | 1000), "{}", get());
        keep_freed_memory();
        assert_eq!(get(), -1);
    }
}
