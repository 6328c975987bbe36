//! The native core of lightning-native: archives, names, requirements and scheduling.
//!
//! The crate knows no Python and prints nothing; every failure is an [`Error`].

pub mod archive;
pub mod dag;
mod error;
pub mod names;
pub mod requirements;

pub use error::{Error, Result};
