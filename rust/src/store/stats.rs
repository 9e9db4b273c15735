//! What takes the space.
//!
//! Everything is attributed by walking it from the head: what the walk meets is proved, its size is
//! what the sealed record takes in the data file. What the walk does not meet is garbage.

use super::compact::{has_place, hold};
use super::documents;
use super::garbage::{GRACE_NS, is_record};
use super::prune::each_ref;
use super::records::{BRANCHES, DROPPED, VERSIONS, Version, dropped_ns};
use super::rotate::MOST_SEALED;
use super::view::View;
use super::{Store, unknown_name};
use crate::engine::Engine;
use crate::engine::lmdb::Room;
use crate::error::{Error, Result};
use crate::keys;
use crate::seal::{NodeId, Sealer};
use crate::tree::{Entry as Leaf, Map, Node, Nodes, visit};
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// How many of the largest values are told.
const LARGEST: usize = 10;

/// What one name takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The name.
    pub name: String,
    /// How many versions.
    pub versions: u64,
    /// The newest one.
    pub latest: Version,
    /// Bytes that the records take which its versions need.
    pub size_bytes: u64,
    /// Bytes of those that no other name needs.
    pub own_bytes: u64,
    /// Pruned versions whose records are not deleted yet.
    pub dropped: u64,
    /// Documents of its namespace.
    pub documents: u64,
    /// Paths and sizes of the largest values of the newest version, largest first; where asked for.
    pub largest: Vec<(Vec<u8>, u64)>,
}

/// Bytes of all records, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shares {
    /// What some name needs.
    pub names: u64,
    /// What leads to the names, and lists of what is to be deleted.
    pub directory: u64,
    /// The ledger.
    pub ledger: u64,
    /// What nothing needs any more.
    pub garbage: u64,
    /// Those of the garbage that a reader may still want.
    pub waiting: u64,
}

/// What the store takes.
#[derive(Debug, Clone)]
pub struct Stats {
    /// The data file.
    pub room: Room,
    /// Size of the key file.
    pub keys_bytes: u64,
    /// The records in the data file.
    pub shares: Shares,
    /// Entries of the ledger.
    pub ledger_entries: u64,
    /// When the newest epoch of keys began.
    pub rotated_ns: u64,
    /// When it is to be replaced.
    pub rotation_due_ns: u64,
    /// How many records it sealed.
    pub sealed: u64,
    /// How many more it seals at most.
    pub sealed_left: u64,
    /// What each name takes, by name.
    pub names: Vec<Usage>,
}

/// What records take in the data file.
struct Sizes<'a> {
    store: &'a Store,
    room: Room,
    known: HashMap<NodeId, u64>,
}

impl<'a> Sizes<'a> {
    fn new(store: &'a Store) -> Result<Self> {
        Ok(Sizes { store, room: store.engine.room()?, known: HashMap::new() })
    }

    /// Looks at all records.
    fn scan(&mut self) -> Result<()> {
        let (room, known) = (self.room, &mut self.known);
        self.store.engine.scan(&mut |id, sealed| {
            known.insert(id, room.taken_bytes(sealed.len()));
            Ok(())
        })
    }

    /// What a proved record leads to must be there.
    fn of(&mut self, id: NodeId) -> Result<u64> {
        if let Some(size_bytes) = self.known.get(&id) {
            return Ok(*size_bytes);
        }
        let mut size_bytes = 0;
        let found = self.store.engine.node(id, &mut |sealed| {
            size_bytes = self.room.taken_bytes(sealed.len());
            Ok(())
        })?;
        if !found {
            let what = "a node that the head leads to is not in the store";
            return Err(Error::new("missing", what).with("node", id.to_string()));
        }
        self.known.insert(id, size_bytes);
        Ok(size_bytes)
    }

    fn sum<'i>(&mut self, ids: impl IntoIterator<Item = &'i NodeId>) -> Result<u64> {
        ids.into_iter().try_fold(0, |sum, id| Ok(sum + self.of(*id)?))
    }
}

