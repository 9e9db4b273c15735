//! numpy arrays and scalars.

use super::errors::Attempt;
use super::types::Types;
use crate::codec::{ArrayHead, Encoder};
use crate::error::Error;
use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

/// What precedes an array's items, and where they lie.
pub struct Parts<'py> {
    /// numpy's name of the item type.
    pub dtype: String,
    /// Whether the items lie in Fortran order.
    pub fortran: bool,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// An object whose buffer is the items in that order.
    pub items: Items<'py>,
}

/// An array's items in memory order.
pub enum Items<'py> {
    /// The array's own memory.
    Own(PyBuffer<u8>),
    /// A copy, where the array lies scattered or its items have no buffer (dates).
    Copy(Bound<'py, PyBytes>),
}

impl Items<'_> {
    /// How many bytes.
    pub fn len(&self) -> usize {
        match self {
            Items::Own(buffer) => buffer.len_bytes(),
            Items::Copy(bytes) => bytes.as_bytes().len(),
        }
    }
}

/// Takes an array apart without copying its items where it can.
pub fn parts<'py>(types: &Types<'py>, array: &Bound<'py, PyAny>) -> Attempt<Parts<'py>> {
    let py = array.py();
    let dtype = dtype_text(types, &array.getattr(intern!(py, "dtype"))?)?;
    let array = &unpadded(array, &dtype)?;
    let shape: Vec<usize> = array.getattr(intern!(py, "shape"))?.extract()?;
    let flags = array.getattr(intern!(py, "flags"))?;
    let c_order: bool = flags.getattr(intern!(py, "c_contiguous"))?.extract()?;
    let fortran = !c_order && flags.getattr(intern!(py, "f_contiguous"))?.extract::<bool>()?;
    let plain = matches!(dtype.as_bytes().get(1), Some(b'f' | b'i' | b'u' | b'b' | b'c'));
    let items = if plain && (c_order || fortran) && shape.iter().all(|&extent| extent > 0) {
        let flat = array.call_method1(intern!(py, "ravel"), ("K",))?;
        let view = flat.call_method1(intern!(py, "view"), (intern!(py, "u1"),))?;
        Items::Own(PyBuffer::get(&view)?)
    } else {
        let order = if fortran { "F" } else { "C" };
        let bytes = array.call_method1(intern!(py, "tobytes"), (order,))?;
        Items::Copy(bytes.cast_into::<PyBytes>().map_err(PyErr::from)?)
    };
    Ok(Parts { dtype, fortran, shape, items })
}

/// The array with zeros where no value fills the bytes of its items: numpy leaves there whatever
/// lay in memory before.
fn unpadded<'py>(array: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    if dtype.starts_with('[') || dtype.ends_with("f16") || dtype.ends_with("c32") {
        let values = array.py().import(intern!(array.py(), "dachi_fast.values"))?;
        return values.call_method1(intern!(array.py(), "unpadded"), (array,));
    }
    Ok(array.clone())
}

/// numpy's name of a dtype that can be stored.
fn dtype_text<'py>(types: &Types<'py>, dtype: &Bound<'py, PyAny>) -> Attempt<String> {
    let text = types.dtype_text.call1((dtype,))?;
    if text.is_none() {
        return Err(Error::new(
            "object-array",
            "an array of Python objects cannot be saved; use a list, or a numeric dtype",
        )
        .with("dtype", dtype.str()?.to_string_lossy().into_owned())
        .into());
    }
    Ok(text.extract()?)
}

/// Writes an array with all its items.
pub fn encode<'py>(
    out: &mut Encoder,
    types: &Types<'py>,
    array: &Bound<'py, PyAny>,
) -> Attempt<()> {
    let parts = parts(types, array)?;
    fits(parts.items.len())?;
    let mark = out.array(&parts.dtype, parts.fortran, &parts.shape);
    match &parts.items {
        Items::Copy(bytes) => out.raw(bytes.as_bytes()),
        Items::Own(buffer) => out.raw(&buffer.to_vec(array.py())?),
    }
    out.close(mark, 0);
    Ok(())
}

