//! Archives of source trees: three verbs, each with a folder of its own.
//!
//! - [`select()`] decides which files of a tree go in, and records why the others do not.
//! - [`create()`] writes a tree as bytes that depend on nothing but its content.
//! - [`extract()`] reads those bytes, or hostile ones, back into a tree.
//!
//! `create` may use `select`; no other folder may use another one. All may use the files beside this list: `beneath`
//! (opening without following links), `gzip` (the member format) and `own_files` (names of our own files). The modules
//! inside of a folder are private to it: a sibling reaches only the items that the folder's `mod.rs` exports.
mod beneath;
mod create;
mod extract;
mod gzip;
mod own_files;
mod select;

pub use create::{ArchiveReport, WriteOptions, create};
pub use extract::{ExtractReport, Limits, extract};
pub use select::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp, select};

/// A callback that receives the bytes done and the bytes in all; it returns `false` to ask for a stop.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;
