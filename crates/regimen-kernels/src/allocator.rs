//! How the allocator treats memory that is freed.

/// Options of mimalloc 3; the binding has no names for them.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const ARENA_MAX_OBJECT_SIZE: libmimalloc_sys::mi_option_t = 45;

/// Pieces from here on belong to the system, KiB.
const LARGE: std::ffi::c_long = 64 << 10;

/// Keeps freed memory for the next allocation instead of giving it back to the system: a training step frees what the
/// next one asks for. Pieces of more than 64 MiB are the system's: what a model is read from goes back, and of a vector
/// of zeros only what is touched takes room. Call it first thing in `main`; it has an effect where mimalloc is the global
/// allocator.
pub fn keep_freed_memory() {
    // SAFETY: the calls take any option number below the library's own last one and any value; -1 is "never purge".
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
        libmimalloc_sys::mi_option_set(ARENA_MAX_OBJECT_SIZE, LARGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers belong to the options that are 1000 ms and 2 GiB until they are set.
    #[test]
    fn the_options_are_the_purge_delay_and_the_largest_piece() {
        // SAFETY: reads an option by its number.
        let get = |option| unsafe { libmimalloc_sys::mi_option_get(option) };
        assert_eq!((get(PURGE_DELAY), get(ARENA_MAX_OBJECT_SIZE)), (1000, 2 << 20));
        keep_freed_memory();
        assert_eq!((get(PURGE_DELAY), get(ARENA_MAX_OBJECT_SIZE)), (-1, LARGE));
    }
}
