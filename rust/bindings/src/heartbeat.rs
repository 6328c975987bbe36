//! The heartbeat of long work: Python's signal handlers and progress callbacks run while the interpreter is detached.
use lightning_native_core::{Error, Result, archive::Progress};
use pyo3::prelude::*;

use crate::error;

/// Runs `work` detached from the interpreter; its heartbeat handles signals and calls `callback(done, total)`.
pub fn detached<T: Send>(
    py: Python<'_>,
    callback: Option<Py<PyAny>>,
    work: impl FnOnce(&mut Progress<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let result = py.detach(|| {
        work(&mut |done, total| {
            let beat = Python::attach(|py| {
                py.check_signals()?;
                callback.as_ref().map_or(Ok(()), |callback| callback.call1(py, (done, total)).map(drop))
            });
            raised = beat.err();
            raised.is_none()
        })
    });
    match (result, raised) {
        (Err(Error::Interrupted), Some(raised)) => Err(raised),
        (result, _) => result.map_err(error::to_python),
    }
}
