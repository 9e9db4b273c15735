//! An index that many threads search while one writes.
//!
//! Searches share a lock; a writer takes it for itself only to put what it made beforehand.

use super::kept;
use super::kernel::Floats;
use super::metric::Metric;
use super::scan::{self, Codes};
use super::slots::Slots;
use super::table::Table;
use super::walk::Walk;
use super::web::Web;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Which structure answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// All rows as they are.
    Exact,
    /// All rows in eight bits, then the best of them as they are.
    Int8,
    /// All rows by their signs, the best of them in eight bits, the best of those as they are; where
    /// signs do not tell enough, as `Int8`.
    Signs,
    /// Along the links of a graph, the best found in eight bits, the best of those as they are.
    Hnsw,
    /// Whichever is fastest at this size.
    Auto,
}

/// Below this many vectors quantised ones are not faster.
const FEW: usize = 300;
/// With fewer components eight bits take hardly less room, and cannot tell many vectors apart.
const FEW_COMPONENTS: usize = 33;

impl Plan {
    /// The plan of a name.
    pub fn named(name: &str) -> Result<Plan> {
        match name {
            "exact" => Ok(Plan::Exact),
            "int8" => Ok(Plan::Int8),
            "signs" => Ok(Plan::Signs),
            "hnsw" => Ok(Plan::Hnsw),
            "auto" => Ok(Plan::Auto),
            _ => Err(Error::new("vector-setting", format!("there is no plan {name:?}"))),
        }
    }

    /// Whether signs are of use.
    fn signs(self) -> bool {
        matches!(self, Plan::Signs | Plan::Auto)
    }

    /// Whether `rows` are to be quantised.
    fn codes(self, rows: usize, dimension: usize) -> bool {
        match self {
            _ if dimension < FEW_COMPONENTS => false,
            Plan::Exact => false,
            Plan::Int8 | Plan::Signs | Plan::Hnsw => true,
            Plan::Auto => rows >= FEW,
        }
    }
}

/// Vectors by label, and what makes searching them fast.
#[derive(Debug)]
pub struct Index {
    dimension: usize,
    metric: Metric,
    plan: Plan,
    /// Held by a writer from beginning to end, without keeping searches off.
    writing: Mutex<()>,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    table: Table,
    codes: Option<Codes>,
    /// Another one after each change, in all indexes: tells a subset that its slots are old.
    version: u64,
}

fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a search gives for one query: labels and scores, the nearest first.
pub type Found = Vec<(u64, f32)>;

/// Puts vectors, one a label.
pub type Putting<'a> = &'a mut dyn FnMut(&[u64], &[f32]) -> Result<()>;

/// What an index holds.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// How many vectors.
    pub vectors: usize,
    /// Bytes of memory.
    pub size_bytes: usize,
    /// What answers a search at present.
    pub method: &'static str,
}

