//! How large a spec is, before anything looks at what it says.
//!
//! Specs are untrusted: one may be deep enough to end the stack, or refer to one list from many
//! places and so unfold to more than any memory holds. Nothing here recurses, and what is met again
//! is counted again.

use super::raw::{self, Atom, atom};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iter::{BoundDictIterator, BoundListIterator};
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

type Value<'py> = Bound<'py, PyAny>;

/// What a spec may have at most: levels, modules, values, bytes.
pub type Limits = (usize, usize, usize, usize);

/// Measures a spec; gives the limit that it exceeds, and the keys and indexes that lead there.
#[pyfunction]
pub fn exceeded<'py>(
    spec: &Bound<'py, PyDict>,
    limits: Limits,
) -> PyResult<Option<(&'static str, Vec<Value<'py>>)>> {
    let mut seen = Seen { limits, modules: 0, values: 0, size_bytes: 0 };
    let mut open: Vec<Level<'py>> = Vec::new();
    let mut inner = seen.value(spec.as_any())?;
    loop {
        let too_deep = inner.is_some() && open.len() >= limits.0;
        if let Some(limit) = too_deep.then_some("depth").or_else(|| seen.exceeded()) {
            let path = open.iter().map(|level| level.here(spec.py())).collect::<PyResult<_>>()?;
            return Ok(Some((limit, path)));
        }
        open.extend(inner.take());
        let Some(level) = open.last_mut() else { return Ok(None) };
        match level.next(&mut seen) {
            Some(value) => inner = seen.value(&value)?,
            None => drop(open.pop()),
        }
    }
}

/// What was counted so far.
struct Seen {
    limits: Limits,
    modules: usize,
    values: usize,
    size_bytes: usize,
}

impl Seen {
    fn exceeded(&self) -> Option<&'static str> {
        let (_, modules, values, size_bytes) = self.limits;
        match () {
            () if self.modules > modules => Some("modules"),
            () if self.values > values => Some("values"),
            () if self.size_bytes > size_bytes => Some("size_bytes"),
            () => None,
        }
    }

    /// Counts a value, and gives what is inside it.
    fn value<'py>(&mut self, value: &Value<'py>) -> PyResult<Option<Level<'py>>> {
        self.values += 1;
        if self.is_atom(value) {
            return Ok(None);
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            let kind = dict.get_item(intern!(value.py(), "kind"))?;
            self.modules += usize::from(kind.is_some_and(|kind| kind.is_instance_of::<PyString>()));
            return Ok(Some(Level::Dict(dict.iter(), None)));
        }
        if let Ok(list) = value.cast::<PyList>() {
            return Ok(Some(Level::List(list.iter(), 0)));
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return Ok(Some(Level::List(tuple.to_list().iter(), 0)));
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            self.size_bytes += bytes.as_bytes().len();
        }
        Ok(None)
    }

    fn is_atom(&mut self, value: &Value<'_>) -> bool {
        match atom(value) {
            Some(Atom::Text(text)) => self.text(text),
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn text(&mut self, text: &Bound<'_, PyString>) {
        // A lone surrogate would take three bytes.
        self.size_bytes += raw::utf8(text).map_or_else(|| 3 * text.len().unwrap_or(0), str::len);
    }
}

/// A dict or list on the way down, and what of it is looked at now.
enum Level<'py> {
    Dict(BoundDictIterator<'py>, Option<Value<'py>>),
    List(BoundListIterator<'py>, usize),
}

impl<'py> Level<'py> {
    /// The next value inside that holds others, or with which a limit is exceeded; what comes before
    /// it in a dict, and holds none, is counted on the way.
    fn next(&mut self, seen: &mut Seen) -> Option<Value<'py>> {
        match self {
            Level::Dict(pairs, here) => loop {
                let (key, value) = pairs.next()?;
                if let Ok(text) = key.cast::<PyString>() {
                    seen.text(text);
                }
                if seen.is_atom(&value) {
                    seen.values += 1;
                    if seen.exceeded().is_none() {
                        continue;
                    }
                }
                *here = Some(key);
                return Some(value);
            },
            Level::List(values, next) => {
                *next += 1;
                values.next()
            }
        }
    }

    fn here(&self, py: Python<'py>) -> PyResult<Value<'py>> {
        Ok(match self {
            Level::Dict(_, key) => key.clone().unwrap_or_else(|| py.None().into_bound(py)),
            Level::List(_, next) => next.saturating_sub(1).into_pyobject(py)?.into_any(),
        })
    }
}
