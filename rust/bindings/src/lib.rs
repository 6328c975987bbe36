//! Python bindings: each verb converts its arguments, detaches from the interpreter, calls the core and maps the error.
use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _native {}
