//! A backup in the making.
//!
//! The order, whoever dies when: the copy of `keys.sealed` is put before the manifest that needs it,
//! packs before the manifest that leads to them, and only then are older manifests deleted, and then
//! packs. So what a manifest leads to is there, and a backup without one is none. Packs that nobody
//! got to name are found by the next backup, which goes on with them.
//!
//! Several may back up at once (processes, copies of a store): a pack is deleted only when some
//! backup has noted it as unused for [`GRACE_NS`] and no manifest leads to it, and what is noted so
//! is not built upon any more. So a backup may take so long.

use super::objects::{Bits, Manifest, Part, Table};
use super::restore::archived;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::{self, Locked};
use crate::ledger::{self, grown};
use crate::seal::{Mark, NodeId, mark, random};
use crate::store::Store;
use crate::store::head::Head;
use crate::store::verify::Progress;
use crate::store::view::View;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// A pack is closed when it has so many bytes: large enough that a store of 100 GB has some 12,000,
/// small enough that what a death in the middle costs, and what waits in memory, is little.
const PACK_BYTES: usize = 8 << 20;
/// Packs of which a backup needs less than a half. If there are more, what it needs of them is
/// packed anew: so small backups and dead nodes do not pile up.
const MOST_SPARSE: usize = 32;
/// How long a pack that nothing needs stays.
const GRACE_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// An earlier backup.
struct Before {
    id: NodeId,
    manifest: Manifest,
    head: Head,
}

/// A pack in the archive that is built upon.
struct Pack {
    id: NodeId,
    size_bytes: u64,
    /// What the backup needs of it.
    used: Bits,
    used_nodes: u64,
    used_bytes: u64,
    /// Whether it was put for this backup.
    fresh: bool,
}

impl Pack {
    /// Nothing of it is needed, as far as is known.
    fn clear(&mut self) {
        (self.used, self.used_nodes, self.used_bytes) = (Bits::default(), 0, 0);
    }
}

/// A backup of one commit.
pub struct Backup {
    store: Arc<Store>,
    view: Arc<View>,
    /// Newest first.
    before: Vec<Before>,
    packs: Vec<Pack>,
    /// Where nodes lie: pack, and number in it.
    places: HashMap<(NodeId, Mark), (usize, usize)>,
    missing: VecDeque<NodeId>,
    nodes: u64,
    size_bytes: u64,
}

/// What is left to do when all packs are in the archive.
#[derive(Debug)]
pub struct Finished {
    /// Of the manifest.
    pub id: NodeId,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The commit that was backed up.
    pub commit: u64,
    /// When the backup was made.
    pub created_ns: u64,
    /// Its nodes.
    pub nodes: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// How many of them were put for it.
    pub put_nodes: u64,
    /// Manifests to delete, once the new one is there.
    pub dropped: Vec<NodeId>,
    /// Packs to delete after them.
    pub dead: Vec<NodeId>,
}

impl Store {
    /// The newest commit, of which nothing is about to be forgotten: its key would go with it.
    fn settled_view(&self) -> Result<Arc<View>> {
        if !self.view()?.head.doomed.is_empty() && !self.is_read_only() {
            self.finish_forgetting()?;
        }
        let view = self.view()?;
        match view.head.doomed.is_empty() {
            true => Ok(view),
            false => Err(Error::new(
                "locked",
                "something is being forgotten and its key is not destroyed yet: back up when it is",
            )),
        }
    }

    /// All nodes of a commit, in the order in which they are put: those first that go soonest.
    fn all_nodes(&self, view: &View, progress: Progress<'_>) -> Result<Vec<NodeId>> {
        let mut found: Vec<NodeId> = self.reachable(view, progress)?.into_iter().collect();
        found.sort_unstable_by_key(|id| (!crate::engine::is_of_map(*id), *id));
        for seq in 0..view.head.frontier.size() {
            found.push(ledger::node_id(seq));
            found.extend(grown(seq + 1).map(|tile| tile.node_id()));
        }
        Ok(found)
    }
}

