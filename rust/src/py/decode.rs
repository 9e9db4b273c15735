//! Python values out of the codec.

use super::array::{self, Unfilled};
use super::errors::Attempt;
use super::raw;
use super::types::Types;
use crate::codec::{ArrayHead, Decoder, MAX_DEPTH, Token};
use crate::error::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PySet, PyString};

/// Dicts with more keys than this mostly have keys of their own.
const CACHED_MAP: usize = 64;
/// A power of two: 64 KiB of pointers, enough for a few thousand distinct keys.
const CACHED_KEYS: usize = 8192;

/// The str objects of dict keys of less than 32 bytes, kept for the next value: the object and its
/// hash are then there already.
#[derive(Default)]
pub struct Keys {
    slots: Vec<Option<Py<PyString>>>,
}

/// Eight bytes at a time; keys are short, and a collision only costs a new str object.
#[inline]
fn slot_of(text: &[u8]) -> usize {
    let mut hash = text.len() as u64;
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    for &byte in words.remainder() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (hash >> 32) as usize % CACHED_KEYS
}

impl Keys {
    #[inline]
    fn get<'py>(&mut self, py: Python<'py>, text: &[u8]) -> Attempt<Bound<'py, PyAny>> {
        if self.slots.is_empty() {
            self.slots.resize_with(CACHED_KEYS, || None);
        }
        let Some(slot) = self.slots.get_mut(slot_of(text)) else {
            return Ok(raw::string(py, utf8(text)?)?);
        };
        if let Some(kept) = slot {
            let kept = kept.bind(py);
            if raw::utf8(kept).map(str::as_bytes) == Some(text) {
                return Ok(kept.clone().into_any());
            }
        }
        let made = PyString::new(py, utf8(text)?);
        *slot = Some(made.clone().unbind());
        Ok(made.into_any())
    }
}

/// What was written came from a dict or set, so its keys and elements can be hashed.
#[cold]
fn unhashable(_: PyErr) -> Error {
    Error::new("malformed", "a dict key or set element that cannot be hashed")
}

/// A set has as many elements as were read.
fn distinct(found: usize, read: usize) -> Result<()> {
    if found == read {
        Ok(())
    } else {
        Err(Error::new("malformed", "a set holds an element twice"))
    }
}

fn utf8(text: &[u8]) -> Attempt<&str> {
    let refused = |_| Error::new("malformed", "a text is not UTF-8").into();
    std::str::from_utf8(text).map_err(refused)
}

/// A decoder that makes Python's values.
pub struct ValueDecoder<'a, 'py> {
    input: Decoder<'a>,
    types: &'a Types<'py>,
    keys: &'a mut Keys,
    depth: usize,
}

