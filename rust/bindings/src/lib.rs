//! Python bindings: each verb converts its arguments, detaches from the interpreter, calls the core and maps the error.
#![expect(clippy::needless_pass_by_value, reason = "arguments come from Python by value")]

use pyo3::prelude::*;

mod create_archive;
mod dag;
mod error;
mod extract_archive;
mod heartbeat;
mod names;
mod requirements;
mod select_files;

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::create_archive::{ArchiveReport, create_archive};
    #[pymodule_export]
    use super::dag::{Dag, Scheduler};
    #[pymodule_export]
    use super::extract_archive::{ExtractReport, extract_archive};
    #[pymodule_export]
    use super::names::{sanitize_studio_name, unique_studio_name};
    #[pymodule_export]
    use super::requirements::{Conflict, MergedRequirements, dedupe_requirements, merge_requirements};
    #[pymodule_export]
    use super::select_files::{Selection, select_files};
}