impl Index {
    /// An empty one.
    pub fn new(dimension: usize, metric: Metric, plan: Plan) -> Result<Index> {
        let state =
            State { table: Table::new(dimension, metric)?, codes: None, version: next_version() };
        Ok(Index { dimension, metric, plan, writing: Mutex::new(()), state: RwLock::new(state) })
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Puts vectors, one a label; a label that is there gets a new one. All or none.
    pub fn insert(&self, labels: &[u64], vectors: &[f32]) -> Result<()> {
        let rows = self.prepared(vectors, Some(labels.len()))?;
        let _writing = self.writing();
        self.put(labels, &rows)?;
        self.settle();
        Ok(())
    }

    /// The same of `count` or so, piece by piece as `pieces` puts them: what makes searches fast is
    /// made once, behind the last. What was put before an error stays.
    pub fn fill(&self, count: usize, pieces: impl FnOnce(Putting<'_>) -> Result<()>) -> Result<()> {
        let _writing = self.writing();
        self.write().table.reserve(count)?;
        pieces(&mut |labels, vectors| {
            self.put(labels, &self.prepared(vectors, Some(labels.len()))?)
        })?;
        self.settle();
        Ok(())
    }

    fn put(&self, labels: &[u64], rows: &[Floats]) -> Result<()> {
        let mut state = self.write();
        state.table.reserve(labels.len())?;
        state.version = next_version();
        for (&label, row) in labels.iter().zip(rows.chunks_exact(self.dimension.div_ceil(16))) {
            state.replace(label, row);
        }
        Ok(())
    }

    /// The graph as bytes, to be kept until [`Index::with_graph`]; None where it has ways over vectors
    /// that were taken out, or where there is none.
    pub fn graph_bytes(&self) -> Option<Vec<u8>> {
        let state = self.read();
        kept::to_bytes(state.codes.as_ref()?.web()?.whole()?, &state.table)
    }

    /// An index along a graph that was kept, of the vectors that it had; nothing is linked anew.
    pub fn with_graph(
        dimension: usize,
        metric: Metric,
        labels: &[u64],
        vectors: &[f32],
        bytes: &[u8],
    ) -> Result<Index> {
        let index = Index::new(dimension, metric, Plan::Hnsw)?;
        index.put(labels, &index.prepared(vectors, Some(labels.len()))?)?;
        let graph = kept::from_bytes(bytes, &index.read().table)?;
        index.quantise();
        if let Some(codes) = &mut index.write().codes {
            codes.set_web(Web::with(graph));
        }
        index.settle();
        Ok(index)
    }

    /// Takes vectors out; gives how many were there.
    pub fn delete(&self, labels: &[u64]) -> usize {
        let _writing = self.writing();
        let mut state = self.write();
        state.version = next_version();
        let gone = labels.iter().filter(|&&label| state.remove(label)).count();
        drop(state);
        self.settle();
        gone
    }

    /// The nearest vectors to each query, at most `k`, of those that `subset` has.
    ///
    /// `recall` is the share of them that is to be found on average.
    pub fn search(
        &self,
        queries: &[f32],
        k: usize,
        recall: f32,
        subset: Option<&Subset>,
    ) -> Result<Vec<Found>> {
        check_recall(recall)?;
        let rows = self.prepared(queries, None)?;
        let state = self.read();
        let subset = subset.map(|subset| subset.slots(&state));
        Ok(state.search(&rows, k, recall, subset.as_deref()))
    }

    /// The nearest vectors to one query, of those in some slots.
    pub fn search_in(
        &self,
        query: &[f32],
        k: usize,
        recall: f32,
        slots: Option<&Slots>,
    ) -> Result<Found> {
        check_recall(recall)?;
        let row = self.prepared(query, Some(1))?;
        Ok(self.read().search(&row, k, recall, slots).pop().unwrap_or_default())
    }

    /// What it holds at present, and what a search for this recall does.
    pub fn stats(&self, recall: f32) -> Stats {
        let state = self.read();
        let codes = state.codes.as_ref();
        Stats {
            vectors: state.table.count(),
            size_bytes: state.table.size_bytes() + codes.map_or(0, Codes::size_bytes),
            method: codes.map_or("exact", |codes| codes.method(&state.table, recall)),
        }
    }

    /// How many vectors there are.
    pub fn count(&self) -> usize {
        self.read().table.count()
    }

    /// Whether a label has a vector.
    pub fn has(&self, label: u64) -> bool {
        self.read().table.slot(label).is_some()
    }

    /// Where the vector of a label lies, as long as the label has one.
    pub fn slot(&self, label: u64) -> Option<u32> {
        self.read().table.slot(label)
    }

    /// Checks vectors and makes rows of them; `count` is how many there must be.
    fn prepared(&self, vectors: &[f32], count: Option<usize>) -> Result<Vec<Floats>> {
        let given = vectors.len() / self.dimension;
        if count.is_some_and(|count| count != given) || given * self.dimension != vectors.len() {
            return Err(Error::new("vector-dimension", "the vectors are of another dimension")
                .with("dimension", self.dimension as u64));
        }
        let mut rows = Vec::with_capacity(given * self.dimension.div_ceil(16));
        for (at, vector) in vectors.chunks_exact(self.dimension).enumerate() {
            let made = self.metric.prepare(vector, &mut rows);
            made.map_err(|error| error.with("vector", at as u64))?;
        }
        Ok(rows)
    }

    /// Makes anew what is of other vectors by now, and links what is not linked yet.
    fn settle(&self) {
        self.quantise();
        if self.plan == Plan::Hnsw {
            self.link();
        }
    }

    /// Quantises anew where so much has changed that mean and calibration are of other vectors.
    fn quantise(&self) {
        let state = self.read();
        let wanted = self.plan.codes(state.table.count(), self.dimension);
        let codes = match &state.codes {
            Some(codes) if wanted && !codes.is_stale(&state.table) => return,
            None if !wanted => return,
            _ => wanted.then(|| Codes::build(&state.table, self.plan.signs())),
        };
        drop(state);
        let mut state = self.write();
        let web = std::mem::replace(&mut state.codes, codes).and_then(|mut old| old.take_web());
        if self.plan == Plan::Hnsw {
            state.weave(web);
        }
    }

    /// Links a few slots at a time, so that searches need not wait for all.
    fn link(&self) {
        self.write().mend();
        let mut walk = Walk::default();
        while self.write().codes.as_mut().is_some_and(|codes| codes.link(&mut walk)) {}
        let state = self.read();
        let measured = state.codes.as_ref().and_then(|codes| codes.measured(&state.table));
        drop(state);
        if let Some(recalls) = measured {
            self.write().codes.as_mut().into_iter().for_each(|codes| codes.keep(&recalls));
        }
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_recall(recall: f32) -> Result<()> {
    match recall > 0.0 && recall <= 1.0 {
        true => Ok(()),
        false => Err(Error::new("vector-setting", "a recall is above 0 and at most 1")),
    }
}

impl State {
    fn search(
        &self,
        rows: &[Floats],
        k: usize,
        recall: f32,
        allowed: Option<&Slots>,
    ) -> Vec<Found> {
        let k = k.min(allowed.map_or(self.table.count(), Slots::count));
        let wish = scan::Wish { k, recall, allowed };
        let queries = rows.chunks_exact(self.table.lines());
        scan::with_room(|room| {
            let codes = self.codes.as_ref();
            queries.map(|query| scan::search(&self.table, codes, query, wish, room)).collect()
        })
    }

    fn replace(&mut self, label: u64, row: &[Floats]) {
        self.remove(label);
        let slot = self.table.put(label, row);
        if let Some(codes) = &mut self.codes {
            codes.put(slot, row);
        }
    }

    fn remove(&mut self, label: u64) -> bool {
        let Some(slot) = self.table.take(label) else {
            return false;
        };
        if self.codes.as_mut().is_none_or(|codes| codes.remove(slot)) {
            self.table.release(slot);
        }
        true
    }

    /// Goes on with a graph, or begins one; without codes none is of use.
    fn weave(&mut self, web: Option<Web>) {
        match &mut self.codes {
            Some(codes) => codes.set_web(web.unwrap_or_else(|| Web::new(&self.table))),
            None => self.free(web),
        }
    }

    /// Begins the graph anew where most of it is of vectors that are gone.
    fn mend(&mut self) {
        let Some(codes) = &mut self.codes else { return };
        if codes.web().is_some_and(|web| web.is_worn(&self.table)) {
            let worn = codes.take_web();
            codes.set_web(Web::new(&self.table));
            self.free(worn);
        }
    }

    fn free(&mut self, web: Option<Web>) {
        web.into_iter().flat_map(Web::into_dead).for_each(|slot| self.table.release(slot));
    }
}

/// A set of labels that searches are narrowed to.
///
/// Finding their slots takes longer than a search, so they are kept until the index changes.
#[derive(Debug)]
pub struct Subset {
    labels: Vec<u64>,
    /// Of the index in that version.
    found: Mutex<Option<(u64, Arc<Slots>)>>,
}

impl Subset {
    /// Lets through what has one of these labels; one that no vector has lets through nothing.
    pub fn new(labels: Vec<u64>) -> Subset {
        Subset { labels, found: Mutex::new(None) }
    }

    fn slots(&self, state: &State) -> Arc<Slots> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, slots)) = &*found
            && *version == state.version
        {
            return slots.clone();
        }
        let mut slots = Slots::default();
        self.labels
            .iter()
            .filter_map(|&label| state.table.slot(label))
            .for_each(|slot| slots.add(slot));
        let slots = Arc::new(slots);
        *found = Some((state.version, slots.clone()));
        slots
    }
}
