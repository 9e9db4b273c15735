//! The blueprint of a tree as a save keeps it: kinds, ids, plain fields and structure, without the
//! values of Params, which are state.
//!
//! How it is written, and how it is read again, stands in `state::blueprint`.

use super::encode::ValueEncoder;
use super::errors::Attempt;
use super::layout::{Address, Layout, Layouts, Role};
use super::raw;
use super::side::{ModuleSide, module_side};
use super::types::Types;
use super::walk::{Found, is_module};
use crate::codec::{Encoder, MAX_DEPTH, ext};
use crate::error::Error;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

/// Writes the blueprint of `module`; gives the table of its classes.
pub fn encode<'py>(
    out: &mut Encoder,
    types: &Types<'py>,
    module: &Bound<'py, PyAny>,
    found: Found<'py>,
) -> Attempt<Vec<u8>> {
    let side = module_side(module.py())?;
    let layouts = Layouts::default();
    let seen = HashSet::with_capacity_and_hasher(found.modules, BuildHasherDefault::new());
    let mut walk =
        Blueprint { out, types, side, found, layouts, seen, depth: 0, kept_elsewhere: 0 };
    walk.module(module)?;
    walk.found.classes.table()
}

struct Blueprint<'a, 'py> {
    out: &'a mut Encoder,
    types: &'a Types<'py>,
    side: &'py ModuleSide,
    /// Of the walk over the state, which meets modules that constructors make, too.
    found: Found<'py>,
    layouts: Layouts<'py>,
    seen: HashSet<usize, BuildHasherDefault<Address>>,
    depth: usize,
    /// How many arguments of constructors, which keep them under other names, are around. Below
    /// one the values of Params are written, too: the state has them where no reader looks when it
    /// calls that constructor.
    kept_elsewhere: usize,
}

/// A name, its value, and whether it is an argument that is kept elsewhere.
type Fields<'py> = Vec<(Bound<'py, PyString>, Bound<'py, PyAny>, bool)>;

impl<'py> Blueprint<'_, 'py> {
    fn module(&mut self, module: &Bound<'py, PyAny>) -> Attempt<()> {
        let py = module.py();
        let id = match module.getattr_opt(intern!(py, "_module_id"))? {
            Some(id) => id,
            None => module.getattr(intern!(py, "id"))?,
        };
        if !self.seen.insert(module.as_ptr() as usize) {
            self.out.map(1);
            self.out.text("same");
            return self.plain(&id);
        }
        self.deeper()?;
        let layout = self.layouts.of(module)?;
        let class = module.get_type();
        let saved = layout.get().class(&class)?;
        self.found.classes.add(module, &layout);
        let fields = match saved.asks {
            true => None,
            false => self.own_fields(module, layout.get())?,
        };
        let fields = match fields {
            Some(fields) => fields,
            None => self.asked_fields(module)?,
        };
        self.out.map(fields.len() + 2);
        self.out.text("kind");
        self.out.text(&saved.kind);
        self.out.text("id");
        self.plain(&id)?;
        for (name, value, elsewhere) in fields {
            let text = name.to_string_lossy();
            self.out.text(&text);
            self.kept_elsewhere += usize::from(elsewhere);
            self.value(&value).map_err(|fail| fail.inside(text.clone()))?;
            self.kept_elsewhere -= usize::from(elsewhere);
        }
        self.depth -= 1;
        Ok(())
    }

    fn deeper(&mut self) -> Attempt<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new("too-deep", "modules and containers nest too deeply").into());
        }
        Ok(())
    }

    /// The fields of an ordinary class; None where Python must be asked after all.
    fn own_fields(
        &self,
        module: &Bound<'py, PyAny>,
        layout: &Layout,
    ) -> Attempt<Option<Fields<'py>>> {
        let py = module.py();
        let mut fields = Fields::new();
        for field in layout.fields() {
            let skipped = match field.role {
                Role::Shared | Role::Attr => true,
                Role::Param => !self.found.modules_in_params && self.kept_elsewhere == 0,
                _ => false,
            };
            if skipped {
                continue;
            }
            let name = field.name.bind(py);
            let Some(mut value) = module.getattr_opt(name)? else {
                continue;
            };
            if field.role == Role::Item {
                if !raw::is_a(&value, self.side.param.bind(py)) {
                    continue;
                }
                while raw::is_a(&value, self.side.item.bind(py)) {
                    value = value.getattr(intern!(py, "data"))?;
                }
            }
            let is_state = matches!(field.role, Role::Item | Role::Param);
            if is_state && self.kept_elsewhere == 0 && !self.holds_module(&value, 0)? {
                continue;
            }
            if self.looks_like_spec(&value)? {
                return Ok(None);
            }
            fields.push((name.clone(), value, false));
        }
        Ok(Some(fields))
    }

    fn asked_fields(&self, module: &Bound<'py, PyAny>) -> Attempt<Fields<'py>> {
        let asked = self.side.blueprint_values.bind(module.py()).call1((module,))?;
        Ok(asked.extract()?)
    }

    fn holds_module(&self, value: &Bound<'py, PyAny>, depth: usize) -> Attempt<bool> {
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        let any = |element: Bound<'py, PyAny>| self.holds_module(&element, depth + 1);
        if let Ok(list) = value.cast::<PyList>() {
            return some(list.iter().map(any));
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return some(tuple.iter().map(any));
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return some(raw::pairs(dict).flatten().map(|(_, element)| any(element)));
        }
        is_module(self.side, value)
    }

    /// Whether a plain dict inside could be taken for a module.
    fn looks_like_spec(&self, value: &Bound<'py, PyAny>) -> Attempt<bool> {
        let py = value.py();
        if let Ok(dict) = value.cast::<PyDict>() {
            for key in [intern!(py, "kind"), intern!(py, "same"), intern!(py, "$data")] {
                if dict.contains(key)? {
                    return Ok(true);
                }
            }
            let inner = |(_, element): (_, Bound<'py, PyAny>)| self.looks_like_spec(&element);
            return some(raw::pairs(dict).flatten().map(inner));
        }
        if let Ok(list) = value.cast::<PyList>() {
            return some(list.iter().map(|element| self.looks_like_spec(&element)));
        }
        Ok(false)
    }

    fn value(&mut self, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if is_module(self.side, value)? {
            return self.module(value);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            self.deeper()?;
            self.out.list(list.len());
            for (at, element) in list.iter().enumerate() {
                self.value(&element).map_err(|fail| fail.inside(at.to_string()))?;
            }
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.deeper()?;
            let mark = self.out.open(ext::TUPLE);
            self.out.list(tuple.len());
            for (at, element) in tuple.iter().enumerate() {
                self.value(&element).map_err(|fail| fail.inside(at.to_string()))?;
            }
            self.out.close(mark, 0);
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.deeper()?;
            self.out.map(dict.len());
            for pair in raw::pairs(dict) {
                let Some((key, element)) = pair else {
                    let what = "a dict changed while it was being saved";
                    return Err(Error::new("store", what).into());
                };
                self.plain(&key)?;
                let inner = self.value(&element);
                inner.map_err(|fail| fail.inside(key.to_string()))?;
            }
        } else {
            return self.plain(value);
        }
        self.depth -= 1;
        Ok(())
    }

    fn plain(&mut self, value: &Bound<'py, PyAny>) -> Attempt<()> {
        ValueEncoder::new(self.out, self.types).value(value)
    }
}

fn some(answers: impl Iterator<Item = Attempt<bool>>) -> Attempt<bool> {
    for answer in answers {
        if answer? {
            return Ok(true);
        }
    }
    Ok(false)
}
