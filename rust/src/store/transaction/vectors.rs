//! Vectors of documents in a transaction.
//!
//! A vector belongs to a document, and goes with it: whoever removes a document writes the keys of its
//! vectors in all spaces, and whoever embeds one has read it. A search has read what it found, and not
//! what it did not find: memories that others add meanwhile make no conflict, although with them it
//! might have found others. A search finds a share of the nearest anyway, and one that conflicted with
//! every addition would keep agents that recall and remember at once from ever committing.

use super::{At, Space, Transaction};
use crate::error::{Error, Result};
use crate::ledger::hex;
use crate::store::Store;
use crate::store::documents::{DocumentId, document_key, documents_prefix};
use crate::store::sets::{Similar, Wish};
use crate::store::snapshot::Pinned;
use crate::store::vectors::{
    Embedded, Records, SPACES, Spaces, VectorSpace, check_space, keys_of, place, space_key, spaces,
    vectors_prefix, vectors_range,
};
use crate::store::view::View;
use crate::tree::{Order, Range};
use crate::vector::{Index, Metric, Plan, Slots};
use std::collections::BTreeSet;

/// Spaces of a namespace: whoever removes a document looks into each.
const MAX_SPACES: usize = 64;

/// What a search for near documents is to find.
#[derive(Debug, Clone)]
pub struct Near {
    /// A vector of the space's dimension, of any length but none.
    pub query: Vec<f32>,
    /// How many at most.
    pub k: usize,
    /// Which share of the nearest is to be found, on average.
    pub recall: f32,
    /// The classes that may be found.
    pub visible: Vec<u8>,
    /// Only these may be found; None for all.
    pub within: Option<BTreeSet<DocumentId>>,
}

/// What a transaction has written of the vectors of a space.
#[derive(Debug, Default)]
struct Own {
    /// The documents that it concerns.
    ids: BTreeSet<DocumentId>,
    /// Those with a vector; its class and expiry.
    rows: Vec<(DocumentId, u8, u64)>,
    /// Their vectors.
    vectors: Vec<f32>,
}

impl Transaction {
    /// The spaces of a namespace.
    pub fn vector_spaces(&mut self, store: &Store, name: usize) -> Result<Spaces> {
        let (space, view) = self.space(name)?;
        space.known_spaces(store, &view).cloned()
    }

    /// Declares a space; one that is there must be the same.
    pub fn declare_space(
        &mut self,
        store: &Store,
        name: usize,
        vectors: &str,
        declared: VectorSpace,
    ) -> Result<()> {
        check_space(vectors)?;
        let (space, view) = self.space(name)?;
        let known = space.known_spaces(store, &view)?;
        if let Some(known) = known.get(vectors) {
            return match *known == declared {
                true => Ok(()),
                false => Err(mismatch(vectors, known, &declared)),
            };
        }
        if known.len() >= MAX_SPACES {
            let what = format!("a namespace has at most {MAX_SPACES} spaces");
            return Err(Error::new("vector-setting", what));
        }
        space.writes.insert(space_key(vectors), Some(declared.encode()));
        let model = declared.model.clone();
        space.spaces.get_or_insert_default().insert(vectors.to_owned(), declared);
        self.note_space("space", name, vectors, &model)
    }

    /// Removes a space with all its vectors.
    pub fn drop_space(&mut self, store: &Store, name: usize, vectors: &str) -> Result<()> {
        let (space, view) = self.space(name)?;
        if !space.known_spaces(store, &view)?.contains_key(vectors) {
            return Err(unknown_space(vectors));
        }
        let all = (&vectors_range(vectors), Order::Ascending, usize::MAX);
        let keys = space.keys(store, &view, all)?.into_iter().chain([space_key(vectors)]);
        space.writes.extend(keys.map(|key| (key, None)));
        space.spaces.get_or_insert_default().remove(vectors);
        self.note_space("drop", name, vectors, "")
    }

    /// Gives the vectors of a document another class, in all spaces.
    pub fn reclass(
        &mut self,
        store: &Store,
        name: usize,
        id: &DocumentId,
        class: u8,
    ) -> Result<()> {
        let (space, view) = self.space(name)?;
        space.revise_vectors(store, &view, id, &|found| Embedded { class, ..found })
    }