impl<'a, 'py> ValueDecoder<'a, 'py> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8], types: &'a Types<'py>, keys: &'a mut Keys) -> Self {
        ValueDecoder::over(Decoder::new(bytes), types, keys)
    }

    /// Reads on from where `input` stands.
    pub fn over(input: Decoder<'a>, types: &'a Types<'py>, keys: &'a mut Keys) -> Self {
        ValueDecoder { input, types, keys, depth: 0 }
    }

    /// Where the next value begins.
    pub fn position(&self) -> usize {
        self.input.position()
    }

    /// One value that takes all the bytes.
    pub fn whole(mut self) -> Attempt<Bound<'py, PyAny>> {
        let value = self.value()?;
        self.input.done()?;
        Ok(value)
    }

    /// The next value with all that it holds.
    #[inline]
    pub fn value(&mut self) -> Attempt<Bound<'py, PyAny>> {
        let py = self.types.empty.py();
        if let Some(text) = self.input.short_text() {
            return self.short_text(py, text);
        }
        Ok(match self.input.token()? {
            Token::Float(value) => PyFloat::new(py, value).into_any(),
            Token::Int(value) => value.into_pyobject(py).map_err(PyErr::from)?.into_any(),
            Token::Text(text) => raw::string(py, text)?,
            Token::Nil => py.None().into_bound(py),
            Token::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            other => return self.compound(py, other),
        })
    }

    #[inline]
    fn short_text(&self, py: Python<'py>, text: &[u8]) -> Attempt<Bound<'py, PyAny>> {
        if text.is_ascii() {
            return Ok(raw::ascii(py, text)?);
        }
        Ok(raw::string(py, utf8(text)?)?)
    }

    fn compound(&mut self, py: Python<'py>, token: Token<'a>) -> Attempt<Bound<'py, PyAny>> {
        if !matches!(
            token,
            Token::List(_)
                | Token::Map(_)
                | Token::Tuple(_)
                | Token::Set(_)
                | Token::Frozenset(_)
                | Token::Named(_)
        ) {
            return self.rare(py, token);
        }
        if self.depth >= MAX_DEPTH {
            return Err(Error::new("malformed", "values nest too deeply").into());
        }
        self.depth += 1;
        let value = match token {
            Token::List(len) => raw::list(py, len, || self.value())?,
            Token::Map(len) => self.dict(py, len)?,
            token => self.extension(py, token)?,
        };
        self.depth -= 1;
        Ok(value)
    }

    /// Values that hold others and have a length of their own.
    fn extension(&mut self, py: Python<'py>, token: Token<'a>) -> Attempt<Bound<'py, PyAny>> {
        let end = self.input.extension_end();
        let value = match token {
            Token::Tuple(len) => raw::tuple(py, len, || self.value())?.into_any(),
            Token::Set(len) => {
                let elements = raw::tuple(py, len, || self.value())?;
                let set = PySet::new(py, elements.iter()).map_err(unhashable)?;
                distinct(set.len(), len)?;
                set.into_any()
            }
            Token::Frozenset(len) => {
                let elements = raw::tuple(py, len, || self.value())?;
                let set = PyFrozenSet::new(py, elements.iter()).map_err(unhashable)?;
                distinct(set.len(), len)?;
                set.into_any()
            }
            Token::Named(tag) => {
                let payload = self.value()?;
                self.input.close_extension(end)?;
                return Ok(self.types.raised.call1((tag, payload))?);
            }
            _ => return Err(Error::new("malformed", "a value cannot be read").into()),
        };
        self.input.close_extension(end)?;
        Ok(value)
    }

    /// Values that hold no others and are not common.
    fn rare(&mut self, py: Python<'py>, token: Token<'a>) -> Attempt<Bound<'py, PyAny>> {
        Ok(match token {
            Token::Array(head) => self.array(py, &head)?,
            Token::Scalar(dtype, item) => array::scalar(self.types, dtype, item)?,
            Token::Binary(bytes) => PyBytes::new(py, bytes).into_any(),
            Token::Uint(value) => value.into_pyobject(py).map_err(PyErr::from)?.into_any(),
            Token::BigInt(bytes) => {
                let keywords = PyDict::new(py);
                keywords.set_item("signed", true)?;
                let int = py.get_type::<pyo3::types::PyInt>();
                int.call_method("from_bytes", (PyBytes::new(py, bytes), "big"), Some(&keywords))?
            }
            Token::Complex(real, imag) => PyComplex::from_doubles(py, real, imag).into_any(),
            Token::Surrogates(wtf8) => {
                let text =
                    PyBytes::new(py, wtf8).call_method1("decode", ("utf-8", "surrogatepass"));
                text.map_err(|_| Error::new("malformed", "a text with surrogates is not WTF-8"))?
            }
            Token::Ellipsis => py.Ellipsis().into_bound(py),
            _ => return Err(Error::new("malformed", "a value cannot be read").into()),
        })
    }

    fn dict(&mut self, py: Python<'py>, len: usize) -> Attempt<Bound<'py, PyAny>> {
        let dict = PyDict::new(py);
        for _ in 0..len {
            let key = match self.input.short_text() {
                Some(text) if len <= CACHED_MAP => self.keys.get(py, text)?,
                Some(text) => self.short_text(py, text)?,
                None => self.value()?,
            };
            dict.set_item(key, self.value()?).map_err(unhashable)?;
        }
        if dict.len() != len {
            return Err(Error::new("malformed", "a dict holds a key twice").into());
        }
        Ok(dict.into_any())
    }

    fn array(&mut self, py: Python<'py>, head: &ArrayHead<'_>) -> Attempt<Bound<'py, PyAny>> {
        if head.items.len() != head.size_bytes {
            return Err(Error::new("malformed", "an array ends before it is complete").into());
        }
        let unfilled = Unfilled::new(self.types, head)?;
        if head.size_bytes > 0 {
            unfilled.memory()?.copy_from_slice(py, head.items)?;
        }
        unfilled.filled()
    }
}
