//! `dachi_fast._core.codec`: one value to bytes and back.

use super::decode::{Keys, ValueDecoder};
use super::encode::ValueEncoder;
use super::types::{Types, types};
use crate::codec::Encoder;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static KEYS: RefCell<Keys> = RefCell::new(Keys::default());
}

/// Largest buffer kept warm between calls.
const KEPT_BYTES: usize = 64 << 20;

#[pyfunction]
fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    encoded(value, |bytes| PyBytes::new(value.py(), bytes))
}

/// Makes something of a value's bytes.
pub fn encoded<T>(value: &Bound<'_, PyAny>, make: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    let py = value.py();
    let types = types(py)?;
    // Taken, not borrowed: a hook may encode again.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let mut out = Encoder::new(buffer);
    let written = ValueEncoder::new(&mut out, &types).value(value);
    let bytes = written.map(|()| make(out.bytes()));
    let buffer = out.into_bytes();
    if buffer.capacity() <= KEPT_BYTES {
        BUFFER.set(buffer);
    }
    Ok(bytes?)
}

#[pyfunction]
fn decode<'py>(data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    decoded(data.as_bytes(), &types(data.py())?)
}

/// The value that bytes hold.
pub fn decoded<'py>(bytes: &[u8], types: &Types<'py>) -> PyResult<Bound<'py, PyAny>> {
    let mut keys = KEYS.take();
    let value = ValueDecoder::new(bytes, types, &mut keys).whole();
    KEYS.set(keys);
    Ok(value?)
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(encode, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)
}
