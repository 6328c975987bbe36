//! `create_archive` and `select_files`.
use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use bstr::{BStr, BString};
use lightning_native_core::archive::{self, Excluded, Kind, SelectionOptions, WriteOptions};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use crate::{error, heartbeat};

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

#[pyfunction]
#[pyo3(
    signature = (root, *, include=Vec::new(), exclude=Vec::new(), ignore_files=true),
    text_signature = "(root, *, include=(), exclude=(), ignore_files=True)"
)]
pub fn select_files(
    py: Python<'_>,
    root: PathBuf,
    include: Vec<OsString>,
    exclude: Vec<OsString>,
    ignore_files: bool,
) -> PyResult<Selection> {
    let options = options(include, exclude, ignore_files);
    heartbeat::detached(py, None, |progress| archive::select(&root, &options, &mut || progress(0, 0))).map(Selection)
}

fn options(include: Vec<OsString>, exclude: Vec<OsString>, ignore_files: bool) -> SelectionOptions {
    let patterns = |all: Vec<OsString>| all.into_iter().map(|pattern| BString::from(pattern.into_vec())).collect();
    // Where the user has them, which may be in the tree.
    let records = env::var_os("LIGHTNING_NATIVE_HOME").map(|home| (home.into(), "records of lightning-native"));
    let own = records.into_iter().collect();
    SelectionOptions { include: patterns(include), exclude: patterns(exclude), ignore_files, own }
}

/// Paths become `str` as `os.fsdecode` makes them.
fn path(path: &BStr) -> &OsStr {
    OsStr::from_bytes(path)
}

fn pairs<'py>(py: Python<'py>, excluded: &[Excluded]) -> PyResult<Bound<'py, PyList>> {
    let pairs: Vec<Bound<'py, PyTuple>> = excluded
        .iter()
        .map(|excluded| (path(excluded.path.as_ref()), &excluded.reason).into_pyobject(py))
        .collect::<PyResult<_>>()?;
    PyList::new(py, pairs)
}

#[pyclass(frozen, module = "lightning_native")]
pub struct Selection(archive::Selection);

#[pymethods]
impl Selection {
    #[getter]
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let files = self.0.entries.iter().filter(|entry| entry.kind != Kind::Folder);
        PyList::new(py, files.map(|entry| path(&entry.path)).collect::<Vec<_>>())
    }

    #[getter]
    fn folders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let folders = self.0.entries.iter().filter(|entry| entry.kind == Kind::Folder);
        PyList::new(py, folders.map(|entry| path(&entry.path)).collect::<Vec<_>>())
    }

    #[getter]
    fn excluded<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        pairs(py, &self.0.excluded)
    }

    fn explain(&self, path: PathBuf) -> PyResult<(bool, String)> {
        self.0.explain(path.as_os_str().as_bytes().into()).map_err(error::to_python)
    }

    fn __repr__(&self) -> String {
        format!("Selection({} files, {} excluded)", self.0.entries.len(), self.0.excluded.len())
    }
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
