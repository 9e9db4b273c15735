//! The classes that the border compares with, looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Bound for one call; see [`types`].
pub struct Types<'py> {
    /// `...`
    pub ellipsis: Bound<'py, PyAny>,
    /// `numpy.empty`
    pub empty: Bound<'py, PyAny>,
    /// `dachi_fast.values.lower`: a value to (tag, supported value), or None.
    pub lower: Bound<'py, PyAny>,
    /// `dachi_fast.values.raised`: a tag and its value back.
    pub raised: Bound<'py, PyAny>,
    /// `dachi_fast.values.dtype_text` and its inverse.
    pub dtype_text: Bound<'py, PyAny>,
    /// The inverse.
    pub dtype_from: Bound<'py, PyAny>,
    array: Bound<'py, PyType>,
    scalar: Bound<'py, PyType>,
}

struct Kept {
    ellipsis: Py<PyAny>,
    empty: Py<PyAny>,
    lower: Py<PyAny>,
    raised: Py<PyAny>,
    dtype_text: Py<PyAny>,
    dtype_from: Py<PyAny>,
    array: Py<PyType>,
    scalar: Py<PyType>,
}

static KEPT: PyOnceLock<Kept> = PyOnceLock::new();

/// The classes, imported on first use.
pub fn types(py: Python<'_>) -> PyResult<Types<'_>> {
    let kept = KEPT.get_or_try_init(py, || -> PyResult<Kept> {
        let numpy = py.import("numpy")?;
        let values = py.import("dachi_fast.values")?;
        Ok(Kept {
            ellipsis: py.Ellipsis(),
            empty: numpy.getattr("empty")?.unbind(),
            lower: values.getattr("lower")?.unbind(),
            raised: values.getattr("raised")?.unbind(),
            dtype_text: values.getattr("dtype_text")?.unbind(),
            dtype_from: values.getattr("dtype_from")?.unbind(),
            array: numpy.getattr("ndarray")?.cast_into::<PyType>()?.unbind(),
            scalar: numpy.getattr("generic")?.cast_into::<PyType>()?.unbind(),
        })
    })?;
    Ok(Types {
        ellipsis: kept.ellipsis.bind(py).clone(),
        empty: kept.empty.bind(py).clone(),
        lower: kept.lower.bind(py).clone(),
        raised: kept.raised.bind(py).clone(),
        dtype_text: kept.dtype_text.bind(py).clone(),
        dtype_from: kept.dtype_from.bind(py).clone(),
        array: kept.array.bind(py).clone(),
        scalar: kept.scalar.bind(py).clone(),
    })
}

/// The same for values that are only looked at: what this process does not know is an `Opaque`.
pub fn opaque_types(py: Python<'_>) -> PyResult<Types<'_>> {
    let raised = py.import("dachi_fast.opaque")?.getattr("shown")?;
    Ok(Types { raised, ..types(py)? })
}

impl<'py> Types<'py> {
    /// A numpy array, of no subclass.
    #[inline]
    pub fn is_array(&self, value: &Bound<'py, PyAny>) -> bool {
        value.get_type_ptr() == self.array.as_type_ptr()
    }

    /// A numpy scalar.
    #[inline]
    pub fn is_scalar(&self, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        value.is_instance(&self.scalar)
    }
}
