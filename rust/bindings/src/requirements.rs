//! `dedupe_requirements` and `merge_requirements`.
use std::path::PathBuf;

use lightning_native_core::requirements::{self, OnConflict, Source};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    pybacked::PyBackedStr,
    types::{PyDict, PyList, PyString, PyTuple},
};

use crate::heartbeat;

#[pyfunction]
pub fn dedupe_requirements<'py>(py: Python<'py>, lines: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    if lines.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("lines is one str; give a list of lines"));
    }
    let lines: Vec<PyBackedStr> = lines.try_iter()?.map(|line| line?.extract()).collect::<PyResult<_>>()?;
    let kept = py.detach(|| requirements::dedupe(lines.iter().map(|line| &**line)));
    PyList::new(py, kept)
}

#[pyfunction]
#[pyo3(signature = (sources, *, on_conflict="error"))]
pub fn merge_requirements(
    py: Python<'_>,
    sources: &Bound<'_, PyAny>,
    on_conflict: &str,
) -> PyResult<MergedRequirements> {
    let on_conflict = match on_conflict {
        "error" => OnConflict::Error,
        "last" => OnConflict::Last,
        other => {
            return Err(PyValueError::new_err(format!("on_conflict is {other:?}; give \"error\" or \"last\"")));
        }
    };
    if sources.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("sources is one str; give a list of sources"));
    }
    let sources: Vec<Source> =
        sources.try_iter()?.enumerate().map(|(place, item)| source(place, &item?)).collect::<PyResult<_>>()?;
    heartbeat::detached(py, None, |progress| requirements::merge_while(&sources, on_conflict, &mut || progress(0, 0)))
        .map(MergedRequirements)
}

fn source(place: usize, item: &Bound<'_, PyAny>) -> PyResult<Source> {
    let name = format!("sources[{place}]");
    if let Ok(text) = item.cast::<PyString>() {
        let text = text.to_str()?;
        return Ok(if is_path(text) {
            Source::Path(PathBuf::from(text))
        } else {
            Source::Text { name, text: text.to_owned() }
        });
    }
    if item.is_instance_of::<PyTuple>() {
        let (name, text): (PathBuf, String) = item.extract().map_err(|_| {
            PyTypeError::new_err(format!("{name} is a tuple, but not (name, text); give a list for a list of lines"))
        })?;
        return Ok(Source::Text { name: name.to_string_lossy().into_owned(), text });
    }
    if let Ok(path) = item.extract::<PathBuf>() {
        return Ok(Source::Path(path));
    }
    let lines: Vec<String> = item
        .try_iter()
        .and_then(|lines| lines.map(|line| line?.extract::<String>()).collect())
        .map_err(|_| PyTypeError::new_err(format!("{name} is no path, no (name, text) and no list of lines")))?;
    Ok(Source::Text { name, text: lines.join("\n") })
}

/// Whether a text is the path of a file and no requirement. The file system is not asked, so that the answer is stable.
fn is_path(text: &str) -> bool {
    let is_plain = !text.starts_with('-') && !text.contains(['\n', '@', ';']) && !text.contains("://");
    is_plain && (text.contains('/') || [".txt", ".in"].iter().any(|ending| text.ends_with(ending)))
}

#[pyclass(frozen, module = "lightning_native")]
pub struct MergedRequirements(requirements::Merged);

#[pymethods]
impl MergedRequirements {
    #[getter]
    fn lines(&self) -> Vec<String> {
        self.0.lines.clone()
    }

    #[getter]
    fn line_options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (line, options) in self.0.lines.iter().zip(&self.0.line_options) {
            if !options.is_empty() {
                all.set_item(line, options)?;
            }
        }
        Ok(all)
    }

    #[getter]
    fn options(&self) -> Vec<String> {
        self.0.options.clone()
    }

    #[getter]
    fn constraints(&self) -> Vec<String> {
        self.0.constraints.clone()
    }

    #[getter]
    fn conflicts(&self) -> Vec<Conflict> {
        self.0.conflicts.iter().cloned().map(Conflict).collect()
    }

    fn to_text(&self) -> String {
        self.0.to_text()
    }

    fn __repr__(&self) -> String {
        format!("MergedRequirements({} lines, {} conflicts)", self.0.lines.len(), self.0.conflicts.len())
    }
}

#[pyclass(frozen, module = "lightning_native")]
pub struct Conflict(requirements::Conflict);

#[pymethods]
impl Conflict {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn first(&self) -> (&str, String) {
        (&self.0.first.0, self.0.first.1.to_string())
    }

    #[getter]
    fn last(&self) -> (&str, String) {
        (&self.0.last.0, self.0.last.1.to_string())
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Conflict({})", self.0)
    }
}
