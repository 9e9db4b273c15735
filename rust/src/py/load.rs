//! Loading a flat state into a tree of modules: finding what would be written.

use super::errors::{Attempt, Fail};
use super::layout::Layout;
use super::load_plan::{LoadPlan, Write};
use super::plan::{Plan, PlanField};
use super::raw::{self, is_atom};
use super::side::{ModuleSide, module_side};
use super::sink::{Sink, Wanted};
use super::walk;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// Finds for every leaf of `module` its value in `state`; nothing is written.
#[pyfunction]
pub fn plan_load<'py>(
    module: &Bound<'py, PyAny>,
    state: &Bound<'py, PyDict>,
    wanted: (bool, bool, bool),
    copy: bool,
) -> PyResult<LoadPlan> {
    let py = module.py();
    let (recurse, train, runtime) = wanted;
    let _paused = raw::CollectorPaused::new(py);
    let mut pairs = raw::pairs(state);
    let upcoming = pairs.next().flatten();
    let mut sink = LoadSink {
        side: module_side(py)?,
        state,
        copy,
        train,
        plan: LoadPlan::new(py, state.len()),
        at: None,
        next: 0,
        key: String::new(),
        pairs,
        upcoming,
    };
    walk::walk(module, Wanted { recurse, train, runtime }, &mut sink)?;
    Ok(sink.plan)
}

struct LoadSink<'a, 'py> {
    side: &'py ModuleSide,
    state: &'a Bound<'py, PyDict>,
    copy: bool,
    train: bool,
    plan: LoadPlan,
    /// The module at hand, and the layout of its class.
    at: Option<(Bound<'py, PyAny>, Bound<'py, Layout>)>,
    /// Which of its fields comes next, most likely.
    next: usize,
    key: String,
    /// States mostly have the order of the walk: then no key is looked up.
    pairs: raw::Pairs<'a, 'py>,
    upcoming: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
}

impl<'py> LoadSink<'_, 'py> {
    /// A key as an object, and its value if the state has one.
    fn look_up(
        &mut self,
        prefix: &str,
        name: &str,
    ) -> Attempt<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        self.key.clear();
        self.key.push_str(prefix);
        self.key.push_str(name);
        if self.upcoming.as_ref().is_some_and(|(key, _)| is_text(key, &self.key))
            && let Some((key, value)) = self.upcoming.take()
        {
            self.upcoming = self.pairs.next().flatten();
            self.plan.found.push(key.clone().unbind());
            return Ok((key, Some(value)));
        }
        let key = raw::string(self.state.py(), &self.key)?;
        let value = self.state.get_item(&key)?;
        if value.is_some() {
            self.plan.found.push(key.clone().unbind());
        }
        Ok((key, value))
    }

    /// The field of a name in the class at hand.
    fn field<'p>(next: &mut usize, plan: &'p Plan, name: &str) -> Option<&'p PlanField> {
        if plan.fields.get(*next).is_none_or(|field| field.text != name) {
            *next = plan.fields.iter().position(|field| field.text == name)?;
        }
        *next += 1;
        plan.fields.get(*next - 1)
    }

    fn is_missing(&self, key: Bound<'py, PyAny>) -> Attempt<()> {
        Ok(self.plan.missing.bind(key.py()).append(key)?)
    }

    fn write(
        &mut self,
        name: &str,
        key: &Bound<'py, PyAny>,
        new: Bound<'py, PyAny>,
        old: Option<&Bound<'py, PyAny>>,
    ) -> Attempt<()> {
        let py = new.py();
        let Some((module, layout)) = &self.at else { return Ok(()) };
        let Some(plan) = layout.get().known_plan(py) else { return Ok(()) };
        let Some(field) = Self::field(&mut self.next, plan, name) else { return Ok(()) };
        let new = if !field.shape.fits(&new) {
            let fitted = self.side.fitted.bind(py);
            fitted.call1((new, &field.load_field, key, self.copy)).map_err(Fail::placed)?
        } else if self.copy {
            copied(self.side, new)?
        } else {
            new
        };
        if plan.intercepts {
            self.plan.told.bind(py).append((module, &field.name, &new))?;
        }
        self.plan.writes.push(Write {
            module: module.clone().unbind(),
            name: field.name.clone_ref(py),
            new: new.unbind(),
            old: old.map(|old| old.clone().unbind()),
        });
        Ok(())
    }
}

