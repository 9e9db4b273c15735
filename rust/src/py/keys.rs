//! `dachi_fast._core.keys`: wrapping one key under another.

use crate::error::Error;
use crate::keys::{self, Key};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Key bytes as Python holds them.
pub fn key(bytes: &[u8]) -> PyResult<Key> {
    let bytes = bytes.try_into();
    Ok(bytes.map(Key::new).map_err(|_| Error::new("wrong-key", "a key must be 32 bytes long"))?)
}

#[pyfunction]
fn wrap<'py>(
    py: Python<'py>,
    kek: &[u8],
    plain: &[u8],
    purpose: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &keys::wrap(&key(kek)?, &key(plain)?, purpose)?))
}

#[pyfunction]
fn unwrap<'py>(
    py: Python<'py>,
    kek: &[u8],
    wrapped: &[u8],
    purpose: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, keys::unwrap(&key(kek)?, wrapped, purpose)?.bytes()))
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(wrap, module)?)?;
    module.add_function(wrap_pyfunction!(unwrap, module)?)
}
