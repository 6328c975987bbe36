//! `sanitize_studio_name` and `unique_studio_name`, which are too fast to gain from leaving the interpreter.
use lightning_native_core::names;
use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};

use crate::error;

#[pyfunction]
pub fn sanitize_studio_name(name: &Bound<'_, PyString>) -> PyResult<String> {
    let made = match name.to_str() {
        Ok(name) => names::sanitize(name),
        // The name has lone surrogates, which UTF-8 cannot encode.
        Err(_) => names::sanitize(&name.to_string_lossy()),
    };
    made.map_err(error::to_python)
}

#[pyfunction]
#[pyo3(signature = (*parts))]
pub fn unique_studio_name(parts: &Bound<'_, PyTuple>) -> PyResult<String> {
    let parts: Vec<Bound<'_, PyString>> = parts.iter().map(|part| Ok(part.cast_into()?)).collect::<PyResult<_>>()?;
    let texts: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
    names::unique(&texts).map_err(error::to_python)
}
