//! The few places where the hot path needs CPython's C interface itself.
//!
//! pyo3's safe wrappers cost an attribute look-up or a reference count more than the walk can pay
//! per value, or panic where we must give an error (a dict that changes size under iteration).
#![allow(unsafe_code)]

use crate::state::Payload;
use pyo3::Borrowed;
use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple, PyType};
use std::cell::Cell;
use std::ffi::{c_int, c_void};

/// Iterates a dict; gives `None` as the last item if the dict changed size meanwhile.
#[derive(Debug)]
pub struct Pairs<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: ffi::Py_ssize_t,
    len: usize,
}

/// The pairs of a dict.
pub fn pairs<'a, 'py>(dict: &'a Bound<'py, PyDict>) -> Pairs<'a, 'py> {
    Pairs { dict, position: 0, len: dict.len() }
}

impl<'py> Iterator for Pairs<'_, 'py> {
    type Item = Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.dict.len() != self.len {
            return Some(None);
        }
        let py = self.dict.py();
        let mut key = std::ptr::null_mut();
        let mut value = std::ptr::null_mut();
        // SAFETY: the interpreter is attached (`py`), `dict` is a live dict, the out pointers are
        // valid; the borrowed references given back are made owned at once, before any code runs
        // that could drop them from the dict.
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &mut self.position, &mut key, &mut value) == 0 {
                return None;
            }
            Some(Some((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value))))
        }
    }
}

/// Iterates a dict without owning what it yields.
#[derive(Debug)]
pub struct BorrowedPairs<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: ffi::Py_ssize_t,
}

/// The pairs of a dict; make one owned before anything runs that could change the dict.
pub fn borrowed_pairs<'a, 'py>(dict: &'a Bound<'py, PyDict>) -> BorrowedPairs<'a, 'py> {
    BorrowedPairs { dict, position: 0 }
}

impl<'a, 'py> Iterator for BorrowedPairs<'a, 'py> {
    type Item = (Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let py = self.dict.py();
        let mut key = std::ptr::null_mut();
        let mut value = std::ptr::null_mut();
        // SAFETY: attached, `dict` is a live dict, the out pointers are valid. The references are
        // the dict's own: the users of this iterator look at types, or write atoms, which runs no
        // Python code, and make everything else owned first.
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &mut self.position, &mut key, &mut value) == 0 {
                return None;
            }
            Some((Borrowed::from_ptr(py, key), Borrowed::from_ptr(py, value)))
        }
    }
}

/// A str object of `text`.
#[inline]
pub fn string<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if text.is_ascii() {
        return ascii(py, text.as_bytes());
    }
    let len = text.len() as ffi::Py_ssize_t;
    // SAFETY: attached; pointer and length are those of a live str; the new reference, or null
    // with an exception set, is handed over to pyo3.
    unsafe {
        Bound::from_owned_ptr_or_err(
            py,
            ffi::PyUnicode_DecodeUTF8(text.as_ptr().cast(), len, std::ptr::null()),
        )
    }
}

/// A str object of bytes that the caller found to be ASCII.
#[inline]
pub fn ascii<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    debug_assert!(text.is_ascii());
    // SAFETY: attached; a new str of `len` ASCII characters owns `len` bytes behind its header, and
    // nobody else sees it before they are written.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(
            py,
            ffi::PyUnicode_New(text.len() as ffi::Py_ssize_t, 127),
        )?;
        // The empty str is shared: nothing is written to it.
        let data = ffi::PyUnicode_DATA(made.as_ptr()).cast::<u8>();
        std::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
        Ok(made)
    }
}

/// The UTF-8 of a str, without a call for ASCII; None if it holds lone surrogates.
#[inline]
pub fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    // SAFETY: attached; a compact ASCII str holds exactly its length in bytes, all below 128, and
    // does not change while the borrow lasts.
    unsafe {
        let object = text.as_ptr();
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            // The characters of a compact ASCII str follow its header.
            let data = object.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
            let len = ffi::PyUnicode_GET_LENGTH(object) as usize;
            return Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(data, len)));
        }
    }
    text.to_str().ok()
}

/// A value that holds no others, by its exact type.
pub enum Atom<'a, 'py> {
    /// A str.
    Text(&'a Bound<'py, PyString>),
    /// A float.
    Float(f64),
    /// An int.
    Int(&'a Bound<'py, PyInt>),
    /// None.
    None,
    /// A bool.
    Bool(bool),
}

