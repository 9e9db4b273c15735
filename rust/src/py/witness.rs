//! Witnesses that Python has: another disk, a server.

use crate::error::{Error, Result};
use crate::witness::{FileWitness, Records, Seen, Witness};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::RefCell;
use std::path::PathBuf;

/// An object with `newest` and `advance`. It keeps records that only the core makes and opens, so
/// it can neither be misread nor lie, but for going back to an older one.
struct Asked(Py<PyAny>);

/// A witness as Python gives it: the folder of witness files, or an object to ask.
pub fn witness(given: &Bound<'_, PyAny>) -> Box<dyn Witness> {
    match given.extract::<PathBuf>() {
        Ok(folder) => Box::new(FileWitness::new(&folder)),
        Err(_) => Box::new(Asked(given.clone().unbind())),
    }
}

thread_local! {
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a witness raised last in this thread, for the error that says so.
pub fn cause() -> Option<PyErr> {
    RAISED.take()
}

/// Runs `ask` attached. Whoever waits for the store is not attached, so nobody waits for another.
fn attached<T>(ask: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T> {
    let asked = Python::try_attach(|py| {
        ask(py).map_err(|raised| {
            let what = format!("the witness failed: {raised}");
            if raised.is_instance_of::<PyKeyboardInterrupt>(py) {
                // Ctrl-C is not the witness's: it comes again when the operation is done.
                let _ = py.import("_thread").and_then(|t| t.call_method0("interrupt_main"));
            }
            RAISED.set(Some(raised));
            Error::new("witness", what)
        })
    });
    asked.unwrap_or_else(|| Err(Error::new("witness", "Python ended before the witness was asked")))
}

impl Witness for Asked {
    fn newest(&self, records: &Records) -> Result<Option<Seen>> {
        let record = attached(|py| {
            let store = PyBytes::new(py, records.store());
            let newest = self.0.call_method1(py, "newest", (store,))?;
            newest.extract::<Option<Vec<u8>>>(py)
        })?;
        let opened = |record: Vec<u8>| records.open(&record).ok_or_else(Records::forged);
        record.map(opened).transpose()
    }

    fn advance(&self, records: &Records, seen: &Seen) -> Result<()> {
        let record = records.make(seen);
        attached(|py| {
            let (store, record) = (PyBytes::new(py, records.store()), PyBytes::new(py, &record));
            self.0.call_method1(py, "advance", (store, seen.commit, record)).map(drop)
        })
    }
}
