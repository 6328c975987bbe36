//! Archives of source trees: what goes in, deterministic writing, safe extraction.
mod assemble;
mod beneath;
mod bounded;
mod builtin_rules;
mod cache;
mod compress;
mod content;
mod digest;
mod extensions;
mod extract;
mod facts;
mod git;
mod gzip;
mod layout;
mod listing;
mod members;
mod missing;
mod output;
mod own_files;
mod patterns;
mod plan;
mod secrets;
mod select;
mod selection;
mod stored;
mod tar_header;
mod verdict;
mod walk;
mod write;

pub use bounded::Limits;
pub use extract::{ExtractReport, extract};
pub use select::select;
pub use selection::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp};
pub use write::{ArchiveReport, WriteOptions, create};

/// Told how many bytes are done and how many there are; `false` asks to stop.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;
