//! Saves that nobody waits for here, and the marks of live modules.

use super::Store;
use super::versions::row;
use crate::error::Result;
use crate::py::state::{Capture, keep_warm};
use crate::store::{self, Base, Deferred, Origin, Repeat, Save};
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// How often a wait looks for Ctrl-C.
const GLANCE: Duration = Duration::from_millis(100);

/// Which version of a name a live module came from.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Mark(pub Arc<store::Mark>);

#[pymethods]
impl Mark {
    #[new]
    fn new() -> Self {
        Mark(Arc::default())
    }

    #[getter]
    fn number(&self) -> u64 {
        self.0.stamp().number
    }

    #[pyo3(signature = (number, created_ns=0))]
    fn set(&self, number: u64, created_ns: u64) {
        self.0.set(store::Stamp { number, created_ns });
    }
}

/// What a save must follow, as Python says it; None for whatever is there.
#[derive(FromPyObject)]
pub enum Follow<'py> {
    /// The version that the mark names by then.
    Mark(PyRef<'py, Mark>),
    /// One version.
    Number(u64),
}

/// The same for the core.
pub fn follow(base: Option<Follow<'_>>) -> Base {
    match base {
        None => Base::Latest,
        Some(Follow::Number(number)) => Base::Number(number),
        Some(Follow::Mark(mark)) => Base::Mark(Arc::clone(&mark.0)),
    }
}

/// Waits for `done`, which gives up after the time it is given, until it is or Ctrl-C.
pub fn wait(py: Python<'_>, done: impl Fn(Duration) -> Result<bool> + Sync) -> PyResult<()> {
    while !py.detach(|| done(GLANCE))? {
        py.check_signals()?;
    }
    Ok(())
}

/// Takes the GIL once for all who are told. At exit there is nobody left to tell.
fn attached(run: &mut dyn FnMut()) {
    Python::try_attach(|_| run());
}

/// Waits until no thread of this process saves any more.
#[pyfunction]
pub fn drain(py: Python<'_>) -> PyResult<()> {
    wait(py, |most| Ok(store::wait_for_workers(most)))
}

#[pymethods]
impl Store {
    #[pyo3(signature = (name, capture, justification, base, mark, done, *, skip_equal, most_bytes))]
    #[allow(clippy::too_many_arguments)] // (the same)
    fn save_later(
        &self,
        py: Python<'_>,
        name: &str,
        capture: &Bound<'_, Capture>,
        justification: &str,
        base: Option<Follow<'_>>,
        mark: &Bound<'_, Mark>,
        done: Py<PyAny>,
        skip_equal: bool,
        most_bytes: Option<usize>,
    ) -> PyResult<()> {
        let core = self.core()?;
        let flat = capture.borrow_mut().take()?;
        let noted = Arc::clone(&core);
        let tell = move |flat, result: Result<store::Version>| {
            keep_warm(flat);
            Python::try_attach(|py| {
                let warned = super::keys::tell(py, &noted, 1);
                let told = match result {
                    Ok(version) => done.call1(py, (row(&version), py.None())),
                    Err(error) => done.call1(py, (py.None(), PyErr::from(error))),
                };
                if let Err(error) = told.and(warned) {
                    error.write_unraisable(py, Some(done.bind(py)));
                }
            });
        };
        let save = Save { name, justification, base: None, origin: Origin::Walk };
        let mark = Arc::clone(&mark.get().0);
        let mut deferred = Deferred::new(&save, follow(base), mark, flat, tell);
        deferred.repeat = if skip_equal { Repeat::Skipped } else { Repeat::Kept };
        Ok(py.detach(|| core.save_later(deferred, most_bytes.unwrap_or(usize::MAX), attached))?)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        wait(py, |most| core.flushed(most))
    }
}
