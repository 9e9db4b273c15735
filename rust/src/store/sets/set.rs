//! The vectors of one space in memory, as one commit has them.

use super::Wish;
use crate::error::Result;
use crate::store::documents::DocumentId;
use crate::store::vectors::{
    Records, VectorSpace, place, space_key, vectors_prefix, vectors_range,
};
use crate::tree::{Map, Nodes, Range, changed_in};
use crate::vector::{Index, Metric, Plan, Slots};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Vectors that are put at once while a set is filled: what they take meanwhile stays in the cache.
const PIECE: usize = 1024;
/// A set is read with room for an eighth more: the first vector beyond moves all of them.
const SPARE: usize = 8;
/// What a hash map and a tree take for a vector's place in them, about.
const PLACES_BYTES: usize = 64;

/// Ids, nearest first, with cosines.
pub type Similar = Vec<(DocumentId, f32)>;

/// One vector, by its label in the index.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    id: DocumentId,
    class: u8,
    expires_ns: u64,
}

/// The vectors of a space. It agrees with one map of the namespace, the empty one at first, and is
/// brought to others by what differs.
#[derive(Debug)]
pub struct Set {
    name: String,
    map: Map,
    /// None where the space was not declared.
    filled: Option<(VectorSpace, Index)>,
    rows: Vec<Row>,
    /// Rows of no vector.
    free: Vec<u32>,
    labels: HashMap<DocumentId, u32>,
    /// Where the vectors of each class lie.
    classes: BTreeMap<u8, Slots>,
    /// When vectors cease to be there.
    expiries: BTreeSet<(u64, u32)>,
}

impl Set {
    /// Of the space of this name in an empty map.
    pub fn new(name: &str) -> Self {
        Set {
            name: name.to_owned(),
            map: Map::default(),
            filled: None,
            rows: Vec::new(),
            free: Vec::new(),
            labels: HashMap::new(),
            classes: BTreeMap::new(),
            expiries: BTreeSet::new(),
        }
    }

    /// Whether it has what a map holds.
    pub fn agrees(&self, map: &Map) -> bool {
        let hash = |map: &Map| map.root.as_ref().map(|root| root.hash);
        hash(&self.map) == hash(map)
    }

    /// Brings it to a map, newer or older. After an error it is empty.
    pub fn bring(&mut self, nodes: &dyn Nodes, map: &Map) -> Result<()> {
        // What the old map needed may be deleted by now.
        if self.filled.is_some() && self.follow(nodes, map).is_ok_and(|followed| followed) {
            self.map = map.clone();
            return Ok(());
        }
        // Its memory first: both would take twice as much.
        *self = Set::new(&self.name);
        *self = Set::read(&self.name, nodes, map)?;
        Ok(())
    }

    /// Reads all of it.
    fn read(name: &str, nodes: &dyn Nodes, map: &Map) -> Result<Set> {
        let mut set = Set { map: map.clone(), ..Set::new(name) };
        let Some(space) = map.get(nodes, &space_key(name))? else { return Ok(set) };
        let space = VectorSpace::decode(&space)?;
        let index = Index::new(space.dimension, Metric::Cosine, Plan::Auto)?;
        let range = vectors_range(name);
        let count = usize::try_from(map.count(nodes, &range)?).unwrap_or(usize::MAX);
        let mut records = Records::new(name, &space);
        let count = count / space.parts();
        index.fill(count.saturating_add(count / SPARE), |put| {
            let (mut labels, mut vectors) = (Vec::new(), Vec::new());
            map.visit(nodes, &range, &mut |key, value, _| {
                if let Some((id, class, expires_ns)) = records.part(key, value, &mut vectors)? {
                    labels.push(u64::from(set.add(Row { id, class, expires_ns })));
                }
                if labels.len() == PIECE {
                    put(&labels, &vectors)?;
                    labels.clear();
                    vectors.clear();
                }
                Ok(())
            })?;
            put(&labels, &vectors)
        })?;
        records.done()?;
        (0..set.rows.len() as u32).for_each(|label| set.place(&index, label));
        set.filled = Some((space, index));
        Ok(set)
    }

