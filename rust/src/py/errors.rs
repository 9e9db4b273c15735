//! Errors of the core as Python's exceptions.

use crate::error::{Detail, Error};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A failure on the border: of the core, or raised by Python code that the core called. One pointer
/// wide, so that a result travels in registers.
#[derive(Debug)]
pub struct Fail(Box<Cause>);

#[derive(Debug)]
enum Cause {
    /// The core's own.
    Core(Error),
    /// Raised by a hook, a provider or the interpreter; with where in the state, innermost first.
    Python(PyErr, Vec<String>),
    /// The same, but it says itself where in the whole state.
    Placed(PyErr),
}

/// What border functions give back before the last conversion.
pub type Attempt<T> = Result<T, Fail>;

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Fail(Box::new(Cause::Core(error)))
    }
}

impl From<PyErr> for Fail {
    fn from(error: PyErr) -> Self {
        Fail(Box::new(Cause::Python(error, Vec::new())))
    }
}

impl Fail {
    /// A failure of Python's that says where in the whole state it lies.
    #[cold]
    pub fn placed(error: PyErr) -> Self {
        Fail(Box::new(Cause::Placed(error)))
    }

    /// Says inside which element the failure lies.
    #[cold]
    pub fn inside(self, segment: impl Into<String>) -> Self {
        Fail(Box::new(match *self.0 {
            Cause::Core(error) => Cause::Core(error.inside(segment)),
            Cause::Python(error, mut path) => {
                path.push(segment.into());
                Cause::Python(error, path)
            }
            placed @ Cause::Placed(_) => placed,
        }))
    }
}

impl From<Fail> for PyErr {
    fn from(fail: Fail) -> Self {
        Python::attach(|py| match *fail.0 {
            Cause::Core(error) => {
                kept(&error).unwrap_or_else(|| raised(py, &error).unwrap_or_else(|failed| failed))
            }
            Cause::Python(error, path) => {
                if !path.is_empty() {
                    let segments: Vec<&str> = path.iter().rev().map(String::as_str).collect();
                    // Where it happened is a courtesy; the error itself is what matters.
                    let _ = located(py, &error, segments.join("."));
                }
                error
            }
            Cause::Placed(error) => error,
        })
    }
}

/// What Python raised when the core called it, on its way out of the core: perhaps in another
/// thread, which waited for a commit that this one led.
static KEPT: Mutex<VecDeque<(u64, PyErr)>> = Mutex::new(VecDeque::new());
/// Those whose error the core took as a warning are never asked for.
const MOST_KEPT: usize = 64;

/// An exception that Python raised when the core called it, as an error of the core's.
pub fn called_back(py: Python<'_>, raised: PyErr) -> Error {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let error = Error::new("key-service", raised.value(py).to_string()).with("raised", number);
    if let Ok(mut kept) = KEPT.lock() {
        kept.truncate(MOST_KEPT - 1);
        kept.push_front((number, raised));
    }
    error
}

/// The exception behind an error of [`called_back`].
fn kept(error: &Error) -> Option<PyErr> {
    let number = match error.context() {
        [("raised", Detail::Number(number))] => *number,
        _ => return None,
    };
    let mut kept = KEPT.lock().ok()?;
    let at = kept.iter().position(|(other, _)| *other == number)?;
    kept.remove(at).map(|(_, raised)| raised)
}

/// Says where in a state an exception of Python's was raised, in front of where it says it was.
fn located(py: Python<'_>, error: &PyErr, mut path: String) -> PyResult<()> {
    let value = error.value(py);
    if let Ok(context) = value.getattr("context")
        && let Ok(context) = context.cast::<PyDict>()
    {
        if let Some(inner) = context.get_item("path")? {
            path = format!("{path}.{inner}");
        }
        context.set_item("path", &path)?;
    }
    value.call_method1("add_note", (format!("at {path} in the state"),))?;
    Ok(())
}

fn raised(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static FROM_CODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_code = FROM_CODE.get_or_try_init(py, || {
        PyResult::Ok(py.import("dachi_fast.errors")?.getattr("from_code")?.unbind())
    })?;
    let context = PyDict::new(py);
    for (key, detail) in error.context() {
        match detail {
            Detail::Text(text) => context.set_item(key, text)?,
            Detail::Number(number) => context.set_item(key, number)?,
        }
    }
    if let Some(path) = error.path() {
        context.set_item("path", path)?;
    }
    let value = from_code.bind(py).call1((error.slug(), error.to_string(), context))?;
    let made = PyErr::from_value(value);
    if error.slug() == "witness" {
        made.set_cause(py, crate::py::witness::cause());
    }
    Ok(made)
}

/// For `?` straight from the core into a function that Python calls.
impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Fail::from(error).into()
    }
}
