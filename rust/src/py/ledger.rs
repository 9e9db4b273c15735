//! `dachi_fast._core.ledger`: checking what a ledger says of itself.

use pyo3::prelude::*;

#[pyfunction]
fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    crate::seal::is_signed(public_key, message, signature)
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_signed, module)?)
}