/// What was met on the way from the head.
#[derive(Default)]
struct Met {
    usages: Vec<Usage>,
    /// What the names need.
    names: HashSet<NodeId>,
    /// What leads to the names.
    top: HashSet<NodeId>,
    /// What only readers need who began in time.
    waiting: HashSet<NodeId>,
}

impl Met {
    fn shares(&self, sizes: &Sizes<'_>) -> Shares {
        let mut shares = Shares::default();
        for (id, size_bytes) in &sizes.known {
            let share = if is_record(*id) || self.top.contains(id) {
                &mut shares.directory
            } else if has_place(*id) {
                &mut shares.ledger
            } else if self.names.contains(id) {
                &mut shares.names
            } else {
                shares.waiting += if self.waiting.contains(id) { *size_bytes } else { 0 };
                &mut shares.garbage
            };
            *share += size_bytes;
        }
        shares
    }
}

impl Store {
    /// What the whole store takes.
    pub fn stats(&self) -> Result<Stats> {
        self.flush()?;
        // Before the view: what it leads to and is not among them was written in between.
        let mut sizes = Sizes::new(self)?;
        sizes.scan()?;
        self.reading(|view| self.stats_at(view, sizes))
    }

    fn stats_at(&self, view: &View, mut sizes: Sizes<'_>) -> Result<Stats> {
        let (head, now_ns) = (&view.head, self.clock.now_ns()?);
        let mut met = Met::default();
        hold(&self.top_nodes(), &head.top, &mut met.top)?;
        sizes.sum(&met.top)?;
        for id in self.namespaces(view)? {
            let sealer = self.namespace_sealer(&id)?;
            let map = self.namespace_map(head, &sealer)?;
            self.meet(&self.nodes(&sealer), &map, now_ns, &mut sizes, &mut met)?;
        }
        self.each_waiting(head, now_ns, &mut |id| {
            met.waiting.insert(id);
        })?;
        let mut names = std::mem::take(&mut met.usages);
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Stats {
            room: self.engine.room()?,
            keys_bytes: keys::size_bytes(&self.folder)?,
            shares: met.shares(&sizes),
            ledger_entries: head.frontier.size(),
            rotated_ns: head.rotated_ns,
            rotation_due_ns: head.rotation_due_ns,
            sealed: head.sealed,
            sealed_left: MOST_SEALED.saturating_sub(head.sealed),
            names,
        })
    }

    /// What one name takes; other namespaces are not opened.
    pub fn stats_of(&self, name: &str) -> Result<Usage> {
        self.settled(name)?;
        let (usage, sealer) = self.reading(|view| self.stats_of_at(view, name))?;
        self.note_read(name, &sealer, "history", 0)?;
        Ok(usage)
    }

    fn stats_of_at(&self, view: &View, name: &str) -> Result<(Usage, Arc<Sealer>)> {
        let agent = self.agent(view, name)?.ok_or_else(|| unknown_name(name))?;
        let nodes = self.nodes(&agent.sealer);
        let (mut sizes, mut met) = (Sizes::new(self)?, Met::default());
        self.meet(&nodes, &agent.map, self.clock.now_ns()?, &mut sizes, &mut met)?;
        let found = met.usages.into_iter().find(|usage| usage.name == name);
        let mut usage = found.ok_or_else(|| unknown_name(name))?;
        if let Some(root) = &usage.latest.state {
            usage.largest = largest(&nodes, root)?;
        }
        Ok((usage, Arc::clone(&agent.sealer)))
    }

    /// What the branches of one namespace take. Each node is opened once for each branch that needs
    /// it.
    fn meet(
        &self,
        nodes: &dyn Nodes,
        map: &Map,
        now_ns: u64,
        sizes: &mut Sizes<'_>,
        met: &mut Met,
    ) -> Result<()> {
        let mut usages = BTreeMap::new();
        for (branch, name) in branches(nodes, map)? {
            usages.insert(branch, Usage { name, ..Usage::default() });
        }
        let mut held = HashMap::new();
        for entry in map.prefixed(nodes, VERSIONS)? {
            let branch = branch_of(&entry.key, 1)?;
            let usage = usages.get_mut(&branch).ok_or_else(nameless)?;
            let version = Version::decode(&entry.value.whole(nodes)?)?;
            let needed = needed_by(nodes, branch, &version, &mut held)?;
            usage.size_bytes += sizes.sum(&needed)?;
            usage.versions += 1;
            usage.latest = version;
        }
        for (id, held) in held.iter().filter(|(_, held)| !held.shared) {
            let usage = usages.get_mut(&held.branch).ok_or_else(nameless)?;
            usage.own_bytes += sizes.of(*id)?;
        }
        for entry in map.prefixed(nodes, DROPPED)? {
            let usage = usages.get_mut(&branch_of(&entry.key, 9)?).ok_or_else(nameless)?;
            usage.dropped += 1;
            if dropped_ns(&entry.key)?.saturating_add(GRACE_NS) > now_ns {
                let version = Version::decode(&entry.value.whole(nodes)?)?;
                each_ref(nodes, &version, &mut |id| {
                    !held.contains_key(&id) && met.waiting.insert(id)
                })?;
            }
        }
        let mut own = HashSet::new();
        hold(nodes, map, &mut own)?;
        let (map_bytes, alone) = (sizes.sum(&own)?, usages.len() == 1);
        let documents = documents::count(nodes, map)?;
        for usage in usages.values_mut() {
            usage.documents = documents;
            usage.size_bytes += map_bytes;
            usage.own_bytes += if alone { map_bytes } else { 0 };
        }
        met.names.extend(own.into_iter().chain(held.into_keys()));
        met.usages.extend(usages.into_values());
        Ok(())
    }
}

