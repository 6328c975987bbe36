//! The translation of core errors into the exceptions of `lightning_native.errors`.
use lightning_native_core::Error;
use pyo3::{exceptions::PyKeyboardInterrupt, import_exception, prelude::*};

import_exception!(lightning_native.errors, ArchiveError);
import_exception!(lightning_native.errors, ConflictError);
import_exception!(lightning_native.errors, CycleError);
import_exception!(lightning_native.errors, DagError);
import_exception!(lightning_native.errors, InvalidNameError);
import_exception!(lightning_native.errors, RequirementError);
import_exception!(lightning_native.errors, UnknownNodeError);
import_exception!(lightning_native.errors, UnsafeArchiveError);

pub fn to_python(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Archive(_) => ArchiveError::new_err(message),
        Error::UnsafeArchive(_) => UnsafeArchiveError::new_err(message),
        Error::InvalidName(_) => InvalidNameError::new_err(message),
        Error::Requirement(_) => RequirementError::new_err(message),
        Error::Conflict(_) => ConflictError::new_err(message),
        Error::Dag(_) => DagError::new_err(message),
        Error::Cycle(cycle) => CycleError::new_err((message, cycle)),
        Error::UnknownNode(_) => UnknownNodeError::new_err(message),
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
    }
}