    /// Gives a document its vector in a space, or another one.
    pub fn embed(
        &mut self,
        store: &Store,
        (name, vectors): (usize, &str),
        id: DocumentId,
        class: u8,
        vector: &[f32],
    ) -> Result<()> {
        let (space, view) = self.space(name)?;
        let declared = space.known_spaces(store, &view)?.get(vectors).cloned();
        let declared = declared.ok_or_else(|| unknown_space(vectors))?;
        let embedded = Embedded { class, ..Embedded::new(&declared, vector)? };
        let kind = space.kind_of(store, &view, &id)?;
        let is_new = kind.as_ref().is_some_and(|kind| space.has_written(kind, &id));
        let document = match kind {
            Some(kind) => self.get(store, name, &kind, &id)?,
            None => None,
        };
        let expires_ns = document.ok_or_else(|| unknown_document(&id))?.expires_ns;
        let (space, _) = self.space(name)?;
        space.put_vector(vectors, &declared, &id, &Embedded { expires_ns, ..embedded });
        // What is stored in the same breath has an entry that says so.
        if is_new { Ok(()) } else { self.note_space("embed", name, vectors, "") }
    }

    /// Equal ones in a row are one entry.
    fn note_space(
        &mut self,
        operation: &'static str,
        name: usize,
        vectors: &str,
        justification: &str,
    ) -> Result<()> {
        let is_same = self.noted.last().is_some_and(|last| {
            (last.operation, last.place, last.memory_type.as_str()) == (operation, name, vectors)
        });
        if !is_same {
            let agent_id = self.space(name)?.0.name.clone();
            let at = At { name, kind: vectors, agent_id: &agent_id, justification };
            self.note(operation, at, None);
        }
        self.noted.last_mut().into_iter().for_each(|noted| noted.count += 1);
        Ok(())
    }

    /// The documents nearest to a query, nearest first, with cosines; equally near ones by id. None
    /// are in a space that was not declared.
    pub fn similar(
        &mut self,
        store: &Store,
        (name, vectors): (usize, &str),
        near: &Near,
    ) -> Result<Similar> {
        check_space(vectors)?;
        let now_ns = self.now_ns(store)?;
        let Near { query, k, recall, visible, within } = near;
        let (k, recall, within) = (*k, *recall, within.as_ref());
        let wish = Wish { query, k, recall, visible, within, now_ns };
        let (space, view) = self.space(name)?;
        let own = space.own_vectors(store, &view, vectors)?;
        let mut found = match space.writes.contains_key(&space_key(vectors)) {
            true => Similar::new(), // it has only what this transaction put there
            false => space.similar_others(store, &view, vectors, &wish, &own.ids)?,
        };
        let first = |id: &DocumentId| [&vectors_prefix(vectors), id.as_slice(), &[0]].concat();
        space.reads.keys.extend(found.iter().map(|(id, _)| first(id)));
        if let Some(declared) = space.spaces.as_ref().and_then(|known| known.get(vectors)) {
            found.extend(own.similar(declared, &wish)?);
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(k);
        Ok(found)
    }
}

impl Space {
    /// The spaces that vectors lie in.
    fn known_spaces(&mut self, store: &Store, view: &View) -> Result<&Spaces> {
        if self.spaces.is_none() {
            // Nothing of its own is among them: who declares one asks here before.
            let found = self.read(store, view, |map, nodes| spaces(nodes, map))?;
            self.reads.ranges.push(Range::prefix(SPACES));
            self.spaces = found;
        }
        Ok(self.spaces.get_or_insert_default())
    }

    fn has_written(&self, kind: &str, id: &DocumentId) -> bool {
        self.writes.contains_key(&document_key(kind, id))
    }

    /// The type of a document, by its id alone.
    fn kind_of(&mut self, store: &Store, view: &View, id: &DocumentId) -> Result<Option<String>> {
        if let Some(kind) = self.kinds.get(id) {
            return Ok(Some(kind.clone()));
        }
        // Types are few: each is looked at, from its first document to behind its last.
        let mut range = Range::prefix(b"d");
        while let Some(key) = self.first_key(store, view, &range)? {
            let kind = key.get(1..key.len().saturating_sub(17));
            let kind = kind.and_then(|kind| std::str::from_utf8(kind).ok());
            let kind = kind.ok_or_else(|| Error::new("malformed", "a document has a wrong key"))?;
            if self.get(store, view, document_key(kind, id))?.is_some() {
                self.kinds.insert(*id, kind.to_owned());
                return Ok(Some(kind.to_owned()));
            }
            let behind = Range::prefix(&documents_prefix(kind)).end;
            range.start = behind.unwrap_or_default();
        }
        Ok(None)
    }

    /// The first key of a range on disk. What is found by it is read after, so it is not noted.
    fn first_key(&self, store: &Store, view: &View, range: &Range) -> Result<Option<Vec<u8>>> {
        let found =
            self.read(store, view, |map, nodes| map.range(nodes, range, Order::Ascending, 1));
        Ok(found?.unwrap_or_default().pop().map(|entry| entry.key))
    }

    fn put_vector(&mut self, name: &str, space: &VectorSpace, id: &DocumentId, vector: &Embedded) {
        let parts = vector.encode().into_iter().map(Some);
        self.writes.extend(space.keys(name, id).zip(parts));
    }

