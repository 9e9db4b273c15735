//! What one module holds itself: its Params or Attrs, and its children.

use super::errors::Attempt;
use super::layout::Layout;
use super::raw;
use super::side::{ModuleSide, module_side};
use super::sink::{Sink, Wanted};
use super::walk;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Name of each with its item; None for a declared field of which nobody asked for an item yet.
type Items<'py> = Vec<(String, Option<Bound<'py, PyAny>>)>;

struct ItemSink<'py> {
    side: &'py ModuleSide,
    params: bool,
    attrs: bool,
    found: Items<'py>,
    /// The items of declared fields that were asked for before, by name.
    views: Option<Bound<'py, PyDict>>,
    /// The item whose value the walk reads.
    item: Option<Bound<'py, PyAny>>,
}

impl<'py> Sink<'py> for ItemSink<'py> {
    fn enter(&mut self, module: &Bound<'py, PyAny>, _: &Bound<'py, Layout>) -> Attempt<()> {
        let views = module.getattr_opt(intern!(module.py(), "_module_views"))?;
        self.views = views.and_then(|views| views.cast_into().ok());
        Ok(())
    }

    fn leaf(&mut self, _: &str, name: &str, _: &Bound<'py, PyAny>) -> Attempt<()> {
        let view = self.views.as_ref().map(|views| views.get_item(name)).transpose()?;
        self.found.push((name.to_owned(), view.flatten()));
        Ok(())
    }

    fn held(
        &mut self,
        _: &str,
        name: &str,
        _: &Bound<'py, PyAny>,
        _: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        self.found.push((name.to_owned(), self.item.take()));
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
            self.found.push((name.to_owned(), Some(item.clone())));
        }
        Ok(true)
    }
}

impl<'py> ItemSink<'py> {
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
#[expect(clippy::type_complexity, reason = "two lists of pairs")]
pub fn held<'py>(
    module: &Bound<'py, PyAny>,
    params: bool,
    attrs: bool,
) -> PyResult<(Items<'py>, Vec<(String, Bound<'py, PyAny>)>)> {
    let side = module_side(module.py())?;
    let (found, views, item) = Default::default();
    let mut sink = ItemSink { side, params, attrs, found, views, item };
    let wanted = Wanted { recurse: false, train: params, runtime: attrs };
    let children = walk::own(module, wanted, &mut sink)?;
    Ok((sink.found, children))
}
