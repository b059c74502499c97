//! Data sets in files.

mod files;

use regimen_core::registry::{Dataset, Table};

/// The room's table.
pub static TABLE: Table<dyn Dataset> = &[files::FILE, files::TEXT];
