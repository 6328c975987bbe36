//! The errors of this crate: one variant for each exception that the bindings raise.
use std::{io, path::Path};

/// The result of every function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure; the message names the input, the problem and, where it helps, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tree or an archive cannot be read or written.
    #[error("{0}")]
    Archive(String),
    /// An archive is not safe to extract.
    #[error("{0}")]
    UnsafeArchive(String),
    /// A text has no letter or digit for a studio name.
    #[error("no studio name can be made from {0:?}: it has no letter or digit")]
    InvalidName(String),
    /// A requirement does not parse.
    #[error("{0}")]
    Requirement(String),
    /// Requirements contradict each other.
    #[error("{0}")]
    Conflict(String),
    /// A graph cannot be scheduled, or its state does not allow a transition.
    #[error("{0}")]
    Dag(String),
    /// A graph has a cycle: its nodes in order, the first repeated at the end.
    #[error("the graph has a cycle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A graph does not have a node.
    #[error("{0}")]
    UnknownNode(String),
    /// The caller asked for a stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An input or output error, with the action and the path.
    pub(crate) fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        Self::Archive(format!("cannot {action} {}: {source}", path.display()))
    }
}
