//! The leaves of a loaded version: where they lie, and their values as Python's.

use super::array::Unfilled;
use super::decode::{Keys, ValueDecoder};
use super::errors::Attempt;
use super::raw;
use super::types::Types;
use crate::codec::{Decoder, Token};
use crate::error::Error;
use crate::state::Arena;
use crate::store::{Loaded, Store};
use crate::tree::{Blob, Cut, Nodes};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The leaves of one version, ascending by path.
pub struct Leaves<'a> {
    paths: &'a Arena,
    values: &'a Arena,
    blobs: &'a [(usize, Blob)],
    nodes: Option<Box<dyn Nodes + 'a>>,
}

impl<'a> Leaves<'a> {
    /// Those of `loaded`; its store reads what lies in blobs.
    pub fn new(store: &'a Store, loaded: &'a Loaded) -> Self {
        let nodes: Box<dyn Nodes + 'a> = Box::new(store.nodes_of(loaded));
        let (paths, values, blobs) = (&loaded.paths, &loaded.values, &loaded.blobs);
        Leaves { paths, values, blobs, nodes: Some(nodes) }
    }

    /// Those of a state in memory.
    pub fn of(paths: &'a Arena, values: &'a Arena) -> Self {
        Leaves { paths, values, blobs: &[], nodes: None }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The path of one, as text.
    pub fn path(&self, at: usize) -> Attempt<&'a str> {
        let path = std::str::from_utf8(self.paths.get(at));
        Ok(path.map_err(|_| Error::new("malformed", "a path is not UTF-8"))?)
    }

    /// Where the first path lies that is not below `path`.
    fn seek(&self, path: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.paths.get(middle) < path {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Finds the leaves that are called `prefix` and one of `names`, which ascend; gives each name's
    /// number and place to `found`.
    ///
    /// The fields of a module mostly lie side by side, so one search does for all.
    pub fn find<'n>(
        &self,
        prefix: &str,
        names: impl Iterator<Item = (usize, &'n str)>,
        mut found: impl FnMut(usize, usize),
    ) {
        let mut next = None;
        let mut path = Vec::new();
        for (number, name) in names {
            let at = match next.filter(|at| self.is_called(*at, prefix, name)) {
                Some(at) => at,
                None => {
                    path.clear();
                    path.extend_from_slice(prefix.as_bytes());
                    path.extend_from_slice(name.as_bytes());
                    self.seek(&path)
                }
            };
            let is_there = self.is_called(at, prefix, name);
            if is_there {
                found(number, at);
            }
            next = Some(at + usize::from(is_there));
        }
    }

    fn is_called(&self, at: usize, prefix: &str, name: &str) -> bool {
        let path = self.paths.get(at);
        at < self.len()
            && path.len() == prefix.len() + name.len()
            && path.ends_with(name.as_bytes())
            && path.starts_with(prefix.as_bytes())
    }

    /// The leaves right below `prefix`, without those of children.
    pub fn own(&self, prefix: &str) -> Vec<usize> {
        let mut own = Vec::new();
        let mut at = self.seek(prefix.as_bytes());
        while at < self.len() {
            let path = self.paths.get(at);
            let Some(rest) = path.strip_prefix(prefix.as_bytes()) else { break };
            match rest.iter().position(|byte| *byte == b'.') {
                None => {
                    own.push(at);
                    at += 1;
                }
                Some(dot) => {
                    // Past everything below that child: '/' follows '.'.
                    let mut after = path.get(..prefix.len() + dot).unwrap_or_default().to_vec();
                    after.push(b'/');
                    at = self.seek(&after);
                }
            }
        }
        own
    }

    /// The value of one.
    #[inline]
    pub fn value<'py>(
        &self,
        at: usize,
        types: &Types<'py>,
        keys: &mut Keys,
    ) -> Attempt<Bound<'py, PyAny>> {
        let inline = self.values.get(at);
        let blobs = self.blobs;
        let place = blobs.binary_search_by_key(&at, |(entry, _)| *entry);
        match (place.map(|place| blobs.get(place)), &self.nodes) {
            (Ok(Some((_, blob))), Some(nodes)) => large(inline, blob, &**nodes, types, keys),
            _ => ValueDecoder::new(inline, types, keys).whole(),
        }
    }

    /// All of them: dot path -> value.
    pub fn state<'py>(&self, types: &Types<'py>, keys: &mut Keys) -> Attempt<Bound<'py, PyDict>> {
        let py = types.empty.py();
        let state = PyDict::new(py);
        for at in 0..self.len() {
            let path = self.path(at)?;
            let value = self.value(at, types, keys).map_err(|fail| fail.inside(path))?;
            state.set_item(raw::string(py, path)?, value)?;
        }
        Ok(state)
    }
}

/// A value of which at least a part is a blob.
fn large<'py>(
    inline: &[u8],
    blob: &Blob,
    nodes: &dyn Nodes,
    types: &Types<'py>,
    keys: &mut Keys,
) -> Attempt<Bound<'py, PyAny>> {
    let py = types.empty.py();
    if blob.cut == Cut::Content {
        let bytes = py.detach(|| {
            let mut bytes = inline.to_vec();
            blob.append_to(nodes, &mut bytes).map(|()| bytes)
        })?;
        return ValueDecoder::new(&bytes, types, keys).whole();
    }
    let mut head = Decoder::new(inline);
    let Token::Array(head) = head.token()? else {
        return Err(Error::new("malformed", "a large value is no array").into());
    };
    if head.size_bytes as u64 != blob.size_bytes || !head.items.is_empty() {
        return Err(Error::new("malformed", "an array and its items differ in length").into());
    }
    let unfilled = Unfilled::new(types, &head)?;
    let memory = unfilled.memory()?;
    raw::fill(py, &memory, |out| blob.read_into(nodes, out))?;
    drop(memory);
    unfilled.filled()
}
