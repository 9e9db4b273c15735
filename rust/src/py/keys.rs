//! `dachi_fast._core.keys`: wrapping one key under another, or under a passphrase.

use crate::error::Error;
use crate::keys::{self, Key};
use crate::seal::Cost;
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

#[pyfunction]
fn wrap_with_passphrase<'py>(
    py: Python<'py>,
    passphrase: &[u8],
    plain: &[u8],
    purpose: &[u8],
    cost: (u32, u32, u32),
) -> PyResult<Bound<'py, PyBytes>> {
    let (plain, (memory_kib, passes, lanes)) = (key(plain)?, cost);
    let cost = Cost { memory_kib, passes, lanes };
    let wrapped = py.detach(|| keys::wrap_with_passphrase(passphrase, &plain, purpose, cost))?;
    Ok(PyBytes::new(py, &wrapped))
}

#[pyfunction]
fn unwrap_with_passphrase<'py>(
    py: Python<'py>,
    passphrase: &[u8],
    wrapped: &[u8],
    purpose: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let key = py.detach(|| keys::unwrap_with_passphrase(passphrase, wrapped, purpose))?;
    Ok(PyBytes::new(py, key.bytes()))
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(wrap, module)?)?;
    module.add_function(wrap_pyfunction!(unwrap, module)?)?;
    module.add_function(wrap_pyfunction!(wrap_with_passphrase, module)?)?;
    module.add_function(wrap_pyfunction!(unwrap_with_passphrase, module)?)
}
