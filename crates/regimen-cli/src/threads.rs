//! The threads that everything computes on.

use std::num::NonZeroUsize;

use regimen_base::Error;

use crate::failure::Outcome;

/// Starts them: as many as asked for, or as `RAYON_NUM_THREADS` says, or one a core. The main thread is one of them:
/// otherwise it would fall asleep and be woken again for every product that the others compute. No other thread may
/// hand work to them, for nobody might take it up.
pub fn start(count: Option<NonZeroUsize>) -> Outcome {
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(count.map_or(0, NonZeroUsize::get)).use_current_thread();
    pool.build_global().map_err(|e| {
        Error::failed(format!("cannot start the threads: {e}"))
            .remedy("ask for fewer with `--threads N`")
            .into()
    })
}
