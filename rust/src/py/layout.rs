//! What each declared name of a module class is, for the walks.

use super::errors::Attempt;
use super::shape::Shape;
use crate::error::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use std::collections::HashMap;

/// What a declared name is; the numbers are those of `dachi_fast.module._fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Raw value declared with Param.
    Param,
    /// Raw value declared with Attr.
    Attr,
    /// The attribute holds an item: Param, Attr.
    Item,
    /// Structure: never a state key of its own.
    Child,
    /// Spec only; modules found in it are children.
    Plain,
    /// As Child; bare elements of its containers become AdaptModules at each walk.
    Wrap,
    /// One value per class, never state.
    Shared,
}

impl Role {
    /// Whether a field of this role stands in specs.
    pub fn is_spec(self) -> bool {
        matches!(self, Role::Param | Role::Child | Role::Plain)
    }

    fn from_number(number: u8) -> Option<Role> {
        Some(match number {
            0 => Role::Param,
            1 => Role::Attr,
            2 | 3 => Role::Item,
            5 => Role::Child,
            6 => Role::Plain,
            4 | 7 => Role::Shared,
            8 => Role::Wrap,
            _ => return None,
        })
    }
}

/// One declared name.
#[derive(Debug)]
pub struct Field {
    /// The interned name.
    pub name: Py<PyString>,
    /// The same as text.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// The declared names of a class and what each is, in declaration order.
#[pyclass(frozen, module = "dachi_fast._core.state")]
pub struct Layout {
    fields: Vec<Field>,
    names: Py<PyTuple>,
    roles: Py<PyTuple>,
    /// Full kind, and whether the class says itself what its blueprint holds.
    blueprint: PyOnceLock<(String, bool)>,
    plan: PyOnceLock<Plan>,
}

#[pymethods]
impl Layout {
    #[new]
    fn new(names: Bound<'_, PyTuple>, roles: Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut fields = Vec::with_capacity(names.len());
        for (name, role) in names.iter().zip(roles.iter()) {
            let text: String = name.extract()?;
            let role = role.extract::<u8>().ok().and_then(Role::from_number);
            let role = role.ok_or_else(|| Error::new("store", "an unknown role in a layout"))?;
            fields.push(Field { name: PyString::intern(name.py(), &text).unbind(), text, role });
        }
        let (names, roles) = (names.unbind(), roles.unbind());
        Ok(Layout { fields, names, roles, blueprint: PyOnceLock::new(), plan: PyOnceLock::new() })
    }

    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.names.bind(py).clone()
    }

    #[getter]
    fn roles<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.roles.bind(py).clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Layout({}, {})", self.names.bind(py).repr()?, self.roles.bind(py).repr()?))
    }
}

impl Layout {
    /// The names.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How instances of the class this is the layout of are built.
    pub fn plan(&self, class: &Bound<'_, PyType>) -> PyResult<&Plan> {
        self.plan.get_or_try_init(class.py(), || Plan::new(class))
    }

    /// The same, if it was asked for before.
    #[inline]
    pub fn known_plan(&self, py: Python<'_>) -> Option<&Plan> {
        self.plan.get(py)
    }