impl<'py> Sink<'py> for LoadSink<'_, 'py> {
    fn enter(&mut self, module: &Bound<'py, PyAny>, layout: &Bound<'py, Layout>) -> Attempt<()> {
        layout.get().plan(&module.get_type())?;
        self.at = Some((module.clone(), layout.clone()));
        self.next = 0;
        Ok(())
    }

    fn leaf(&mut self, prefix: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        match self.look_up(prefix, name)? {
            (key, Some(new)) => self.write(name, &key, new, Some(value)),
            (key, None) => self.is_missing(key),
        }
    }

    fn unset(&mut self, prefix: &str, name: &str) -> Attempt<()> {
        match self.look_up(prefix, name)? {
            (key, Some(new)) => self.write(name, &key, new, None),
            (_, None) => Ok(()),
        }
    }

    fn takes(&mut self, prefix: &str, name: &str, item: &Bound<'py, PyAny>) -> Attempt<bool> {
        // The blueprint of an AdaptModule is compared, not loaded: see `instead`.
        if !item.getattr(intern!(item.py(), "_adapts"))?.is_truthy()? {
            return Ok(false);
        }
        if self.train
            && let (key, None) = self.look_up(prefix, name)?
        {
            self.is_missing(key)?;
        }
        Ok(true)
    }

    fn held(
        &mut self,
        prefix: &str,
        name: &str,
        item: &Bound<'py, PyAny>,
        _: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        let (key, new) = self.look_up(prefix, name)?;
        let Some(new) = new else {
            return self.is_missing(key);
        };
        let py = item.py();
        let plan = self.at.as_ref().and_then(|(_, layout)| layout.get().known_plan(py));
        let field = plan.and_then(|plan| Self::field(&mut self.next, plan, name));
        let field = field.map(|field| &field.load_field);
        let fitted = self.side.fitted_item.bind(py);
        let new = fitted.call1((item, new, field, key, self.copy)).map_err(Fail::placed)?;
        Ok(self.plan.items.bind(py).append((item, new))?)
    }

    fn instead(
        &mut self,
        prefix: &str,
        module: &Bound<'py, PyAny>,
    ) -> Attempt<Option<(&'static str, Bound<'py, PyAny>)>> {
        let py = module.py();
        let plan = self.at.as_ref().and_then(|(_, layout)| layout.get().known_plan(py));
        if !self.train || !plan.is_some_and(|plan| plan.adapts) {
            return Ok(None);
        }
        let new = module.call_method1(intern!(py, "_adapted_for"), (self.state, prefix))?;
        if new.is_none() {
            return Ok(None);
        }
        self.plan.swaps.bind(py).append((module, &new))?;
        Ok(Some(("_adapted", new)))
    }
}

fn is_text(key: &Bound<'_, PyAny>, text: &str) -> bool {
    key.cast_exact::<PyString>().is_ok_and(|key| raw::utf8(key) == Some(text))
}

/// A copy of a value, so that no two modules share a container.
fn copied<'py>(side: &ModuleSide, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if is_atom(&value) {
        return Ok(value);
    }
    if let Ok(list) = value.cast_exact::<PyList>()
        && list.iter().all(|element| is_atom(&element))
    {
        return Ok(list.get_slice(0, list.len()).into_any());
    }
    if let Ok(dict) = value.cast_exact::<PyDict>()
        && raw::borrowed_pairs(dict).all(|(key, element)| is_atom(&key) && is_atom(&element))
    {
        return Ok(dict.copy()?.into_any());
    }
    side.copied.bind(value.py()).call1((value,))
}
