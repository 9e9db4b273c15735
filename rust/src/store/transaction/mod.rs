//! Transactions over documents of one or several namespaces, and states that are saved with them.
//!
//! A transaction reads from the commit that was the newest when it began, and sees its own writes. It
//! notes which keys and ranges it has read. To commit, it is rebased on the newest commit: the maps
//! are compared, which costs what changed since, and a key that is in what it read or writes makes it
//! a `conflict`, of this transaction alone. What earlier operations of the same commit write counts as
//! changed, too. A transaction that wrote nothing has read one commit, and cannot conflict. So all
//! transactions together are serializable in the order of their commits.

mod commit;
mod many;
mod vectors;

pub use vectors::Near;

use super::Store;
use super::documents::{
    Document, DocumentId, Indexes, check_indexes, check_type, decode_indexes, document_key,
    documents_prefix, each_entry, encode_indexes, id_of, index_prefix, indexes_key,
};
use super::hot::Remembered;
use super::mark::{Base, Mark};
use super::records::check_name;
use super::save::{Origin, Save, check_justification};
use super::snapshot::Pinned;
use super::vectors::Spaces;
use super::view::{Agent, View};
use crate::error::{Error, Result};
use crate::seal::random;
use crate::state::Flat;
use crate::tree::{Map, Nodes, Order, Range};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A transaction that is not committed yet.
pub struct Transaction {
    view: Arc<View>,
    spaces: Vec<Space>,
    /// For each name that it was begun with, its space: names of one namespace share one.
    places: Vec<usize>,
    noted: Vec<Noted>,
    saves: Vec<Saved>,
    /// The time of the last id: the head remembers it, as those of nodes.
    last_id: u64,
}

/// What it knows of one namespace.
#[derive(Default)]
struct Space {
    name: String,
    /// As of the transaction's commit; None if nothing was there.
    agent: Option<Arc<Agent>>,
    reads: Reads,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The types of documents that it has met.
    kinds: HashMap<DocumentId, String>,
    /// The spaces of vectors, its own among them; None until they were read.
    spaces: Option<Spaces>,
}

/// What was read.
#[derive(Debug, Clone, Default)]
struct Reads {
    keys: BTreeSet<Vec<u8>>,
    ranges: Vec<Range>,
}

/// An operation, for the ledger.
#[derive(Debug, Clone)]
struct Noted {
    operation: &'static str,
    /// Which of the transaction's names.
    place: usize,
    agent_id: String,
    memory_type: String,
    justification: String,
    /// None for what concerns all documents of the type.
    id: Option<DocumentId>,
    /// How often, where one entry may stand for many; else 0.
    count: u64,
}

/// A state to be saved in the same commit.
struct Saved {
    name: String,
    justification: String,
    origin: Origin,
    base: Base,
    mark: Arc<Mark>,
    flat: Flat,
}

/// Which documents belong to an operation, and what the ledger says of it.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Which of the transaction's names.
    pub name: usize,
    /// The memory type.
    pub kind: &'a str,
    /// Of whom the ledger speaks.
    pub agent_id: &'a str,
    /// Why.
    pub justification: &'a str,
}

/// What a document is to hold.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The encoded value.
    pub value: Vec<u8>,
    /// Where indexes have it: number and order.
    pub entries: Vec<(u8, Vec<u8>)>,
    /// How long it is there from now on.
    pub ttl_ns: Option<u64>,
}

/// Which documents a search looks at, and how many it gives.
#[derive(Debug, Clone)]
pub struct Search {
    /// Number of the index; None for the documents by their ids.
    pub index: Option<u8>,
    /// Of what follows the index's prefix in its keys.
    pub range: Range,
    /// From which side.
    pub order: Order,
    /// How many entries are looked at.
    pub limit: usize,
}

/// Documents that were found, with their ids.
pub type Found = Vec<(DocumentId, Document)>;

impl Reads {
    fn touches(&self, key: &[u8]) -> bool {
        self.keys.contains(key) || self.ranges.iter().any(|range| range.contains(key))
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty()
    }
}

impl Store {
    /// Begins a transaction over the namespaces of these names, as they are on disk now.
    pub fn transaction(&self, names: &[String]) -> Result<Transaction> {
        names.iter().try_for_each(|name| check_name(name))?;
        let view = self.view()?;
        let (mut spaces, mut places) = (Vec::<Space>::new(), Vec::new());
        for name in names {
            let agent = self.agent(&view, name)?;
            let same = spaces.iter().position(|space| space.leads_to(name, agent.as_deref()));
            places.push(same.unwrap_or(spaces.len()));
            if same.is_none() {
                spaces.push(Space { name: name.clone(), agent, ..Space::default() });
            }
        }
        let (noted, saves) = Default::default();
        let last_id = view.head.last_id;
        Ok(Transaction { view, spaces, places, noted, saves, last_id })
    }
}

