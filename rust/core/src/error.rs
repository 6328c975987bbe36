//! Everything that can go wrong, one variant for each exception the bindings raise.
use std::{io, path::Path};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong; the message names the input, what is wrong with it and, where it helps, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tree or an archive cannot be read or written.
    #[error("{0}")]
    Archive(String),
    /// An archive that must not be extracted.
    #[error("{0}")]
    UnsafeArchive(String),
    /// A text that no studio can be named after.
    #[error("no studio name can be made from {0:?}: it has no letter or digit")]
    InvalidName(String),
    /// A requirement that does not parse.
    #[error("{0}")]
    Requirement(String),
    /// Requirements that cannot hold together.
    #[error("{0}")]
    Conflict(String),
    /// A graph that cannot be scheduled, or a transition its state does not allow.
    #[error("{0}")]
    Dag(String),
    /// A graph with a cycle: its nodes in order, the first repeated at the end.
    #[error("the graph has a cycle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A node that the graph does not have.
    #[error("{0}")]
    UnknownNode(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An input or output error that says what was being done to which path.
    pub(crate) fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        Self::Archive(format!("cannot {action} {}: {source}", path.display()))
    }
}