/// Which branch needed a node last, and whether another one did before.
struct Held {
    branch: u64,
    shared: bool,
}

/// The nodes of a version that no earlier one of its branch needs.
fn needed_by(
    nodes: &dyn Nodes,
    branch: u64,
    version: &Version,
    held: &mut HashMap<NodeId, Held>,
) -> Result<Vec<NodeId>> {
    let mut needed = Vec::new();
    each_ref(nodes, version, &mut |id| {
        let first = match held.entry(id) {
            Entry::Vacant(free) => {
                free.insert(Held { branch, shared: false });
                true
            }
            Entry::Occupied(mut taken) => {
                let before = std::mem::replace(&mut taken.get_mut().branch, branch);
                taken.get_mut().shared |= before != branch;
                before != branch
            }
        };
        needed.extend(first.then_some(id));
        first
    })?;
    Ok(needed)
}

/// Numbers and names of a namespace's branches.
fn branches(nodes: &dyn Nodes, map: &Map) -> Result<Vec<(u64, String)>> {
    let named = |entry: Leaf| {
        let name = String::from_utf8(entry.value.whole(nodes)?).map_err(|_| nameless())?;
        Ok((branch_of(&entry.key, 1)?, name))
    };
    map.prefixed(nodes, BRANCHES)?.into_iter().map(named).collect()
}

/// The branch in a key of a namespace's map.
fn branch_of(key: &[u8], at: usize) -> Result<u64> {
    let number = key.get(at..at + 8).and_then(|number| number.try_into().ok());
    number.map(u64::from_be_bytes).ok_or_else(nameless)
}

fn nameless() -> Error {
    Error::new("malformed", "a version belongs to no branch")
}

fn largest(nodes: &dyn Nodes, root: &Node) -> Result<Vec<(Vec<u8>, u64)>> {
    let mut heap = BinaryHeap::new();
    visit(nodes, root, &mut |path, inline, blob| {
        let size_bytes = inline.len() as u64 + blob.map_or(0, |blob| blob.size_bytes);
        heap.push((Reverse(size_bytes), path.to_vec()));
        if heap.len() > LARGEST {
            heap.pop();
        }
        Ok(())
    })?;
    let sorted = heap.into_sorted_vec().into_iter();
    Ok(sorted.map(|(Reverse(size_bytes), path)| (path, size_bytes)).collect())
}