impl Space {
    fn leads_to(&self, name: &str, agent: Option<&Agent>) -> bool {
        let id = |agent: &Agent| agent.sealer.context().namespace;
        let mine = self.agent.as_deref().map(id);
        self.name == name || (mine.is_some() && mine == agent.map(id))
    }

    /// The map that it was read from.
    fn map(&self) -> Map {
        self.agent.as_ref().map(|agent| agent.map.clone()).unwrap_or_default()
    }

    fn read<T>(
        &self,
        store: &Store,
        view: &View,
        read: impl FnOnce(&Map, &dyn Nodes) -> Result<T>,
    ) -> Result<Option<T>> {
        store.usable()?;
        let Some(agent) = &self.agent else { return Ok(None) };
        let nodes = Remembered(Pinned { store, view, sealer: &agent.sealer });
        read(&agent.map, &nodes).map(Some)
    }

    /// Values of ascending keys.
    fn get_all(
        &mut self,
        store: &Store,
        view: &View,
        keys: Vec<Vec<u8>>,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let (own, others): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| self.writes.contains_key(key));
        let found = self.read(store, view, |map, nodes| {
            let values = map.get_all(nodes, &others)?.into_iter();
            values.map(|value| value.map(|value| value.whole(nodes)).transpose()).collect()
        })?;
        let values: Vec<Option<Vec<u8>>> = found.unwrap_or_default();
        let mut all = BTreeMap::new();
        for (key, value) in others.iter().zip(values) {
            all.extend(value.map(|value| (key.clone(), value)));
        }
        self.reads.keys.extend(others);
        for key in own {
            let value = self.writes.get(&key).cloned().flatten();
            all.extend(value.map(|value| (key, value)));
        }
        Ok(all)
    }

    fn get(&mut self, store: &Store, view: &View, key: Vec<u8>) -> Result<Option<Vec<u8>>> {
        Ok(self.get_all(store, view, vec![key])?.pop_first().map(|(_, value)| value))
    }

    /// The first `limit` keys of a range, in this order.
    fn keys(
        &mut self,
        store: &Store,
        view: &View,
        (range, order, limit): (&Range, Order, usize),
    ) -> Result<Vec<Vec<u8>>> {
        let own = || self.writes.iter().filter(|(key, _)| range.contains(key));
        // Each own write hides one entry at most.
        let most = limit.saturating_add(own().count());
        let read = |map: &Map, nodes: &dyn Nodes| map.range(nodes, range, order, most);
        let found = self.read(store, view, read)?.unwrap_or_default().into_iter();
        let mut keys: BTreeSet<_> = found.map(|entry| entry.key).collect();
        for (key, value) in own() {
            match value {
                Some(_) => keys.insert(key.clone()),
                None => keys.remove(key),
            };
        }
        let keys: Vec<_> = match order {
            Order::Ascending => keys.into_iter().take(limit).collect(),
            Order::Descending => keys.into_iter().rev().take(limit).collect(),
        };
        self.reads.ranges.push(seen(range, order, keys.last().filter(|_| keys.len() == limit)));
        Ok(keys)
    }
}

/// The part of a range that was looked at, when that ended with `last`.
fn seen(range: &Range, order: Order, last: Option<&Vec<u8>>) -> Range {
    let mut seen = range.clone();
    match (last, order) {
        (None, _) => {}
        (Some(last), Order::Ascending) => seen.end = Some(behind(last)),
        (Some(last), Order::Descending) => seen.start.clone_from(last),
    }
    seen
}

