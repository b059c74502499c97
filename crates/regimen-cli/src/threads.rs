//! The threads that everything computes on.

use std::num::NonZeroUsize;

use regimen_base::Error;

use crate::failure::Outcome;

/// Starts them: as many as asked for, or as `RAYON_NUM_THREADS` says, or one a core.
pub fn start(count: Option<NonZeroUsize>) -> Outcome {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count.map_or(0, NonZeroUsize::get));
    pool.build_global().map_err(|e| {
        Error::failed(format!("cannot start the threads: {e}"))
            .remedy("ask for fewer with `--threads N`")
            .into()
    })
}
