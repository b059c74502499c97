//! The threads that everything computes on.

use std::num::NonZeroUsize;

use regimen_base::Error;
use regimen_kernels::Team;

use crate::failure::Outcome;

/// More than any machine has cores; so many can be started, ten times as many not.
const MOST: usize = 4096;

/// Starts them: as many as asked for, or as `RAYON_NUM_THREADS` says, or one a core. The kernels have a team of their own;
/// Burn, which other nets run on, has rayon's pool. The main thread is one of both.
pub fn start(count: Option<NonZeroUsize>) -> Outcome {
    let said = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok();
    let cores = || std::thread::available_parallelism().ok();
    let count = count.or_else(said).or_else(cores).map_or(1, NonZeroUsize::get);
    if count > MOST {
        let what = format!("{count} threads are more than the {MOST} that can be asked for");
        return Err(Error::usage(what).remedy("ask for as many as there are cores").into());
    }
    let refused = |e: String| {
        Error::failed(format!("cannot start the threads: {e}")).remedy("ask for fewer with `--threads N`")
    };
    Team::new(count).map_err(|e| refused(e.to_string()))?.make_default();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).use_current_thread();
    Ok(pool.build_global().map_err(|e| refused(e.to_string()))?)
}