impl Backup {
    /// Begins one of an open store.
    pub fn begin(store: Arc<Store>) -> Result<Self> {
        if !store.is_read_only() {
            store.flush()?;
        }
        let view = store.settled_view()?;
        Ok(Backup {
            store,
            view,
            before: Vec::new(),
            packs: Vec::new(),
            places: HashMap::new(),
            missing: VecDeque::new(),
            nodes: 0,
            size_bytes: 0,
        })
    }

    /// `keys.sealed` as it is now: of the commit that is backed up, or newer.
    pub fn keys(&self) -> Result<Vec<u8>> {
        let gone = || Error::new("missing", "keys.sealed is gone; restore it before anything else");
        keys::read(&self.store.folder)?.ok_or_else(gone)
    }

    /// The archive's copy of `keys.sealed` must be this store's, and no newer one.
    pub fn check_keys(&self, theirs: &[u8]) -> Result<()> {
        let (theirs, ours) = (archived(theirs)?, Locked::parse(&self.keys()?)?);
        if theirs.store != ours.store {
            let what = "the archive holds backups of another store; give each its own place";
            return Err(Error::new("wrong-context", what));
        }
        let same = theirs.hash() == ours.hash();
        if theirs.generation < ours.generation || same {
            return Ok(());
        }
        let what = "the archive holds keys of a newer state of this store, or of a copy that went \
                    its own way: replacing them would lose its backups; restore from it, or give \
                    this copy an archive of its own";
        Err(Error::new("rolled-back", what)
            .with("generation", ours.generation)
            .with("archived_generation", theirs.generation))
    }

    /// Reads the archive's manifests. The store must continue the newest, unless it `may_branch`.
    pub fn follow(&mut self, manifests: Vec<(NodeId, Vec<u8>)>, may_branch: bool) -> Result<()> {
        // Another backup of this store may have been faster: now, it is of the past.
        self.view = self.store.settled_view()?;
        for (id, sealed) in manifests {
            let manifest = Manifest::open(&self.store.sealer, id, &sealed)
                .map_err(|error| error.with("manifest", id.to_string()))?;
            let head = Head::open(&manifest.head, &self.store.sealer)?;
            self.before.push(Before { id, manifest, head });
        }
        self.before.sort_by_key(|b| std::cmp::Reverse((b.manifest.created_ns, b.head.commit)));
        match self.before.first() {
            Some(newest) if !may_branch => self.check_follows(&newest.head),
            _ => Ok(()),
        }
    }

    fn check_follows(&self, archived: &Head) -> Result<()> {
        let (head, entries) = (&self.view.head, archived.frontier.size());
        let known = head.frontier.size();
        if entries <= known && self.store.chain_of(head, entries)? == archived.chain {
            return Ok(());
        }
        let what = match entries <= known {
            true => {
                "the newest backup is of a branch of this store: a copy went its own way, or \
                     this one was restored from an older backup; give each copy an archive of its \
                     own, or say branch=\"allow\" to go on from here"
            }
            false => {
                "the archive has a backup of a newer state of this store; restore it, or say \
                      branch=\"allow\" to go on from here"
            }
        };
        Err(Error::new("rolled-back", what)
            .with("commit", head.commit)
            .with("archived_commit", archived.commit))
    }

    /// Which of the packs that the archive lists may be built upon. Their tables are to be learned
    /// in this order: of a node that lies in several, the newest backup's place counts, or what was
    /// packed anew would be packed anew again.
    pub fn readable(&self, listed: &[(NodeId, u64)]) -> Vec<(NodeId, u64)> {
        let unused = self.noted();
        let parts = self.before.iter().rev().flat_map(|before| &before.manifest.parts);
        let expected: HashMap<NodeId, u64> = parts.map(|part| (part.id, part.size_bytes)).collect();
        let newest: HashSet<NodeId> = match self.before.first() {
            Some(newest) => newest.manifest.parts.iter().map(|part| part.id).collect(),
            None => HashSet::new(),
        };
        let whole = |(id, size_bytes): &&(NodeId, u64)| {
            !unused.contains_key(id) && expected.get(id).is_none_or(|bytes| bytes == size_bytes)
        };
        let mut readable: Vec<_> = listed.iter().filter(whole).copied().collect();
        readable.sort_by_key(|(id, _)| newest.contains(id));
        readable
    }

