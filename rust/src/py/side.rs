//! The Python side of the module system, as compiled code calls it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

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
    /// class -> (full kind, row in the table of classes, whether only Python knows its blueprint).
    pub saved_class: Py<PyAny>,
    /// module -> dict of blueprint values, where only Python knows.
    pub blueprint_values: Py<PyAny>,
    /// (module, name, whether it is a Param) -> the item of a declared field.
    pub view: Py<PyAny>,
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
            saved_class: function("dachi_fast.spec._blueprint", "saved_class")?,
            blueprint_values: function("dachi_fast.spec._blueprint", "blueprint_values")?,
            view: function("dachi_fast.module._views", "view")?,
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
