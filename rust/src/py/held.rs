//! What one module holds itself: its Params or Attrs, and its children.

use super::errors::Attempt;
use super::raw;
use super::side::{ModuleSide, module_side};
use super::sink::{Sink, Wanted};
use super::walk;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Name of each with its item.
type Items<'py> = Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>;

struct ItemSink<'a, 'py> {
    side: &'py ModuleSide,
    params: bool,
    attrs: bool,
    found: Items<'py>,
    module: &'a Bound<'py, PyAny>,
    /// The items of declared fields that were asked for before, by name.
    views: Option<Bound<'py, PyDict>>,
    /// The item whose value the walk reads.
    item: Option<Bound<'py, PyAny>>,
}

impl<'py> Sink<'py> for ItemSink<'_, 'py> {
    /// A declared field, whose item is made when it is first asked for.
    fn leaf(&mut self, _: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        let name = PyString::new(value.py(), name);
        let view = self.views.as_ref().map(|views| views.get_item(&name)).transpose()?;
        let view = match view.flatten() {
            Some(view) => view,
            None => self.viewed(&name)?,
        };
        self.found.push((name, view));
        Ok(())
    }

    fn held(
        &mut self,
        _: &str,
        name: &str,
        _: &Bound<'py, PyAny>,
        _: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        let item = self.item.take().map(|item| (PyString::new(item.py(), name), item));
        self.found.extend(item);
        Ok(())
    }

    /// An item is wanted as it is; only of a Param must the walk look whether it holds modules.
    fn takes(&mut self, _: &str, name: &str, item: &Bound<'py, PyAny>) -> Attempt<bool> {
        let py = item.py();
        let is_param = raw::is_a(item, self.side.param.bind(py));
        if is_param
            && !item.getattr(intern!(py, "_adapts"))?.is_truthy()?
            && self.has_value(item)?
        {
            self.item = Some(item.clone());
            return Ok(false);
        }
        if if is_param { self.params } else { self.attrs } {
            self.found.push((PyString::new(py, name), item.clone()));
        }
        Ok(true)
    }
}

impl<'py> ItemSink<'_, 'py> {
    fn viewed(&self, name: &Bound<'py, PyString>) -> Attempt<Bound<'py, PyAny>> {
        let view = self.side.view.bind(name.py());
        Ok(view.call1((self.module, name, self.params))?)
    }

    fn has_value(&self, item: &Bound<'py, PyAny>) -> Attempt<bool> {
        let py = item.py();
        let mut value = item.clone();
        while raw::is_a(&value, self.side.item.bind(py)) {
            let Some(inner) = value.getattr_opt(intern!(py, "data"))? else { return Ok(false) };
            value = inner;
        }
        Ok(true)
    }
}

/// Gives what one module holds itself.
#[pyfunction]
#[pyo3(signature = (module, *, params=false, attrs=false))]
pub fn held<'py>(
    module: &Bound<'py, PyAny>,
    params: bool,
    attrs: bool,
) -> PyResult<(Items<'py>, walk::Keyed<'py>)> {
    let side = module_side(module.py())?;
    let views = module.getattr_opt(intern!(module.py(), "_module_views"))?;
    let views = views.and_then(|views| views.cast_into().ok());
    let (found, item) = Default::default();
    let mut sink = ItemSink { side, params, attrs, found, module, views, item };
    let wanted = Wanted { recurse: false, train: params, runtime: attrs };
    let children = walk::own(module, wanted, &mut sink)?;
    Ok((sink.found, children))
}