    /// The full kind of the class this is the layout of, and whether only Python code knows what
    /// its blueprint holds (captured arguments, InitVars, a hook).
    pub fn blueprint(&self, class: &Bound<'_, PyType>) -> PyResult<&(String, bool)> {
        self.blueprint.get_or_try_init(class.py(), || {
            let hooks = &module_side(class.py())?.blueprint_kind;
            hooks.bind(class.py()).call1((class,))?.extract()
        })
    }
}

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
    fn new(class: &Bound<'_, PyType>) -> PyResult<Plan> {
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

/// What the walks need of the Python side of the module system.
#[derive(Debug)]
pub struct ModuleSide {
    /// BaseModule.
    pub module: Py<PyType>,
    /// Item, the base of Param, Attr and Shared.
    pub item: Py<PyType>,
    /// Param.
    pub param: Py<PyType>,
    /// Attr.
    pub attr: Py<PyType>,
    /// class -> Layout, resolving annotations.
    pub layout_of: Py<PyAny>,
    /// (module, name): wraps bare elements of an AdaptModule field.
    pub wrap_elements: Py<PyAny>,
    /// class -> (full kind, whether only Python knows its blueprint).
    pub blueprint_kind: Py<PyAny>,
    /// module -> dict of blueprint values, where only Python knows.
    pub blueprint_values: Py<PyAny>,
    /// `object.__new__`
    pub blank: Py<PyAny>,
    /// kind -> class.
    pub find_kind: Py<PyAny>,
    /// kind -> list of the classes that it may mean.
    pub named: Py<PyAny>,
    /// class -> what a [`Plan`] is made of.
    pub build_plan: Py<PyAny>,
    /// (value, LoadField, path, whether to copy) -> the value as a field of the state takes it.
    pub fitted: Py<PyAny>,
    /// (item, value, LoadField or None, path, whether to copy) -> the value as the item takes it.
    pub fitted_item: Py<PyAny>,
    /// value -> a deep copy.
    pub copied: Py<PyAny>,
    /// (value, LoadField) -> the value as a field of the blueprint takes it.
    pub fitted_structure: Py<PyAny>,
    /// (class, id, values of the blueprint, own state) -> (module, whether it took all).
    pub rebuilt: Py<PyAny>,
    /// (module, own state) -> whether it took all.
    pub load_own: Py<PyAny>,
}

/// The Python side, imported on first use.
pub fn module_side(py: Python<'_>) -> PyResult<&ModuleSide> {
    static SIDE: PyOnceLock<ModuleSide> = PyOnceLock::new();
    SIDE.get_or_try_init(py, || {
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let function = |module: &str, name: &str| -> PyResult<Py<PyAny>> {
            Ok(py.import(module)?.getattr(name)?.unbind())
        };
        let fields = "dachi_fast.module._fields";
        let registry = py.import("dachi_fast.spec")?.getattr("registry")?;
        Ok(ModuleSide {
            module: class("dachi_fast.module._base", "BaseModule")?,
            item: class(fields, "Item")?,
            param: class(fields, "Param")?,
            attr: class(fields, "Attr")?,
            layout_of: function("dachi_fast.module._layout", "layout_of")?,
            wrap_elements: function("dachi_fast.module._state", "wrap_elements")?,
            blueprint_kind: function("dachi_fast.spec._blueprint", "blueprint_kind")?,
            blueprint_values: function("dachi_fast.spec._blueprint", "blueprint_values")?,
            blank: py.get_type::<PyAny>().getattr("__new__")?.unbind(),
            find_kind: registry.getattr("find_kind")?.unbind(),
            named: registry.getattr("named")?.unbind(),
            build_plan: function("dachi_fast.module._layout", "build_plan")?,
            fitted: function("dachi_fast.module._load", "fitted")?,
            fitted_item: function("dachi_fast.module._load", "fitted_item")?,
            copied: function("dachi_fast.module._copy", "copied")?,
            fitted_structure: function("dachi_fast.spec._rebuild", "fitted_structure")?,
            rebuilt: function("dachi_fast.spec._rebuild", "rebuilt")?,
            load_own: function("dachi_fast.module._load", "load_own")?,
        })
    })
}

/// Finds the layouts of classes; neighbours in a tree are mostly of one class.
#[derive(Default)]
pub struct Layouts<'py> {
    last: Option<(*mut pyo3::ffi::PyTypeObject, Bound<'py, Layout>)>,
}

impl<'py> Layouts<'py> {
    /// The layout of a module's class.
    #[inline]
    pub fn of(&mut self, module: &Bound<'py, PyAny>) -> Attempt<Bound<'py, Layout>> {
        let class = module.get_type_ptr();
        if let Some((known, layout)) = &self.last
            && *known == class
        {
            return Ok(layout.clone());
        }
        let found = layout_of(module)?;
        self.last = Some((class, found.clone()));
        Ok(found)
    }
}

fn layout_of<'py>(module: &Bound<'py, PyAny>) -> Attempt<Bound<'py, Layout>> {
    layout_of_class(&module.get_type())
}

/// The layout of a module class.
pub fn layout_of_class<'py>(class: &Bound<'py, PyType>) -> Attempt<Bound<'py, Layout>> {
    let py = class.py();
    let known = class.getattr(pyo3::intern!(py, "__layout__"))?;
    if let Ok(layout) = known.cast_into::<Layout>() {
        return Ok(layout);
    }
    let made = module_side(py)?.layout_of.bind(py).call1((class,))?;
    Ok(made.cast_into::<Layout>().map_err(PyErr::from)?)
}