/// The value as an atom, told by its type's address alone: pyo3's own test takes a reference to
/// the type object first.
#[inline]
pub fn atom<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Option<Atom<'a, 'py>> {
    let class = value.get_type_ptr();
    // SAFETY: the addresses of static types are only compared; a value whose type is exactly the
    // one compared with is one of it.
    unsafe {
        if class == &raw mut ffi::PyUnicode_Type {
            Some(Atom::Text(value.cast_unchecked()))
        } else if class == &raw mut ffi::PyFloat_Type {
            Some(Atom::Float(ffi::PyFloat_AS_DOUBLE(value.as_ptr())))
        } else if class == &raw mut ffi::PyLong_Type {
            Some(Atom::Int(value.cast_unchecked()))
        } else if value.as_ptr() == ffi::Py_None() {
            Some(Atom::None)
        } else if class == &raw mut ffi::PyBool_Type {
            Some(Atom::Bool(value.as_ptr() == ffi::Py_True()))
        } else {
            None
        }
    }
}

/// Whether a value is an atom.
#[inline]
pub fn is_atom(value: &Bound<'_, PyAny>) -> bool {
    atom(value).is_some()
}

/// Whether a value is an instance of a class or its subclasses; virtual subclasses do not count, and
/// no Python code runs.
#[inline]
pub fn is_a(value: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: attached; both are live objects, and `class` is a type.
    unsafe { ffi::PyObject_TypeCheck(value.as_ptr(), class.as_type_ptr()) != 0 }
}

/// Whether a class is another or derived from it; as [`is_a`], without asking either's metaclass.
#[inline]
pub fn is_subtype(class: &Bound<'_, PyType>, base: &Bound<'_, PyType>) -> bool {
    // SAFETY: attached; both are live types.
    unsafe { ffi::PyType_IsSubtype(class.as_type_ptr(), base.as_type_ptr()) != 0 }
}

/// What [`referents`] counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Referents {
    /// Objects that the instance's attributes hold, its class not counted.
    pub all: usize,
    /// Those that are instances of one of the wanted classes.
    pub wanted: usize,
    /// Those that are dicts.
    pub dicts: usize,
    /// The address of the last dict.
    pub last_dict: usize,
}

struct Visit {
    found: Referents,
    class: *mut ffi::PyTypeObject,
    wanted: *const *mut ffi::PyTypeObject,
    wanted_len: usize,
}

extern "C" fn visit(object: *mut ffi::PyObject, context: *mut c_void) -> c_int {
    // SAFETY: called by tp_traverse below only, which hands on live objects and the context given
    // there; nothing is kept, no reference count changes and no Python code runs.
    unsafe {
        let visit = &mut *context.cast::<Visit>();
        let class = ffi::Py_TYPE(object);
        if object.cast() == visit.class {
            return 0;
        }
        visit.found.all += 1;
        if class == &raw mut ffi::PyDict_Type {
            visit.found.dicts += 1;
            visit.found.last_dict = object as usize;
            return 0;
        }
        // The wanted classes are made in Python; what is not cannot be derived from one.
        if ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HEAPTYPE) == 0 {
            return 0;
        }
        for at in 0..visit.wanted_len {
            if ffi::PyType_IsSubtype(class, *visit.wanted.add(at)) != 0 {
                visit.found.wanted += 1;
                break;
            }
        }
    }
    0
}

/// Counts what an instance refers to without touching its `__dict__`, which would make every later
/// attribute access on CPython 3.11 and 3.12 slower: what `gc.get_referents` does, without a list.
pub fn referents(object: &Bound<'_, PyAny>, wanted: &[Bound<'_, PyType>; 2]) -> Referents {
    let wanted = [wanted[0].as_type_ptr(), wanted[1].as_type_ptr()];
    let mut state = Visit {
        found: Referents::default(),
        class: object.get_type_ptr(),
        wanted: wanted.as_ptr(),
        wanted_len: wanted.len(),
    };
    // SAFETY: attached; a class with a traverse slot promises that calling it with a live instance
    // and a visitor is sound at any time (the collector does); the visitor neither allocates nor
    // frees.
    unsafe {
        if let Some(traverse) = (*object.get_type_ptr()).tp_traverse {
            traverse(object.as_ptr(), visit, (&raw mut state).cast());
        }
    }
    state.found
}