    /// What the newest backup noted as unused, and since when.
    fn noted(&self) -> HashMap<NodeId, u64> {
        let newest = self.before.first();
        newest.map(|b| b.manifest.unused.iter().copied().collect()).unwrap_or_default()
    }

    /// Learns what lies in a pack; false if its table cannot be read: then it is not built upon.
    pub fn learn(&mut self, id: NodeId, size_bytes: u64, table: &[u8]) -> bool {
        match Table::open(&self.store.sealer, id, table) {
            Ok(table) => {
                self.add(id, size_bytes, &table, false);
                true
            }
            Err(_) => false,
        }
    }

    fn add(&mut self, id: NodeId, size_bytes: u64, table: &Table, fresh: bool) -> usize {
        let number = self.packs.len();
        for (at, row) in table.rows.iter().enumerate() {
            self.places.insert((row.id, row.mark), (number, at));
        }
        let (used, used_nodes, used_bytes) = (Bits::default(), 0, 0);
        self.packs.push(Pack { id, size_bytes, used, used_nodes, used_bytes, fresh });
        number
    }

    /// Takes the newest commit, and finds what of it is not in the archive: how many nodes, and
    /// bytes. After `snapshot-expired` it is called again.
    pub fn plan(&mut self, progress: Progress<'_>) -> Result<(u64, u64)> {
        self.view = self.store.settled_view()?;
        let (store, view) = (Arc::clone(&self.store), Arc::clone(&self.view));
        let planned = self.planned(&view, progress);
        planned.map_err(|error| store.outlived(&view, error))
    }

    fn planned(&mut self, view: &View, progress: Progress<'_>) -> Result<(u64, u64)> {
        self.packs.iter_mut().for_each(Pack::clear);
        (self.nodes, self.size_bytes) = (0, 0);
        let mut found = Vec::new();
        for id in self.store.all_nodes(view, progress)? {
            let (mut size_bytes, mut sealed_as) = (0, Mark::default());
            self.store.each_sealed(id, &mut |sealed| {
                (size_bytes, sealed_as) = (sealed.len() as u64, mark(sealed)?);
                Ok(())
            })?;
            let place = self.places.get(&(id, sealed_as)).copied();
            if let Some((pack, at)) = place {
                self.need(pack, at, size_bytes);
            }
            self.nodes += 1;
            self.size_bytes += size_bytes;
            found.push((id, size_bytes, place));
        }
        let sparse = self.sparse();
        found.retain(|(_, _, place)| place.is_none_or(|(pack, _)| sparse.contains(&pack)));
        self.leave(&sparse);
        self.missing = found.iter().map(|(id, _, _)| *id).collect();
        Ok((found.len() as u64, found.iter().map(|(_, size_bytes, _)| size_bytes).sum()))
    }

    fn need(&mut self, pack: usize, at: usize, size_bytes: u64) {
        if let Some(pack) = self.packs.get_mut(pack) {
            pack.used.set(at);
            pack.used_nodes += 1;
            pack.used_bytes += size_bytes;
        }
    }

    /// Packs that are to be packed anew.
    fn sparse(&self) -> HashSet<usize> {
        let sparse: HashSet<usize> = self
            .packs
            .iter()
            .enumerate()
            .filter(|(_, pack)| (1..PACK_BYTES as u64 / 2).contains(&pack.used_bytes))
            .map(|(number, _)| number)
            .collect();
        if sparse.len() > MOST_SPARSE { sparse } else { HashSet::new() }
    }

    /// Builds upon these packs no more.
    fn leave(&mut self, sparse: &HashSet<usize>) {
        if sparse.is_empty() {
            return;
        }
        self.places.retain(|_, (pack, _)| !sparse.contains(pack));
        for (number, pack) in self.packs.iter_mut().enumerate() {
            if sparse.contains(&number) {
                pack.clear();
            }
        }
    }

