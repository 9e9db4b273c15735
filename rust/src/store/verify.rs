//! Proving everything.

use super::documents::{Document, count, each_entry, id_of, is_document};
use super::garbage::is_record;
use super::head::Head;
use super::records::{BRANCHES, VERSIONS, Version};
use super::vectors::check_vectors;
use super::view::View;
use super::{Store, nodes::Opened};
use crate::engine::Engine;
use crate::error::Result;
use crate::seal::{NodeId, kind};
use crate::tree::{Node, Nodes, Range, refs};
use std::collections::{HashMap, HashSet};

/// What was proved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Names, each a branch of some namespace.
    pub names: u64,
    /// Versions.
    pub versions: u64,
    /// Documents, those that have expired included.
    pub documents: u64,
    /// Ledger entries.
    pub entries: u64,
    /// Nodes that some version, map or the ledger refers to.
    pub nodes: u64,
    /// Bytes of their contents.
    pub size_bytes: u64,
    /// Nodes that nothing refers to any more.
    pub unused_nodes: u64,
}

/// Called with the number of nodes proved so far; an error ends the run.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

struct Proof<'a, 'p> {
    seen: HashSet<NodeId>,
    report: Report,
    progress: Progress<'p>,
    store: &'a Store,
}

impl Store {
    /// Proves every node, version and ledger entry against the head, and the head against the
    /// witness.
    pub fn verify(&self, progress: Progress<'_>) -> Result<Report> {
        let (mut report, ledger_nodes) = self.reading(|view| {
            let (entries, ledger_nodes) = self.verify_ledger(&view.head)?;
            let report = Report { entries, ..Report::default() };
            let mut proof = Proof { seen: HashSet::new(), report, progress, store: self };
            proof.all(view)?;
            Ok((proof.report, ledger_nodes))
        })?;
        let mut on_disk = 0u64;
        self.engine.scan(&mut |id, sealed| match is_record(id) {
            true => self.check_record(id, sealed),
            false => {
                on_disk += 1;
                Ok(())
            }
        })?;
        report.nodes += ledger_nodes;
        report.unused_nodes = on_disk.saturating_sub(report.nodes);
        Ok(report)
    }
}

impl Proof<'_, '_> {
    fn all(&mut self, view: &View) -> Result<()> {
        let head = &view.head;
        let top = self.store.top_nodes();
        if let Some(root) = &head.top.root {
            self.tree(&top, root)?;
        }
        for id in self.store.namespaces(view)? {
            self.namespace(head, &id)?;
        }
        Ok(())
    }

    fn namespace(&mut self, head: &Head, id: &[u8; 16]) -> Result<()> {
        let store = self.store;
        let sealer = store.namespace_sealer(id)?;
        let map = store.namespace_map(head, &sealer)?;
        let nodes = store.nodes(&sealer);
        if let Some(root) = &map.root {
            self.tree(&nodes, root)?;
        }
        self.report.names += map.count(&nodes, &Range::prefix(BRANCHES))?;
        self.report.documents += count(&nodes, &map)?;
        let mut expiries = HashMap::new();
        each_entry(&nodes, &map, &mut |entry| {
            if is_document(&entry.key) {
                let document = Document::decode(&entry.value.whole(&nodes)?)?;
                expiries.insert(id_of(&entry.key)?, document.expires_ns);
            }
            Ok(())
        })?;
        check_vectors(&nodes, &map, &expiries)?;
        for entry in map.prefixed(&nodes, VERSIONS)? {
            let version = Version::decode(&entry.value.whole(&nodes)?)?;
            self.report.versions += 1;
            if let Some(root) = &version.state {
                self.tree(&nodes, root)?;
            }
            for blob in version.beside() {
                let mut chunks = Vec::new();
                blob.refs(&nodes, &mut |hash, kind, id| {
                    chunks.push((hash, kind, id));
                    true
                })?;
                self.chunks(&nodes, chunks)?;
            }
        }
        Ok(())
    }

    /// Opening a node proves it; chunks are opened here, all others by the walk itself.
    fn tree(&mut self, nodes: &Opened<'_>, root: &Node) -> Result<()> {
        let mut found = Vec::new();
        let seen = &self.seen;
        refs(nodes, root, &mut |hash, kind, id| {
            found.push((hash, kind, id));
            !seen.contains(&id)
        })?;
        self.chunks(nodes, found)
    }

    fn chunks(&mut self, nodes: &Opened<'_>, found: Vec<([u8; 32], u8, NodeId)>) -> Result<()> {
        for (hash, node_kind, id) in found {
            if !self.seen.insert(id) {
                continue;
            }
            self.report.size_bytes += match node_kind {
                kind::CHUNK => nodes.prove_chunk(&hash, id)?,
                _ => nodes.open(node_kind, id)?.len() as u64,
            };
            self.report.nodes += 1;
            if self.report.nodes.is_multiple_of(1024) {
                (self.progress)(self.report.nodes)?;
            }
        }
        Ok(())
    }
}
