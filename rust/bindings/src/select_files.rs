//! `select_files` and its result.
use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use bstr::{BStr, BString};
use lightning_native_core::archive::{self, Excluded, Kind, SelectionOptions};
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};

use crate::{error, heartbeat};

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

pub fn options(include: Vec<OsString>, exclude: Vec<OsString>, ignore_files: bool) -> SelectionOptions {
    let patterns = |all: Vec<OsString>| all.into_iter().map(|pattern| BString::from(pattern.into_vec())).collect();
    // The user may have put the records into the tree.
    let records = env::var_os("LIGHTNING_NATIVE_HOME").map(|home| (home.into(), "records of lightning-native"));
    let own = records.into_iter().collect();
    SelectionOptions { include: patterns(include), exclude: patterns(exclude), ignore_files, own }
}

/// A path for Python, which becomes a `str` as by `os.fsdecode`.
pub fn path(path: &BStr) -> &OsStr {
    OsStr::from_bytes(path)
}

pub fn pairs<'py>(py: Python<'py>, excluded: &[Excluded]) -> PyResult<Bound<'py, PyList>> {
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