    /// The next pack to put, and its id; None when all nodes are in the archive. What it gives is
    /// taken for put.
    pub fn pack(&mut self) -> Result<Option<(NodeId, Vec<u8>)>> {
        let (store, view) = (Arc::clone(&self.store), Arc::clone(&self.view));
        let packed = self.packed();
        packed.map_err(|error| store.outlived(&view, error))
    }

    fn packed(&mut self) -> Result<Option<(NodeId, Vec<u8>)>> {
        let (mut bytes, mut table) = (Vec::new(), Table::default());
        while bytes.len() < PACK_BYTES
            && let Some(id) = self.missing.pop_front()
        {
            self.store.each_sealed(id, &mut |sealed| {
                bytes.extend_from_slice(sealed);
                table.push(id, sealed)
            })?;
        }
        if table.rows.is_empty() {
            return Ok(None);
        }
        let id = NodeId(random()?);
        table.append(&self.store.sealer, id, &mut bytes)?;
        let number = self.add(id, bytes.len() as u64, &table, true);
        for (at, row) in table.rows.iter().enumerate() {
            self.need(number, at, row.size_bytes);
        }
        Ok(Some((id, bytes)))
    }

    /// The manifest, once all packs are in the archive, as `listed` must show.
    pub fn finish(&self, listed: &[(NodeId, u64)], keep: usize) -> Result<Finished> {
        let there: HashMap<NodeId, u64> = listed.iter().copied().collect();
        let used = self.packs.iter().filter(|pack| pack.used_bytes > 0);
        let parts: Vec<Part> = used
            .map(|pack| Part { id: pack.id, size_bytes: pack.size_bytes, used: pack.used.clone() })
            .collect();
        for part in &parts {
            if there.get(&part.id) != Some(&part.size_bytes) {
                let what = "a pack that was put is not in the archive, or not whole";
                return Err(Error::new("missing", what).with("pack", part.id.to_string()));
            }
        }
        let created_ns = self.created_ns()?;
        let (kept, dropped) = self.before.split_at(self.before.len().min(keep.saturating_sub(1)));
        let needed: HashSet<NodeId> = kept
            .iter()
            .flat_map(|before| &before.manifest.parts)
            .chain(&parts)
            .map(|part| part.id)
            .collect();
        let noted = self.noted();
        let unused: Vec<(NodeId, u64)> = listed
            .iter()
            .filter(|(id, _)| !needed.contains(id))
            .map(|(id, _)| (*id, noted.get(id).copied().unwrap_or(created_ns)))
            .collect();
        let is_dead = |since_ns: u64| since_ns.saturating_add(GRACE_NS) <= created_ns;
        let dead = unused.iter().filter(|(_, since)| is_dead(*since)).map(|(id, _)| *id).collect();
        let (id, head) = (NodeId(random()?), self.view.sealed.clone());
        let (nodes, size_bytes) = (self.nodes, self.size_bytes);
        let fresh = self.packs.iter().filter(|pack| pack.fresh);
        let put_nodes = fresh.map(|pack| pack.used_nodes).sum();
        let manifest = Manifest { created_ns, nodes, size_bytes, head, parts, unused };
        Ok(Finished {
            id,
            manifest: manifest.seal(&self.store.sealer, id)?,
            commit: self.view.head.commit,
            created_ns,
            nodes,
            size_bytes,
            put_nodes,
            dropped: dropped.iter().map(|before| before.id).collect(),
            dead,
        })
    }

    /// Now, but after every earlier backup: that is their order.
    fn created_ns(&self) -> Result<u64> {
        let last_ns = self.before.first().map_or(0, |before| before.manifest.created_ns + 1);
        Ok(self.store.clock.now_ns()?.max(last_ns))
    }
}

impl Store {
    /// Reads a node of a commit as it lies on disk.
    fn each_sealed(&self, id: NodeId, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.engine.node(id, read)? {
            true => Ok(()),
            false => {
                Err(Error::new("missing", "a node that the head leads to is not in the store")
                    .with("node", id.to_string()))
            }
        }
    }
}