    /// Takes over what differs from its own map; false if that cannot be.
    fn follow(&mut self, nodes: &dyn Nodes, map: &Map) -> Result<bool> {
        let Some((space, index)) = self.filled.take() else { return Ok(false) };
        let (prefix, declared) = (vectors_prefix(&self.name), Range::key(&space_key(&self.name)));
        let ranges = [declared, vectors_range(&self.name)];
        let changed = changed_in(nodes, &self.map, map, &ranges)?;
        let mut parts: BTreeMap<_, _> = changed.into_iter().collect();
        if parts.keys().any(|key| !key.starts_with(&prefix)) {
            return Ok(false); // its vectors are of another model now
        }
        let ids = parts.keys().map(|key| Ok(place(&prefix, key)?.0));
        let ids = ids.collect::<Result<BTreeSet<_>>>()?;
        let gone: Vec<_> = ids.iter().filter_map(|id| self.remove(&index, id)).collect();
        index.delete(&gone);
        // Of a vector that has become another one, a part may be as it was.
        let keys = ids.iter().flat_map(|id| space.keys(&self.name, id));
        let same: Vec<_> = keys.filter(|key| !parts.contains_key(key)).collect();
        let same_parts = map.get_all(nodes, &same)?;
        parts.extend(same.into_iter().zip(same_parts));
        let mut records = Records::new(&self.name, &space);
        let (mut labels, mut vectors) = (Vec::new(), Vec::new());
        for (key, value) in parts {
            let Some(value) = value else { continue };
            if let Some((id, class, expires_ns)) =
                records.part(&key, &value.inline, &mut vectors)?
            {
                labels.push(self.add(Row { id, class, expires_ns }));
            }
        }
        records.done()?;
        index.insert(&labels.iter().copied().map(u64::from).collect::<Vec<_>>(), &vectors)?;
        labels.into_iter().for_each(|label| self.place(&index, label));
        self.filled = Some((space, index));
        Ok(true)
    }

    /// A label for a vector.
    fn add(&mut self, row: Row) -> u32 {
        let label = self.free.pop().unwrap_or(self.rows.len() as u32);
        match self.rows.get_mut(label as usize) {
            Some(free) => *free = row,
            None => self.rows.push(row),
        }
        self.labels.insert(row.id, label);
        label
    }

    /// Notes where the index has put a vector.
    fn place(&mut self, index: &Index, label: u32) {
        let Some(row) = self.rows.get(label as usize) else { return };
        let slots = self.classes.entry(row.class).or_default();
        index.slot(u64::from(label)).into_iter().for_each(|slot| slots.add(slot));
        if row.expires_ns > 0 {
            self.expiries.insert((row.expires_ns, label));
        }
    }

    /// Takes out what leads to a vector that is still in the index; gives its label there.
    fn remove(&mut self, index: &Index, id: &DocumentId) -> Option<u64> {
        let label = self.labels.remove(id)?;
        let row = self.rows.get(label as usize)?;
        if let (Some(slots), Some(slot)) =
            (self.classes.get_mut(&row.class), index.slot(u64::from(label)))
        {
            slots.drop(slot);
        }
        self.expiries.remove(&(row.expires_ns, label));
        self.free.push(label);
        Some(u64::from(label))
    }

    /// The nearest to a query that may be found; `hidden` are not, nor what has expired.
    pub fn search(&self, wish: &Wish<'_>, hidden: &BTreeSet<DocumentId>) -> Result<Similar> {
        let Some((_, index)) = &self.filled else { return Ok(Similar::new()) };
        let allowed = match wish.within {
            Some(ids) => Some(self.within(index, ids, wish, hidden)),
            None => self.visible(index, wish, hidden),
        };
        let found = index.search_in(wish.query, wish.k, wish.recall, allowed.as_ref())?;
        let named = |(label, cosine): (u64, f32)| {
            let row = usize::try_from(label).ok().and_then(|label| self.rows.get(label));
            row.map(|row| (row.id, cosine))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }

    /// Where those of some ids lie that may be found.
    fn within(
        &self,
        index: &Index,
        ids: &BTreeSet<DocumentId>,
        wish: &Wish<'_>,
        hidden: &BTreeSet<DocumentId>,
    ) -> Slots {
        let mut slots = Slots::default();
        for id in ids {
            let Some(label) = self.labels.get(id) else { continue };
            let sees = self.rows.get(*label as usize).is_some_and(|row| {
                wish.sees(row.class, row.expires_ns) && !hidden.contains(&row.id)
            });
            let slot = index.slot(u64::from(*label)).filter(|_| sees);
            slot.into_iter().for_each(|slot| slots.add(slot));
        }
        slots
    }

    /// Where those lie that may be found; None if those are all.
    fn visible(
        &self,
        index: &Index,
        wish: &Wish<'_>,
        hidden: &BTreeSet<DocumentId>,
    ) -> Option<Slots> {
        let expired = self.expiries.range(..(wish.now_ns.saturating_add(1), 0));
        let hidden = hidden.iter().filter_map(|id| self.labels.get(id));
        let mut left_out = expired.map(|(_, label)| label).chain(hidden).peekable();
        let sees =
            |(class, slots): &(&u8, &Slots)| wish.visible.contains(class) || slots.count() == 0;
        if left_out.peek().is_none() && self.classes.iter().all(|class| sees(&class)) {
            return None;
        }
        let mut slots = Slots::default();
        let seen = self.classes.iter().filter(|class| sees(class));
        seen.for_each(|(_, of_class)| slots.join(of_class));
        for label in left_out {
            index.slot(u64::from(*label)).into_iter().for_each(|slot| slots.drop(slot));
        }
        Some(slots)
    }

    /// Bytes of memory, about.
    pub fn size_bytes(&self) -> usize {
        let index = self.filled.as_ref().map_or(0, |(_, index)| index.stats(1.0).size_bytes);
        index + self.rows.capacity() * (size_of::<Row>() + PLACES_BYTES)
    }
}