/// A tuple filled from its elements, or the first error of `element`.
pub fn tuple<'py, E: From<PyErr>>(
    py: Python<'py>,
    len: usize,
    mut element: impl FnMut() -> Result<Bound<'py, PyAny>, E>,
) -> Result<Bound<'py, PyTuple>, E> {
    // SAFETY: attached; every slot is set exactly once before the tuple is seen by anyone else; on
    // an early return the tuple is dropped with null slots, which its destructor allows.
    unsafe {
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(len as ffi::Py_ssize_t))?;
        for at in 0..len {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), at as ffi::Py_ssize_t, element()?.into_ptr());
        }
        Ok(tuple.cast_into_unchecked())
    }
}

/// A list filled from its elements, or the first error of `element`.
pub fn list<'py, E: From<PyErr>>(
    py: Python<'py>,
    len: usize,
    mut element: impl FnMut() -> Result<Bound<'py, PyAny>, E>,
) -> Result<Bound<'py, PyAny>, E> {
    // SAFETY: as for `tuple`: every slot is set once, null slots are allowed when dropped.
    unsafe {
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(len as ffi::Py_ssize_t))?;
        for at in 0..len {
            ffi::PyList_SET_ITEM(list.as_ptr(), at as ffi::Py_ssize_t, element()?.into_ptr());
        }
        Ok(list)
    }
}

/// The memory of an array that outlives the attachment to the interpreter.
pub struct ArrayMemory {
    buffer: PyBuffer<u8>,
}

impl ArrayMemory {
    /// Keeps the buffer exported, so that its memory stays where it is until this is dropped.
    pub fn new(buffer: PyBuffer<u8>) -> Self {
        ArrayMemory { buffer }
    }
}

impl Payload for ArrayMemory {
    fn bytes(&self) -> &[u8] {
        // SAFETY: an exported buffer stays valid and of this length until released. What remains:
        // Python code in another thread may write to the array while it is being saved. Each piece
        // is copied once before it is hashed and sealed, so what is stored is consistent with its
        // hash; which of two concurrent values it holds is as undefined as for `array.copy()`.
        unsafe { std::slice::from_raw_parts(self.buffer.buf_ptr().cast(), self.buffer.len_bytes()) }
    }
}

/// Fills the memory of a new array, detached from the interpreter.
pub fn fill<T: Send>(
    py: Python<'_>,
    memory: &PyBuffer<u8>,
    fill: impl FnOnce(&mut [u8]) -> T + Send,
) -> T {
    // SAFETY: the buffer is exported, contiguous, writable and of this length (numpy made it a
    // moment ago, and nobody else has a reference to that array yet), so for the time of this call
    // the slice is the only access to it.
    let slice = unsafe {
        std::slice::from_raw_parts_mut(memory.buf_ptr().cast::<u8>(), memory.len_bytes())
    };
    py.detach(|| fill(slice))
}

/// The numbers of an array, to be read and written in place; None if it may not be written, or its
/// numbers lie scattered.
pub fn cells<'a>(_py: Python<'a>, memory: &'a PyBuffer<f64>) -> Option<&'a [Cell<f64>]> {
    if memory.readonly() {
        return None;
    }
    let numbers = memory.as_slice_ptr()?;
    if numbers.is_empty() {
        return Some(&[]);
    }
    // SAFETY: an exported buffer stays valid, aligned (checked when it was made) and of this length
    // while `memory` lives. Cells may alias, so that one array may be given twice. Attached (`_py`),
    // no Python code of another thread runs meanwhile; what remains is a Python without the GIL, where
    // whoever shares a module between threads must lock it, as for every other change of it.
    Some(unsafe { std::slice::from_raw_parts(numbers.as_ptr() as *const Cell<f64>, numbers.len()) })
}

/// Sets or deletes an attribute as `object` does, whatever the class says of setting attributes.
pub fn set_plainly<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let value = value.map_or(std::ptr::null_mut(), |value| value.as_ptr());
    // SAFETY: attached; all are live objects, or null to delete; a name that is no str is refused.
    let done = unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value) };
    if done == 0 { Ok(()) } else { Err(PyErr::fetch(object.py())) }
}

/// While it lives, the collector of cycles rests: what a load makes is all in use, so its rounds over
/// thousands of young objects would find nothing.
pub struct CollectorPaused<'py> {
    was_on: bool,
    _py: Python<'py>,
}

impl<'py> CollectorPaused<'py> {
    /// Pauses the collector, if it is on.
    pub fn new(py: Python<'py>) -> Self {
        // SAFETY: attached.
        let was_on = unsafe { ffi::PyGC_Disable() } == 1;
        CollectorPaused { was_on, _py: py }
    }
}

impl Drop for CollectorPaused<'_> {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: attached, as `_py` proves.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
