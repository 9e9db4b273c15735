//! What takes the leaves of a walk, and which it wants.

use super::errors::Attempt;
use super::layout::Layout;
use pyo3::prelude::*;

/// Takes the leaves of a walk.
pub trait Sink<'py> {
    /// One value under its path, which is prefix and name behind one another.
    fn leaf(&mut self, prefix: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()>;

    /// The same for a value that an item holds.
    fn held(
        &mut self,
        prefix: &str,
        name: &str,
        _item: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        self.leaf(prefix, name, value)
    }

    /// What follows until the next call is of this module.
    fn enter(&mut self, _module: &Bound<'py, PyAny>, _: &Bound<'py, Layout>) -> Attempt<()> {
        Ok(())
    }

    /// A Param or Attr that the module lacks.
    fn unset(&mut self, _prefix: &str, _name: &str) -> Attempt<()> {
        Ok(())
    }

    /// Whether the sink itself deals with an item, so that its value is not read.
    fn takes(&mut self, _prefix: &str, _name: &str, _item: &Bound<'py, PyAny>) -> Attempt<bool> {
        Ok(false)
    }

    /// The module to go into in place of all children, with its key.
    fn instead(
        &mut self,
        _prefix: &str,
        _module: &Bound<'py, PyAny>,
    ) -> Attempt<Option<(&'static str, Bound<'py, PyAny>)>> {
        Ok(None)
    }
}

/// Which values a walk gives.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Go into children.
    pub recurse: bool,
    /// Params.
    pub train: bool,
    /// Attrs.
    pub runtime: bool,
}

/// Everything.
pub const ALL: Wanted = Wanted { recurse: true, train: true, runtime: true };