/// The smallest key behind this one.
fn behind(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

impl Transaction {
    fn space(&mut self, name: usize) -> Result<(&mut Space, Arc<View>)> {
        let view = Arc::clone(&self.view);
        let found = self.places.get(name).and_then(|at| self.spaces.get_mut(*at));
        Ok((found.ok_or_else(|| Error::new("store", "a transaction over no namespace"))?, view))
    }

    /// The time: the clock's, but never before the commit that the transaction reads.
    pub fn now_ns(&self, store: &Store) -> Result<u64> {
        Ok(store.clock.now_ns()?.max(self.view.head.created_ns))
    }

    /// An id behind all that this transaction knows of, whatever the clock says.
    fn next_id(&mut self, now_ns: u64) -> Result<DocumentId> {
        self.last_id = now_ns.max(self.last_id + 1);
        let (time, tail) = (self.last_id.to_be_bytes(), random::<8>()?);
        let mut id = [0; 16];
        id.iter_mut().zip(time.iter().chain(&tail)).for_each(|(to, from)| *to = *from);
        Ok(id)
    }

    fn note(&mut self, operation: &'static str, at: At<'_>, id: Option<DocumentId>) {
        let (agent_id, memory_type) = (at.agent_id.to_owned(), at.kind.to_owned());
        let (place, justification) = (at.name, at.justification.to_owned());
        let noted = Noted { operation, place, agent_id, memory_type, justification, id, count: 0 };
        self.noted.push(noted);
    }

    /// The indexes of a type; None where nobody declared any.
    pub fn indexes(&mut self, store: &Store, name: usize, kind: &str) -> Result<Option<Indexes>> {
        check_type(kind)?;
        let (space, view) = self.space(name)?;
        let found = space.get(store, &view, indexes_key(kind))?;
        found.map(|bytes| decode_indexes(&bytes)).transpose()
    }

    /// Declares the indexes of a type. Documents that are there are to be put into them.
    pub fn declare(&mut self, at: At<'_>, indexes: &Indexes) -> Result<()> {
        check_type(at.kind)?;
        check_indexes(indexes)?;
        let (space, _) = self.space(at.name)?;
        space.writes.insert(indexes_key(at.kind), Some(encode_indexes(indexes)));
        self.note("index", at, None);
        Ok(())
    }

    /// Puts a document into other places of indexes; it stays as it is.
    pub fn reindex(
        &mut self,
        store: &Store,
        (name, kind): (usize, &str),
        id: DocumentId,
        entries: Vec<(u8, Vec<u8>)>,
    ) -> Result<()> {
        let Some(old) = self.get(store, name, kind, &id)? else { return Ok(()) };
        let (space, _) = self.space(name)?;
        space.cut(kind, &id, &old);
        let document = Document { entries, ..old };
        document.check()?;
        space.put(kind, &id, &document);
        Ok(())
    }

    /// Stores a new document; gives its id.
    pub fn insert(&mut self, store: &Store, at: At<'_>, content: Content) -> Result<DocumentId> {
        check_type(at.kind)?;
        check_justification(at.justification)?;
        let now_ns = self.now_ns(store)?;
        let Content { value, entries, ttl_ns } = content;
        let (created_ns, updated_ns, expires_ns) = (now_ns, now_ns, ends(now_ns, ttl_ns));
        let document = Document { created_ns, updated_ns, expires_ns, entries, value };
        document.check()?;
        let id = self.next_id(now_ns)?;
        let (space, _) = self.space(at.name)?;
        space.put(at.kind, &id, &document);
        space.kinds.insert(id, at.kind.to_owned());
        self.note("store", at, Some(id));
        Ok(id)
    }

    /// Replaces a document that is there; false if it is not. Without a time to live it keeps the one
    /// that it has.
    pub fn replace(
        &mut self,
        store: &Store,
        at: At<'_>,
        id: DocumentId,
        content: Content,
    ) -> Result<bool> {
        check_justification(at.justification)?;
        let Some(old) = self.get(store, at.name, at.kind, &id)? else { return Ok(false) };
        let updated_ns = self.now_ns(store)?;
        let Content { value, entries, ttl_ns } = content;
        let expires_ns = ttl_ns.map_or(old.expires_ns, |_| ends(updated_ns, ttl_ns));
        let document = Document { updated_ns, expires_ns, entries, value, ..old };
        document.check()?;
        let (space, view) = self.space(at.name)?;
        space.cut(at.kind, &id, &old);
        space.put(at.kind, &id, &document);
        if expires_ns != old.expires_ns {
            space.age_vectors(store, &view, &id, expires_ns)?;
        }
        self.note("update", at, Some(id));
        Ok(true)
    }

    /// Removes a document; false if it is not there.
    pub fn remove(&mut self, store: &Store, at: At<'_>, id: DocumentId) -> Result<bool> {
        check_justification(at.justification)?;
        let Some(old) = self.get(store, at.name, at.kind, &id)? else { return Ok(false) };
        let (space, view) = self.space(at.name)?;
        space.cut_vectors(store, &view, &id)?;
        space.cut(at.kind, &id, &old);
        space.writes.insert(document_key(at.kind, &id), None);
        self.note("delete", at, Some(id));
        Ok(true)
    }

    /// A document; None if it is not there, or has expired.
    pub fn get(
        &mut self,
        store: &Store,
        name: usize,
        kind: &str,
        id: &DocumentId,
    ) -> Result<Option<Document>> {
        check_type(kind)?;
        let now_ns = self.now_ns(store)?;
        let (space, view) = self.space(name)?;
        let found = space.get(store, &view, document_key(kind, id))?;
        let found = found.map(|bytes| Document::decode(&bytes)).transpose()?;
        Ok(found.filter(|document| document.lives(now_ns)))
    }

    /// Documents in the order of these ids; None for one that is not there, or has expired.
    pub fn get_all(
        &mut self,
        store: &Store,
        name: usize,
        kind: &str,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<Document>>> {
        check_type(kind)?;
        let now_ns = self.now_ns(store)?;
        let (space, view) = self.space(name)?;
        let keys: BTreeSet<_> = ids.iter().map(|id| document_key(kind, id)).collect();
        let records = space.get_all(store, &view, keys.into_iter().collect())?;
        let document =
            |id| records.get(&document_key(kind, id)).map(|found| Document::decode(found));
        let living = |found: Document| Some(found).filter(|found| found.lives(now_ns));
        ids.iter().map(|id| Ok(document(id).transpose()?.and_then(living))).collect()
    }

    /// What a search finds and, if it may go on, behind which key.
    pub fn search(
        &mut self,
        store: &Store,
        name: usize,
        kind: &str,
        search: &Search,
    ) -> Result<(Found, Option<Vec<u8>>)> {
        check_type(kind)?;
        let now_ns = self.now_ns(store)?;
        let (space, view) = self.space(name)?;
        let prefix = match search.index {
            Some(number) => index_prefix(kind, number),
            None => documents_prefix(kind),
        };
        let range = within(&prefix, &search.range);
        let found = space.keys(store, &view, (&range, search.order, search.limit))?;
        let last = found.last().filter(|_| found.len() == search.limit);
        let last = last.and_then(|key| key.get(prefix.len()..)).map(<[u8]>::to_vec);
        let ids: Vec<_> = found.iter().map(|key| id_of(key)).collect::<Result<_>>()?;
        let keys: BTreeSet<_> = ids.iter().map(|id| document_key(kind, id)).collect();
        let records = space.get_all(store, &view, keys.into_iter().collect())?;
        let mut documents = Found::new();
        for id in ids {
            let record = records.get(&document_key(kind, &id)).ok_or_else(|| {
                Error::new("malformed", "an index leads to a document that is not there")
            })?;
            let document = Document::decode(record)?;
            documents.extend(document.lives(now_ns).then_some((id, document)));
        }
        Ok((documents, last))
    }

    /// Sees to it that a read of documents comes into the ledger: of the namespace's agent, or of
    /// whoever else it is said to be.
    pub fn note_read(
        &self,
        store: &Store,
        name: usize,
        kind: &str,
        agent_id: Option<&str>,
        justification: &str,
    ) -> Result<()> {
        let space = self.places.get(name).and_then(|at| self.spaces.get(*at));
        let Some((name, agent)) =
            space.and_then(|space| Some((&space.name, space.agent.as_ref()?)))
        else {
            return Ok(());
        };
        store.note_documents(agent_id.unwrap_or(name), &agent.sealer, kind, justification)
    }

    /// Writes all documents of one namespace into another one, which has none.
    pub(super) fn copy_documents(&mut self, store: &Store, name: usize, to: usize) -> Result<()> {
        let mut writes = BTreeMap::new();
        let (space, view) = self.space(name)?;
        space.read(store, &view, |map, nodes| {
            each_entry(nodes, map, &mut |entry| {
                writes.insert(entry.key, Some(entry.value.whole(nodes)?));
                Ok(())
            })
        })?;
        self.space(to)?.0.writes = writes;
        Ok(())
    }

    /// Saves a state in the same commit.
    pub fn save(&mut self, save: &Save<'_>, base: Base, mark: Arc<Mark>, flat: Flat) -> Result<()> {
        save.check(&flat)?;
        let (name, justification) = (save.name.to_owned(), save.justification.to_owned());
        if self.saves.iter().any(|saved| saved.name == name) {
            let what = format!("{name:?} is saved in this transaction already");
            return Err(Error::new("name-taken", what).with("name", name));
        }
        let origin = save.origin.clone();
        self.saves.push(Saved { name, justification, origin, base, mark, flat });
        Ok(())
    }
}

impl Space {
    fn put(&mut self, kind: &str, id: &DocumentId, document: &Document) {
        self.writes.insert(document_key(kind, id), Some(document.encode()));
        for (key, value) in document.leading(kind, id) {
            self.writes.insert(key, Some(value));
        }
    }

    /// Removes what leads to a document.
    fn cut(&mut self, kind: &str, id: &DocumentId, document: &Document) {
        for (key, _) in document.leading(kind, id) {
            self.writes.insert(key, None);
        }
    }
}

/// When something ends that begins now; 0 for never.
fn ends(now_ns: u64, ttl_ns: Option<u64>) -> u64 {
    ttl_ns.map_or(0, |ttl_ns| now_ns.saturating_add(ttl_ns))
}

/// The range of keys with a prefix.
fn within(prefix: &[u8], range: &Range) -> Range {
    let longer = |rest: &Vec<u8>| [prefix, rest].concat();
    let end = range.end.as_ref().map_or_else(|| Range::prefix(prefix).end, |end| Some(longer(end)));
    Range { start: longer(&range.start), end }
}
