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

/// Removes the system's numbers of errors, because their words are there and people do not know them.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut cleaned = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                cleaned.push_str(rest);
            }
            _ => {
                cleaned.push_str(" (os error ");
                cleaned.push_str(part);
            }
        }
    }
    cleaned
}

pub fn to_python(error: Error) -> PyErr {
    let message = without_numbers(&error.to_string());
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
