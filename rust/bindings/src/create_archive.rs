//! `create_archive` and its report.
use std::{ffi::OsString, path::PathBuf};

use lightning_native_core::archive::{self, WriteOptions};
use pyo3::{prelude::*, types::PyList};

use crate::{
    heartbeat,
    select_files::{options, pairs, path},
};

#[pyfunction]
#[pyo3(
    signature = (root, destination, *, include=Vec::new(), exclude=Vec::new(), ignore_files=true, level=6, threads=None, cache=None, progress=None),
    text_signature = "(root, destination, *, include=(), exclude=(), ignore_files=True, level=6, threads=None, cache=None, progress=None)"
)]
#[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
pub fn create_archive(
    py: Python<'_>,
    root: PathBuf,
    destination: PathBuf,
    include: Vec<OsString>,
    exclude: Vec<OsString>,
    ignore_files: bool,
    level: i32,
    threads: Option<usize>,
    cache: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<ArchiveReport> {
    let options = WriteOptions { selection: options(include, exclude, ignore_files), level, threads, cache };
    heartbeat::detached(py, progress, |progress| archive::create(&root, &destination, &options, progress))
        .map(ArchiveReport)
}

#[pyclass(frozen, module = "lightning_native")]
pub struct ArchiveReport(archive::ArchiveReport);

#[pymethods]
impl ArchiveReport {
    #[getter]
    fn digest(&self) -> &str {
        &self.0.digest
    }

    #[getter]
    fn files(&self) -> usize {
        self.0.files
    }

    #[getter]
    fn bytes_in(&self) -> u64 {
        self.0.bytes_in
    }

    #[getter]
    fn bytes_out(&self) -> u64 {
        self.0.bytes_out
    }

    #[getter]
    fn excluded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        pairs(py, &self.0.excluded)
    }

    #[getter]
    fn largest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.largest.iter().map(|(file, size)| (path(file.as_ref()), *size)).collect::<Vec<_>>())
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.0.seconds
    }

    #[getter]
    fn cached_bytes(&self) -> u64 {
        self.0.cached_bytes
    }

    fn __repr__(&self) -> String {
        format!(
            "ArchiveReport(digest={:?}, files={}, bytes_in={}, bytes_out={}, seconds={:.3})",
            self.0.digest, self.0.files, self.0.bytes_in, self.0.bytes_out, self.0.seconds
        )
    }
}