    /// Removes the vectors of a document.
    pub(super) fn cut_vectors(
        &mut self,
        store: &Store,
        view: &View,
        id: &DocumentId,
    ) -> Result<()> {
        let keys: Vec<_> = keys_of(self.known_spaces(store, view)?, id).collect();
        self.writes.extend(keys.into_iter().map(|key| (key, None)));
        Ok(())
    }

    /// Gives the vectors of a document another time to live.
    pub(super) fn age_vectors(
        &mut self,
        store: &Store,
        view: &View,
        id: &DocumentId,
        expires_ns: u64,
    ) -> Result<()> {
        self.revise_vectors(store, view, id, &|found| Embedded { expires_ns, ..found })
    }

    /// Changes what the vectors of a document come with.
    fn revise_vectors(
        &mut self,
        store: &Store,
        view: &View,
        id: &DocumentId,
        revised: &dyn Fn(Embedded) -> Embedded,
    ) -> Result<()> {
        for (name, space) in self.known_spaces(store, view)?.clone() {
            let parts = self.get_all(store, view, space.keys(&name, id).collect())?;
            let (mut records, mut vector) = (Records::new(&name, &space), Vec::new());
            let mut row = None;
            for (key, part) in &parts {
                row = records.part(key, part, &mut vector)?;
            }
            records.done()?;
            if let Some((_, class, expires_ns)) = row {
                let found = Embedded { class, expires_ns, vector };
                self.put_vector(&name, &space, id, &revised(found));
            }
        }
        Ok(())
    }

    /// What this transaction has written of a space's vectors.
    fn own_vectors(&mut self, store: &Store, view: &View, name: &str) -> Result<Own> {
        let (mut own, prefix) = (Own::default(), vectors_prefix(name));
        let written = self.writes.range(prefix.clone()..).next();
        if written.is_none_or(|(key, _)| !key.starts_with(&prefix)) {
            return Ok(own);
        }
        let declared = self.known_spaces(store, view)?.get(name).cloned();
        let Some(declared) = declared else { return Ok(own) };
        let mut records = Records::new(name, &declared);
        let written = self.writes.range(prefix.clone()..);
        for (key, part) in written.take_while(|(key, _)| key.starts_with(&prefix)) {
            own.ids.insert(place(&prefix, key)?.0);
            if let Some(part) = part {
                own.rows.extend(records.part(key, part, &mut own.vectors)?);
            }
        }
        records.done()?;
        Ok(own)
    }

    /// What is near in the commit that was the newest when this began, but for some ids.
    fn similar_others(
        &self,
        store: &Store,
        view: &View,
        name: &str,
        wish: &Wish<'_>,
        hidden: &BTreeSet<DocumentId>,
    ) -> Result<Similar> {
        store.usable()?;
        let Some(agent) = &self.agent else { return Ok(Similar::new()) };
        let nodes = Pinned { store, view, sealer: &agent.sealer };
        store.with_set(agent, name, &nodes, |set| set.search(wish, hidden))
    }
}

impl Own {
    fn similar(&self, space: &VectorSpace, wish: &Wish<'_>) -> Result<Similar> {
        let index = Index::new(space.dimension, Metric::Cosine, Plan::Exact)?;
        let labels: Vec<_> = (0..self.rows.len() as u64).collect();
        index.insert(&labels, &self.vectors)?;
        let mut slots = Slots::default();
        for (label, (id, class, expires_ns)) in self.rows.iter().enumerate() {
            let asked = wish.within.is_none_or(|within| within.contains(id));
            if asked && wish.sees(*class, *expires_ns) {
                slots.add(index.slot(label as u64).unwrap_or_default());
            }
        }
        let found = index.search_in(wish.query, wish.k, wish.recall, Some(&slots))?;
        let named = |(label, cosine): (u64, f32)| {
            let row = usize::try_from(label).ok().and_then(|label| self.rows.get(label));
            row.map(|(id, ..)| (*id, cosine))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }
}

fn unknown_space(name: &str) -> Error {
    let what = format!("no space {name:?} was declared here: declare it with its model first");
    Error::new("unknown-space", what).with("space", name)
}

fn unknown_document(id: &DocumentId) -> Error {
    let id = hex(id);
    Error::new("unknown-document", format!("there is no document {id} here")).with("document", id)
}

fn mismatch(name: &str, known: &VectorSpace, declared: &VectorSpace) -> Error {
    let what = format!(
        "the space {name:?} holds vectors of {:?} with {} components: those of {:?} with {} are \
         not comparable with them; use another space, or embed all anew",
        known.model, known.dimension, declared.model, declared.dimension
    );
    Error::new("embedder-mismatch", what)
        .with("space", name)
        .with("model", known.model.clone())
        .with("dimension", known.dimension as u64)
}
