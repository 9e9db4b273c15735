//! Python values into the codec; the interpreter stays attached.

use super::array;
use super::errors::{Attempt, Fail};
use super::raw::{self, Atom};
use super::types::Types;
use crate::codec::{Encoder, MAX_DEPTH, ext};
use crate::error::Error;
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyComplex, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

/// Longest text, bytes or container: msgpack counts in 32 bits.
const MAX_LEN: usize = u32::MAX as usize;

/// An encoder that knows Python's values.
pub struct ValueEncoder<'a, 'py> {
    /// Where the bytes go.
    pub out: &'a mut Encoder,
    types: &'a Types<'py>,
    /// The containers that are open, to tell a cycle from a deep nest.
    open: Vec<*mut pyo3::ffi::PyObject>,
}

impl<'a, 'py> ValueEncoder<'a, 'py> {
    /// Writes to `out`.
    pub fn new(out: &'a mut Encoder, types: &'a Types<'py>) -> Self {
        ValueEncoder { out, types, open: Vec::new() }
    }

    /// One value with all that it holds.
    #[inline]
    pub fn value(&mut self, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if self.atom(value)? { Ok(()) } else { self.compound(value) }
    }

    /// Writes a value that holds no others; false if it is none of these. Runs no Python code
    /// before it has a reference of its own.
    #[inline]
    fn atom(&mut self, value: &Bound<'py, PyAny>) -> Attempt<bool> {
        match raw::atom(value) {
            Some(Atom::Text(text)) => self.text(text)?,
            Some(Atom::Float(float)) => self.out.float(float),
            Some(Atom::Int(int)) => self.int(int)?,
            Some(Atom::None) => self.out.nil(),
            Some(Atom::Bool(bool)) => self.out.bool(bool),
            None => return Ok(false),
        }
        Ok(true)
    }

