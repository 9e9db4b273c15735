//! Loading an agent.

use super::records::{Version, memory_type};
use super::snapshot::Pinned;
use super::view::View;
use super::{Store, Which, unknown_name};
use crate::error::Result;
use crate::seal::Sealer;
use crate::state::Arena;
use crate::tree::{Blob, Map, visit};
use std::sync::Arc;

/// One version, read and proved but for its large values.
pub struct Loaded {
    /// The version.
    pub version: Version,
    /// Dot paths, ascending.
    pub paths: Arena,
    /// Inline parts of the values, in the same order.
    pub values: Arena,
    /// The rest of large values, by entry.
    pub blobs: Vec<(usize, Blob)>,
    /// The encoded blueprint.
    pub blueprint: Vec<u8>,
    /// The encoded table of its classes.
    pub schema: Vec<u8>,
    sealer: Arc<Sealer>,
    view: Arc<View>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loaded({:?})", self.version)
    }
}

impl Store {
    /// A version of a name.
    pub fn version(&self, name: &str, which: &Which) -> Result<Version> {
        self.settled(name)?;
        let (version, sealer) = self.reading(|view| self.pinned(view, name, which))?;
        self.note_read(name, &sealer, "history", version.number)?;
        Ok(version)
    }

    fn pinned(&self, view: &View, name: &str, which: &Which) -> Result<(Version, Arc<Sealer>)> {
        let agent = self.agent(view, name)?.ok_or_else(|| unknown_name(name))?;
        let version = self.find(&agent, name, which)?;
        Ok((version, Arc::clone(&agent.sealer)))
    }

    /// Reads a version; every node is proved on the way.
    pub fn load(&self, name: &str, which: &Which) -> Result<Loaded> {
        self.settled(name)?;
        let loaded = self.reading(|view| self.load_at(view, name, which))?;
        self.note_read(name, &loaded.sealer, memory_type(name), loaded.version.number)?;
        Ok(loaded)
    }

    /// Reads a version of each of several things, all as of one commit. Each comes with the names
    /// that it goes by, and is read under the first of them that something was saved under.
    pub fn load_together(
        &self,
        names: &[Vec<String>],
        which: &Which,
    ) -> Result<Vec<(String, Loaded)>> {
        names.iter().flatten().try_for_each(|name| self.settled(name))?;
        let loaded = self.reading(|view| {
            names
                .iter()
                .map(|names| self.load_first(view, names, which))
                .collect::<Result<Vec<_>>>()
        })?;
        for (name, one) in &loaded {
            self.note_read(name, &one.sealer, memory_type(name), one.version.number)?;
        }
        Ok(loaded)
    }

    fn load_first(
        &self,
        view: &Arc<View>,
        names: &[String],
        which: &Which,
    ) -> Result<(String, Loaded)> {
        for name in names {
            if self.agent(view, name)?.is_some() {
                return Ok((name.clone(), self.load_at(view, name, which)?));
            }
        }
        Err(unknown_name(names.first().map_or("", String::as_str)))
    }

    fn load_at(&self, view: &Arc<View>, name: &str, which: &Which) -> Result<Loaded> {
        let (version, sealer) = self.pinned(view, name, which)?;
        let (mut paths, mut values, mut blobs) = (Arena::default(), Arena::default(), Vec::new());
        let nodes = self.nodes(&sealer);
        if let Some(root) = &version.state {
            visit(&nodes, root, &mut |path, inline, blob| {
                if let Some(blob) = blob {
                    blobs.push((paths.len(), blob));
                }
                paths.push(path);
                values.push(inline);
                Ok(())
            })?;
        }
        let blueprint = version.blueprint.clone().whole(&nodes)?;
        let schema = version.schema.clone().whole(&nodes)?;
        let view = Arc::clone(view);
        Ok(Loaded { version, paths, values, blobs, blueprint, schema, sealer, view })
    }

    /// Reads of a version what lies at a path and below it; `load` reads all.
    pub fn load_under(&self, name: &str, which: &Which, path: &str) -> Result<Loaded> {
        self.settled(name)?;
        let loaded = self.reading(|view| self.load_under_at(view, name, which, path))?;
        self.note_read(name, &loaded.sealer, memory_type(name), loaded.version.number)?;
        Ok(loaded)
    }

    fn load_under_at(
        &self,
        view: &Arc<View>,
        name: &str,
        which: &Which,
        path: &str,
    ) -> Result<Loaded> {
        let (version, sealer) = self.pinned(view, name, which)?;
        let (mut paths, mut values, mut blobs) = (Arena::default(), Arena::default(), Vec::new());
        let state = Map { root: version.state.clone() };
        for entry in state.prefixed(&self.nodes(&sealer), path.as_bytes())? {
            if !matches!(entry.key.get(path.len()), None | Some(b'.')) {
                continue;
            }
            if let Some(blob) = entry.value.blob {
                blobs.push((paths.len(), blob));
            }
            paths.push(&entry.key);
            values.push(&entry.value.inline);
        }
        let view = Arc::clone(view);
        let (blueprint, schema) = Default::default();
        Ok(Loaded { version, paths, values, blobs, blueprint, schema, sealer, view })
    }

    /// The encoded blueprint of a version.
    pub fn blueprint(&self, name: &str, which: &Which) -> Result<Vec<u8>> {
        self.settled(name)?;
        let (version, sealer, blueprint) = self.reading(|view| {
            let (version, sealer) = self.pinned(view, name, which)?;
            let blueprint = version.blueprint.clone().whole(&self.nodes(&sealer))?;
            Ok((version, sealer, blueprint))
        })?;
        self.note_read(name, &sealer, "blueprint", version.number)?;
        Ok(blueprint)
    }

    /// The nodes of a loaded version's namespace, to read its large values.
    pub fn nodes_of<'a>(&'a self, loaded: &'a Loaded) -> impl crate::tree::Nodes + 'a {
        Pinned { store: self, view: &loaded.view, sealer: &loaded.sealer }
    }
}
