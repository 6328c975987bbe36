//! Archives of source trees: what goes in, deterministic writing, safe extraction.
mod beneath;
mod create;
mod extract;
mod gzip;
mod own_files;
mod select;

pub use create::{ArchiveReport, WriteOptions, create};
pub use extract::{ExtractReport, Limits, extract};
pub use select::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp, select};

/// Told how many bytes are done and how many there are; `false` asks to stop.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;
