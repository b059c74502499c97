//! What bad input gets: one clear message with its remedy, the right exit code, nothing lost, no panic.

mod program;

#[path = "bad_input/checkpoint.rs"]
mod checkpoint;
#[path = "bad_input/data.rs"]
mod data;
#[path = "bad_input/disk.rs"]
mod disk;
#[path = "bad_input/length.rs"]
mod length;
#[path = "bad_input/told.rs"]
mod told;
#[path = "bad_input/training.rs"]
mod training;
