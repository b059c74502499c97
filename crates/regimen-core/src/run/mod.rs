//! The run directory: everything that a run leaves on disk, and the clock.
//!
//! Together with the command line this is the only place that touches files and clocks. The layout:
//!
//! ```text
//! runs/<name>/
//!   recipe.resolved.toml  manifest.json  events.jsonl  report.html  (profile.json)
//!   stages/01-pretrain/   metrics.jsonl  perf.jsonl  tb/events.out.tfevents.*  episodes/step_000200.jsonl
//!     checkpoint-200/     model files, state.safetensors, COMMITTED (written last: the digests)
//!     latest -> checkpoint-200
//! ```
//!
//! Files that only depend on recipe, data and seed (`metrics.jsonl`, `episodes/`, `checkpoint-*/`) are the same bytes
//! for an interrupted and for an uninterrupted run. What a clock measured lives in `perf.jsonl`, `tb/`, `events.jsonl`,
//! `manifest.json` and the report.

mod atomic;
mod cache;
mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
mod clock;
mod commit;
mod directory;
mod disk;
mod episodes;
#[cfg(test)]
mod fault;
mod host;
#[cfg(feature = "hub")]
mod hub;
mod journal;
mod lock;
mod manifest;
mod metrics;
mod origin;
mod profile;
mod program;
pub mod report;
mod saving;
mod stage;
mod state_file;
mod storage;
mod tensorboard;
mod trouble;

pub use cache::{Cache, Claim, Facts, Found, Kept};
pub use checkpoint::Checkpoint;
pub use clock::Clock;
pub use directory::RunDir;
pub use disk::Disk;
pub use episodes::EpisodeRecord;
pub use host::{host_facts, peak_memory, program_digest};
pub use journal::Journal;
pub use manifest::{DeviceClass, LedgerRow, Manifest, Status, digest};
pub use metrics::{Metrics, MetricsRow, is_measured_by_clock};
pub use origin::Origin;
pub use profile::{Profile, ProfileRow};
pub use program::Program;
pub use saving::Saving;
pub use stage::StageDir;
pub use storage::{FileSystem, Fill, Storage};
