//! How instances of a class are built and loaded, told once per class.

use super::layout::Role;
use super::shape::Shape;
use super::side::{ModuleSide, module_side};
use crate::error::Error;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};
use std::collections::HashMap;

/// How instances of a class are built from what a store gives.
#[derive(Debug)]
pub struct Plan {
    /// Whether making one is no more than setting its fields.
    pub is_plain: bool,
    /// Whether a load may replace what its instances hold.
    pub adapts: bool,
    /// Whether instances have callbacks or fixed Params.
    pub intercepts: bool,
    /// The fields that an instance holds, in the order in which its constructor sets them.
    pub fields: Vec<PlanField>,
    /// Places of the Params and Attrs in `fields`, by ascending name: the order of a state.
    by_name: Vec<usize>,
    /// Names of the blueprint whose modules have another name in the state.
    renamed: Vec<(String, String)>,
}

/// One field of a [`Plan`].
#[derive(Debug)]
pub struct PlanField {
    /// The interned name.
    pub name: Py<PyString>,
    /// The same as text.
    pub text: String,
    /// What it is.
    pub role: Role,
    /// Whether instances may lack it.
    pub may_be_unset: bool,
    /// What values surely fit.
    pub shape: Shape,
    /// The value that the constructor sets when it is given none.
    pub default: Option<Py<PyAny>>,
    /// Makes that value, anew for each instance.
    pub factory: Option<Py<PyAny>>,
    /// What Python asks where they do not.
    pub load_field: Py<PyAny>,
}

impl Plan {
    /// The plan of a class.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Plan> {
        let py = class.py();
        let made = module_side(py)?.build_plan.bind(py).call1((class,))?;
        let (is_plain, rows, renamed): (_, Vec<PlanRow<'_>>, HashMap<_, _>) = made.extract()?;
        let adapts = class.hasattr(pyo3::intern!(py, "_adapted_for"))?;
        let intercepts = class.getattr("__dict__")?.contains("__intercepts__")?;
        let mut fields = Vec::with_capacity(rows.len());
        for (text, role, may_be_unset, shape, load_field, default, factory) in rows {
            let role = Role::from_number(role)
                .ok_or_else(|| Error::new("store", "an unknown role in a plan"))?;
            let name = PyString::intern(py, &text).unbind();
            let (shape, load_field) = (Shape::read(&shape)?, load_field.unbind());
            let default = default.and_then(|held| held.into_iter().next());
            fields.push(PlanField {
                name,
                text,
                role,
                may_be_unset,
                shape,
                default,
                factory,
                load_field,
            });
        }
        let is_state = |field: &PlanField| matches!(field.role, Role::Param | Role::Attr);
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.retain(|at| fields.get(*at).is_some_and(is_state));
        by_name.sort_by_key(|at| fields.get(*at).map(|field| &field.text));
        Ok(Plan {
            is_plain,
            adapts,
            intercepts,
            fields,
            by_name,
            renamed: renamed.into_iter().collect(),
        })
    }

    /// Place and name of the fields that a state has leaves for, by ascending name.
    pub fn state_fields(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = |at: &usize| Some((*at, self.fields.get(*at)?.text.as_str()));
        self.by_name.iter().filter_map(named)
    }

    /// Under which name the state has the modules of a field of the blueprint.
    pub fn state_name<'a>(&'a self, name: &'a str) -> &'a str {
        let found = self.renamed.iter().find(|(from, _)| from == name);
        found.map_or(name, |(_, to)| to)
    }
}

/// Name, role, whether it may be unset, description of a shape, LoadField, the default in a list if
/// there is one, factory.
type PlanRow<'py> = (
    String,
    u8,
    bool,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Option<Vec<Py<PyAny>>>,
    Option<Py<PyAny>>,
);

impl PlanField {
    /// A value of the blueprint as the field takes it.
    #[inline]
    pub fn structure<'py>(
        &self,
        side: &ModuleSide,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.shape.fits(value) {
            return Ok(value.clone());
        }
        side.fitted_structure.bind(value.py()).call1((value, &self.load_field))
    }
}