/// An array's length has 32 bits.
pub fn fits(size_bytes: usize) -> Attempt<()> {
    if size_bytes < (u32::MAX as usize) - 4096 {
        return Ok(());
    }
    Err(Error::new("too-large", "a single array is larger than 4 GiB; split it")
        .with("size_bytes", size_bytes as u64)
        .into())
}

/// Writes a numpy scalar.
pub fn encode_scalar<'py>(
    out: &mut Encoder,
    types: &Types<'py>,
    scalar: &Bound<'py, PyAny>,
) -> Attempt<()> {
    let py = scalar.py();
    let dtype = scalar.getattr(intern!(py, "dtype"))?;
    // A subclass of numpy's scalars says the dtype of its base.
    if !dtype.getattr(intern!(py, "type"))?.is(scalar.get_type()) {
        let kind = scalar.get_type().fully_qualified_name()?.to_string();
        let what = format!("{kind} is no type that state can hold; use numpy's own scalar");
        return Err(Error::new("unsupported-type", what).with("type", kind).into());
    }
    let text = dtype_text(types, &dtype)?;
    let bytes = unpadded(scalar, &text)?.call_method0(intern!(py, "tobytes"))?;
    let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
    // Of an empty text numpy gives one zero item.
    let size: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    out.scalar(&text, bytes.get(..size).unwrap_or(bytes));
    Ok(())
}

/// An array of zeroed or uninitialised items, and the memory to fill.
pub struct Unfilled<'py> {
    flat: Bound<'py, PyAny>,
    dtype: Bound<'py, PyAny>,
    shape: Bound<'py, PyTuple>,
    fortran: bool,
}

impl<'py> Unfilled<'py> {
    /// Allocates the memory that `head` asks for.
    pub fn new(types: &Types<'py>, head: &ArrayHead<'_>) -> Attempt<Self> {
        let py = types.empty.py();
        let dtype = types.dtype_from.call1((head.dtype,))?;
        let item: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
        let size = head.shape.iter().try_fold(item, |size, &extent| size.checked_mul(extent));
        if size != Some(head.size_bytes) {
            return Err(Error::new("malformed", "an array's shape and length differ").into());
        }
        // numpy makes texts of no characters one character long: memory that nobody accounted for.
        let is_text = item == 0 && matches!(head.dtype.as_bytes(), [_, b'S' | b'U', ..]);
        if is_text && head.shape != [1] {
            return Err(Error::new("malformed", "an array of texts of no characters").into());
        }
        let flat = types.empty.call1((head.size_bytes, "u1"))?;
        let shape = PyTuple::new(py, &head.shape)?;
        Ok(Unfilled { flat, dtype, shape, fortran: head.fortran })
    }

    /// The memory.
    pub fn memory(&self) -> Attempt<PyBuffer<u8>> {
        Ok(PyBuffer::get(&self.flat)?)
    }

    /// The array over the filled memory.
    pub fn filled(self) -> Attempt<Bound<'py, PyAny>> {
        let py = self.flat.py();
        self.shaped().map_err(|cause| {
            let what = format!("an array cannot have this shape: {}", cause.value(py));
            Error::new("malformed", what).into()
        })
    }

    fn shaped(self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.flat.py();
        let order = if self.fortran { "F" } else { "C" };
        let keywords = PyDict::new(py);
        keywords.set_item("order", order)?;
        if self.flat.len()? == 0 {
            let zeros = py.import("numpy")?.getattr("zeros")?;
            return zeros.call((self.shape, self.dtype), Some(&keywords));
        }
        let typed = self.flat.call_method1(intern!(py, "view"), (self.dtype,))?;
        typed.call_method(intern!(py, "reshape"), (self.shape,), Some(&keywords))
    }
}

/// A scalar back.
pub fn scalar<'py>(types: &Types<'py>, dtype: &str, item: &[u8]) -> Attempt<Bound<'py, PyAny>> {
    let head =
        ArrayHead { dtype, fortran: false, shape: vec![1], items: item, size_bytes: item.len() };
    let unfilled = Unfilled::new(types, &head)?;
    if !item.is_empty() {
        unfilled.memory()?.copy_from_slice(types.empty.py(), item)?;
    }
    Ok(unfilled.filled()?.get_item(0)?)
}
