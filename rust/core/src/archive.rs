//! Archives of source trees: what goes in, deterministic writing, safe extraction.
mod assemble;
mod beneath;
mod bounded;
mod cache;
mod compress;
mod content;
mod digest;
mod extensions;
mod extract;
mod facts;
mod gzip;
mod layout;
mod members;
mod output;
mod own_files;
mod plan;
mod select;
mod stored;
mod tar_header;
mod write;

pub use bounded::Limits;
pub use extract::{ExtractReport, extract};
pub use select::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp, select};
pub use write::{ArchiveReport, WriteOptions, create};

/// Told how many bytes are done and how many there are; `false` asks to stop.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;
