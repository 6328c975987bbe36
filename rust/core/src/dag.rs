//! Directed acyclic graphs of named nodes.
mod graph;
mod scheduler;

pub use graph::{Builder, Dag, NodeIndex};
pub use scheduler::{OnFailure, Scheduler, State};