    fn compound(&mut self, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.nested(value, |encoder| encoder.dict(dict));
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.nested(value, |encoder| encoder.list(list));
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.nested(value, |encoder| encoder.tuple(tuple));
        }
        if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.fits(bytes.as_bytes().len())?;
            self.out.binary(bytes.as_bytes());
            return Ok(());
        }
        if self.types.is_array(value) {
            return array::encode(self.out, self.types, value);
        }
        if value.is_exact_instance_of::<PySet>() {
            return self.nested(value, |encoder| encoder.set(ext::SET, value));
        }
        if value.is_exact_instance_of::<PyFrozenSet>() {
            return self.nested(value, |encoder| encoder.set(ext::FROZENSET, value));
        }
        if let Ok(complex) = value.cast_exact::<PyComplex>() {
            self.out.complex(complex.real(), complex.imag());
            return Ok(());
        }
        if value.is(&self.types.ellipsis) {
            self.out.ellipsis();
            return Ok(());
        }
        if self.types.is_scalar(value)? {
            return array::encode_scalar(self.out, self.types, value);
        }
        self.nested(value, |encoder| encoder.named(value))
    }

    fn nested(
        &mut self,
        value: &Bound<'py, PyAny>,
        encode: impl FnOnce(&mut Self) -> Attempt<()>,
    ) -> Attempt<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(value).into());
        }
        self.open.push(value.as_ptr());
        encode(self)?;
        self.open.pop();
        Ok(())
    }

    #[cold]
    fn too_deep(&self, value: &Bound<'py, PyAny>) -> Error {
        if self.open.contains(&value.as_ptr()) {
            return Error::new("cycle", "a value contains itself; state must be a tree of values");
        }
        Error::new(
            "too-deep",
            format!("values nest deeper than {MAX_DEPTH}; flatten them or hold them in a module"),
        )
    }

    fn fits(&self, len: usize) -> Attempt<()> {
        if len <= MAX_LEN {
            return Ok(());
        }
        Err(Error::new("too-large", "a single value is larger than 4 GiB; split it")
            .with("size_bytes", len as u64)
            .into())
    }

    #[inline]
    fn text(&mut self, text: &Bound<'py, PyString>) -> Attempt<()> {
        match raw::utf8(text) {
            Some(utf8) => {
                self.fits(utf8.len())?;
                self.out.text(utf8);
            }
            None => {
                let text = text.clone();
                let wtf8 = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
                self.out.surrogates(wtf8.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
            }
        }
        Ok(())
    }

    #[inline]
    fn int(&mut self, int: &Bound<'py, PyInt>) -> Attempt<()> {
        if let Ok(value) = int.extract::<i64>() {
            self.out.int(value);
            return Ok(());
        }
        self.wide_int(int)
    }

    #[cold]
    fn wide_int(&mut self, int: &Bound<'py, PyInt>) -> Attempt<()> {
        let int = &int.clone();
        if let Ok(value) = int.extract::<u64>() {
            self.out.uint(value);
            return Ok(());
        }
        // The sign needs a bit of its own; -2^(8k-1) could do without, so the shortest form is
        // taken from the magnitude of `~value` for negative numbers.
        let negative = int.lt(0)?;
        let magnitude =
            if negative { int.call_method0("__invert__")? } else { int.clone().into_any() };
        let bits: usize = magnitude.call_method0("bit_length")?.extract()?;
        let arguments = (bits / 8 + 1, "big");
        let keywords = PyDict::new(int.py());
        keywords.set_item("signed", true)?;
        let bytes = int.call_method("to_bytes", arguments, Some(&keywords))?;
        self.out.big_int(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>) -> Attempt<()> {
        self.fits(dict.len())?;
        self.out.map(dict.len());
        let len = dict.len();
        let mut written = 0;
        for (key, value) in raw::borrowed_pairs(dict) {
            written += 1;
            if self.atom(&key)? && self.atom(&value)? {
                continue;
            }
            // What follows may run Python code, which may drop the dict's own references.
            let (key, value) = (key.to_owned(), value.to_owned());
            self.held(&key, &value)?;
            if dict.len() != len {
                return Err(changed("dict"));
            }
        }
        if written != len {
            return Err(changed("dict"));
        }
        Ok(())
    }

    /// The rest of a pair of which at least one is no atom.
    fn held(&mut self, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if !raw::is_atom(key) {
            self.compound(key).map_err(|fail| fail.inside(format!("<key {}>", shown(key))))?;
            return self.value(value).map_err(|fail| fail.inside(shown(key)));
        }
        self.compound(value).map_err(|fail| fail.inside(shown(key)))
    }

    fn list(&mut self, list: &Bound<'py, PyList>) -> Attempt<()> {
        let len = list.len();
        self.fits(len)?;
        self.out.list(len);
        let mut written = 0;
        for (at, element) in list.iter().enumerate() {
            self.value(&element).map_err(|fail| fail.inside(at.to_string()))?;
            written += 1;
        }
        if written != len {
            return Err(changed("list"));
        }
        Ok(())
    }

    fn tuple(&mut self, tuple: &Bound<'py, PyTuple>) -> Attempt<()> {
        let start = self.out.open(ext::TUPLE);
        self.out.list(tuple.len());
        for (at, element) in tuple.iter().enumerate() {
            self.value(&element).map_err(|fail| fail.inside(at.to_string()))?;
        }
        self.out.close(start, 0);
        Ok(())
    }

    fn set(&mut self, code: u8, set: &Bound<'py, PyAny>) -> Attempt<()> {
        let start = self.out.open(code);
        let len = set.len()?;
        self.out.list(len);
        let first = self.out.len();
        let mut ends = Vec::with_capacity(len);
        for element in set.try_iter()? {
            self.value(&element?).map_err(|fail| fail.inside("<element>"))?;
            ends.push(self.out.len());
        }
        self.out.sort_elements(first, &ends);
        self.out.close(start, 0);
        Ok(())
    }

    /// Types that Python code takes apart: dates, enums, models, modules, converters.
    fn named(&mut self, value: &Bound<'py, PyAny>) -> Attempt<()> {
        let lowered = self.types.lower.call1((value,))?;
        if lowered.is_none() {
            return Err(self.unsupported(value)?.into());
        }
        let (tag, payload): (Bound<'py, PyString>, Bound<'py, PyAny>) = lowered.extract()?;
        let start = self.out.open(ext::NAMED);
        self.out.text(tag.to_str()?);
        self.value(&payload)?;
        self.out.close(start, 0);
        Ok(())
    }

    #[cold]
    fn unsupported(&self, value: &Bound<'py, PyAny>) -> PyResult<Error> {
        let kind = value.get_type().fully_qualified_name()?.to_string();
        Ok(Error::new(
            "unsupported-type",
            format!(
                "{kind} is no type that state can hold; register it with @registry.value or \
                 registry.converter, or keep it in a plain attribute"
            ),
        )
        .with("type", kind))
    }
}

#[cold]
fn changed(what: &str) -> Fail {
    Error::new("store", format!("a {what} changed while it was being saved")).into()
}

/// A dict key for an error message: short, and on one line.
fn shown(key: &Bound<'_, PyAny>) -> String {
    let text = match key.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => key.repr().map_or_else(|_| "?".into(), |r| r.to_string_lossy().into_owned()),
    };
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
