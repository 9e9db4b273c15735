//! Loading a flat state into a tree of modules: first what would be written, then the writing.

use super::errors::Attempt;
use super::layout::{Layout, ModuleSide, Plan, PlanField, module_side};
use super::raw::{self, is_atom};
use super::walk::{self, Sink, Wanted};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// Finds for every leaf of `module` its value in `state`.
///
/// `plan` is a `dachi_fast.module._load._Plan`: writes, items and swaps are added to it, and the keys
/// that were found or are missing.
#[pyfunction]
pub fn plan_load<'py>(
    module: &Bound<'py, PyAny>,
    state: &Bound<'py, PyDict>,
    plan: &Bound<'py, PyAny>,
    wanted: (bool, bool, bool),
    copy: bool,
) -> PyResult<()> {
    let py = module.py();
    let (recurse, train, runtime) = wanted;
    let _paused = raw::CollectorPaused::new(py);
    let list = |name: &str| -> PyResult<Bound<'py, PyList>> {
        Ok(plan.getattr(name)?.cast_into::<PyList>()?)
    };
    let mut pairs = raw::pairs(state);
    let upcoming = pairs.next().flatten();
    let mut sink = LoadSink {
        side: module_side(py)?,
        state,
        copy,
        train,
        modules: list("modules")?,
        names: list("names")?,
        values: list("values")?,
        before: list("before")?,
        told: list("told")?,
        items: list("items")?,
        swaps: list("swaps")?,
        missing: list("missing")?,
        found: list("found")?,
        at: None,
        next: 0,
        key: String::new(),
        pairs,
        upcoming,
    };
    Ok(walk::walk(module, Wanted { recurse, train, runtime }, &mut sink).map(drop)?)
}

/// Sets attributes as `object.__setattr__` does, past callbacks and fixes; UNSET deletes.
#[pyfunction]
pub fn set_fields<'py>(
    modules: &Bound<'py, PyList>,
    names: &Bound<'py, PyList>,
    values: &Bound<'py, PyList>,
) -> PyResult<()> {
    let unset = module_side(modules.py())?.unset.as_ptr();
    for ((module, name), value) in modules.iter().zip(names.iter()).zip(values.iter()) {
        if value.as_ptr() != unset {
            raw::set_plainly(&module, &name, Some(&value))?;
        } else if module.hasattr(name.cast::<PyString>()?)? {
            raw::set_plainly(&module, &name, None)?;
        }
    }
    Ok(())
}

struct LoadSink<'a, 'py> {
    side: &'py ModuleSide,
    state: &'a Bound<'py, PyDict>,
    copy: bool,
    train: bool,
    modules: Bound<'py, PyList>,
    names: Bound<'py, PyList>,
    values: Bound<'py, PyList>,
    before: Bound<'py, PyList>,
    told: Bound<'py, PyList>,
    items: Bound<'py, PyList>,
    swaps: Bound<'py, PyList>,
    missing: Bound<'py, PyList>,
    found: Bound<'py, PyList>,
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
            self.found.append(&key)?;
            return Ok((key, Some(value)));
        }
        let key = raw::string(self.state.py(), &self.key)?;
        let value = self.state.get_item(&key)?;
        if value.is_some() {
            self.found.append(&key)?;
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

    fn write(
        &mut self,
        name: &str,
        key: &Bound<'py, PyAny>,
        new: Bound<'py, PyAny>,
        old: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        let py = new.py();
        let Some((module, layout)) = &self.at else { return Ok(()) };
        let plan = layout.get().plan(&module.get_type())?;
        let Some(field) = Self::field(&mut self.next, plan, name) else { return Ok(()) };
        let new = if !field.shape.fits(&new) {
            self.side.fitted.bind(py).call1((new, &field.load_field, key, self.copy))?
        } else if self.copy {
            copied(self.side, new)?
        } else {
            new
        };
        let name = field.name.bind(py);
        if plan.intercepts {
            self.told.append((module, name, &new))?;
        }
        self.modules.append(module)?;
        self.names.append(name)?;
        self.values.append(new)?;
        self.before.append(old)?;
        Ok(())
    }
}

impl<'py> Sink<'py> for LoadSink<'_, 'py> {
    fn enter(&mut self, module: &Bound<'py, PyAny>, layout: &Bound<'py, Layout>) -> Attempt<()> {
        self.at = Some((module.clone(), layout.clone()));
        self.next = 0;
        Ok(())
    }

    fn leaf(&mut self, prefix: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        match self.look_up(prefix, name)? {
            (key, Some(new)) => self.write(name, &key, new, value),
            (key, None) => Ok(self.missing.append(key)?),
        }
    }

    fn unset(&mut self, prefix: &str, name: &str) -> Attempt<()> {
        match self.look_up(prefix, name)? {
            (key, Some(new)) => self.write(name, &key, new, self.side.unset.bind(self.state.py())),
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
            self.missing.append(key)?;
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
            return Ok(self.missing.append(key)?);
        };
        let Some((module, layout)) = &self.at else { return Ok(()) };
        let plan = layout.get().plan(&module.get_type())?;
        let field = Self::field(&mut self.next, plan, name).map(|field| &field.load_field);
        let fitted = self.side.fitted_item.bind(item.py());
        let new = fitted.call1((item, new, field, key, self.copy))?;
        Ok(self.items.append((item, new))?)
    }

    fn instead(
        &mut self,
        prefix: &str,
        module: &Bound<'py, PyAny>,
    ) -> Attempt<Option<(&'static str, Bound<'py, PyAny>)>> {
        let py = module.py();
        let Some((_, layout)) = &self.at else { return Ok(None) };
        if !self.train || !layout.get().plan(&module.get_type())?.adapts {
            return Ok(None);
        }
        let new = module.call_method1(intern!(py, "_adapted_for"), (self.state, prefix))?;
        if new.is_none() {
            return Ok(None);
        }
        self.swaps.append((module, &new))?;
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
        && raw::pairs(dict).flatten().all(|(key, element)| is_atom(&key) && is_atom(&element))
    {
        return Ok(dict.copy()?.into_any());
    }
    side.copied.bind(value.py()).call1((value,))
}
