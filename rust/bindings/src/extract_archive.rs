//! `extract_archive` and its report.
use std::path::PathBuf;

use lightning_native_core::archive::{self, Limits};
use pyo3::prelude::*;

use crate::heartbeat;

#[pyfunction]
#[pyo3(signature = (source, destination, *, progress=None, max_bytes=None, max_ratio=None))]
pub fn extract_archive(
    py: Python<'_>,
    source: PathBuf,
    destination: PathBuf,
    progress: Option<Py<PyAny>>,
    max_bytes: Option<u64>,
    max_ratio: Option<u64>,
) -> PyResult<ExtractReport> {
    let standard = Limits::default();
    let limits = Limits {
        bytes: max_bytes.unwrap_or(standard.bytes),
        ratio: max_ratio.unwrap_or(standard.ratio).max(1),
        ..standard
    };
    heartbeat::detached(py, progress, |progress| archive::extract(&source, &destination, &limits, progress))
        .map(ExtractReport)
}

#[pyclass(frozen, module = "lightning_native")]
pub struct ExtractReport(archive::ExtractReport);

#[pymethods]
impl ExtractReport {
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
    fn seconds(&self) -> f64 {
        self.0.seconds
    }

    fn __repr__(&self) -> String {
        format!(
            "ExtractReport(files={}, bytes_in={}, bytes_out={}, seconds={:.3})",
            self.0.files, self.0.bytes_in, self.0.bytes_out, self.0.seconds
        )
    }
}
