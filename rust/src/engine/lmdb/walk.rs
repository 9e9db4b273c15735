//! A walk of every page of one tree, held to what the tree's record says of it.

use super::file::Pages;
use super::page::{
    BIG, BRANCH, Counts, DATABASE, Database, HEADER_BYTES, LEAF, Node, Page, damaged, run_pages,
    u64_at,
};
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Pages read at once where they follow each other.
const PAGES_TOGETHER: usize = 16;
/// LMDB's cursors hold no more levels.
pub const MAX_DEPTH: u16 = 32;
/// Overflow runs whose headers are read together, in the order of the file.
const RUNS_TOGETHER: usize = 1 << 16;
/// Branches with so many pages below them are walked by several threads.
const TASKS_TO_SHARE: usize = 256;
/// Reading from memory is the limit, which few of them reach.
const MAX_THREADS: usize = 8;
/// Bytes of a list of free pages read together.
const LIST_BYTES: usize = 1 << 16;

/// What a tree's keys and data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Transaction -> pages that it freed.
    Free,
    /// Name -> database.
    Main,
    /// Bytes -> bytes.
    Named,
}

impl Kind {
    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Kind::Free => u64_at(a, 0).cmp(&u64_at(b, 0)),
            Kind::Main | Kind::Named => a.cmp(b),
        }
    }
}

/// A page to be read, and the keys that it may hold: from `lower`, below `upper`.
#[derive(Clone)]
struct Task {
    number: u64,
    level: u16,
    lower: Option<Arc<[u8]>>,
    upper: Option<Arc<[u8]>>,
}

/// Walks the main tree and gives the databases that it names.
pub fn main(pages: &Pages<'_>, main: &Database) -> Result<Vec<(Vec<u8>, Database)>> {
    tree(pages, Kind::Main, main).map(|walked| walked.databases)
}

/// Walks the tree of a named database.
pub fn named(pages: &Pages<'_>, database: &Database) -> Result<()> {
    tree(pages, Kind::Named, database).map(drop)
}

/// Walks the free pages, which must be no others than those met before; gives the last transaction
/// that freed some.
pub fn free(pages: &Pages<'_>, free: &Database) -> Result<Option<u64>> {
    tree(pages, Kind::Free, free).map(|walked| walked.newest_freed)
}

fn tree<'a>(pages: &'a Pages<'a>, kind: Kind, database: &Database) -> Result<Walk<'a>> {
    let wrong = |what| Err(Error::new("malformed", format!("a tree of data.mdb {what}")));
    if database.depth > MAX_DEPTH || (database.depth == 0) != database.root.is_none() {
        return wrong("has no sound record");
    }
    let mut walk = Walk::new(pages, kind, database.depth);
    let root = |number| Task { number, level: 1, lower: None, upper: None };
    let mut tasks: Vec<Task> = database.root.map(root).into_iter().collect();
    // A level at a time, until there is enough to share.
    while !tasks.is_empty() && tasks.len() < TASKS_TO_SHARE {
        let mut below = Vec::new();
        walk.pages(&tasks, &mut below)?;
        tasks = below;
    }
    for walked in shared(&walk, &tasks)? {
        walk.add(walked);
    }
    walk.meet_runs()?;
    if walk.counts == database.counts {
        return Ok(walk);
    }
    wrong("holds another number of pages or entries than its record says")
}

/// Each thread takes the next task and walks all that is below it.
fn shared<'a>(like: &Walk<'a>, tasks: &[Task]) -> Result<Vec<Walk<'a>>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut walk = Walk::new(like.file, like.kind, like.depth);
        while let Some(task) = tasks.get(next.fetch_add(1, Relaxed)) {
            walk.below(task)?;
        }
        walk.meet_runs().map(|()| walk)
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let died = |_| Error::new("store", "a thread that checked the data file died");
        let others = others.into_iter().map(|other| other.join().map_err(died)?);
        std::iter::once(own).chain(others).collect()
    })
}

/// What one thread found in one tree; a page met twice, by whomever, is an error.
struct Walk<'a> {
    file: &'a Pages<'a>,
    kind: Kind,
    depth: u16,
    counts: Counts,
    /// First page and bytes of the data.
    runs: Vec<(u64, u32)>,
    databases: Vec<(Vec<u8>, Database)>,
    newest_freed: Option<u64>,
    bytes: Vec<u8>,
    spans: Vec<(u16, u16)>,
}

impl<'a> Walk<'a> {
    fn new(file: &'a Pages<'a>, kind: Kind, depth: u16) -> Self {
        Walk {
            file,
            kind,
            depth,
            counts: Counts::default(),
            runs: Vec::new(),
            databases: Vec::new(),
            newest_freed: None,
            bytes: Vec::new(),
            spans: Vec::new(),
        }
    }

    fn add(&mut self, other: Walk<'_>) {
        self.counts.branches += other.counts.branches;
        self.counts.leaves += other.counts.leaves;
        self.counts.overflows += other.counts.overflows;
        self.counts.entries += other.counts.entries;
        self.databases.extend(other.databases);
        self.newest_freed = self.newest_freed.max(other.newest_freed);
    }

    fn below(&mut self, task: &Task) -> Result<()> {
        let mut tasks = vec![task.clone()];
        while let Some(last) = tasks.last() {
            // All leaves of a branch at once, and one branch at a time, so that few tasks wait.
            let level = last.level;
            let is_last = |task: &Task| level == self.depth && task.level == level;
            let count = tasks.iter().rev().take_while(|task| is_last(task)).count().max(1);
            let now = tasks.split_off(tasks.len() - count);
            self.pages(&now, &mut tasks)?;
            if self.runs.len() >= RUNS_TOGETHER {
                self.meet_runs()?;
            }
        }
        Ok(())
    }

    /// Checks pages of one level and adds what is below them to `below`.
    fn pages(&mut self, tasks: &[Task], below: &mut Vec<Task>) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        for run in tasks.chunk_by(|a, b| a.number.checked_add(1) == Some(b.number)) {
            for adjacent in run.chunks(PAGES_TOGETHER) {
                self.adjacent(adjacent, &mut bytes, below)?;
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The same of pages that follow each other in the file.
    fn adjacent(
        &mut self,
        tasks: &[Task],
        bytes: &mut Vec<u8>,
        below: &mut Vec<Task>,
    ) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        self.file.meet(first.number, tasks.len() as u64)?;
        self.file.read(first.number, tasks.len(), bytes)?;
        for (task, page) in tasks.iter().zip(bytes.chunks_exact(self.file.page_bytes())) {
            if task.level == self.depth {
                self.leaf(task, page)?;
            } else {
                self.branch(task, page, below)?;
            }
        }
        Ok(())
    }

    /// Adds a page's children to the tasks.
    fn branch(&mut self, task: &Task, bytes: &[u8], tasks: &mut Vec<Task>) -> Result<()> {
        self.counts.branches += 1;
        let kind = self.kind;
        let start = tasks.len();
        Page::parse(bytes, task.number, BRANCH)?.each(&mut self.spans, |index, node| {
            let lower = if index == 0 {
                task.lower.clone()
            } else {
                check_order(kind, task, tasks.get(start..), node.key)?;
                Some(Arc::from(node.key))
            };
            if let Some(before) = tasks.last_mut().filter(|_| index > 0) {
                before.upper.clone_from(&lower);
            }
            let (number, level, upper) = (node.child, task.level + 1, task.upper.clone());
            tasks.push(Task { number, level, lower, upper });
            Ok(())
        })
    }

    fn leaf(&mut self, task: &Task, bytes: &[u8]) -> Result<()> {
        self.counts.leaves += 1;
        let kind = self.kind;
        let page = Page::parse(bytes, task.number, LEAF)?;
        let mut spans = std::mem::take(&mut self.spans);
        let mut before = task.lower.as_deref();
        page.each(&mut spans, |index, node| {
            let ordering = before.map_or(Ordering::Less, |before| kind.compare(before, node.key));
            // A separator may equal the first key on its right.
            let sorted = ordering.is_lt() || (index == 0 && ordering.is_eq());
            if !sorted {
                return Err(damaged(task.number, "has keys out of order"));
            }
            before = Some(node.key);
            self.counts.entries += 1;
            self.entry(task.number, &node)
        })?;
        self.spans = spans;
        let last = page.last().map(|node| node.key);
        let is_below = |upper: &Arc<[u8]>| last.is_some_and(|key| kind.compare(key, upper).is_lt());
        if task.upper.as_ref().is_none_or(is_below) {
            return Ok(());
        }
        Err(damaged(task.number, "has keys of its neighbour"))
    }

    fn entry(&mut self, page: u64, node: &Node<'_>) -> Result<()> {
        match (self.kind, node.flags) {
            (Kind::Main, DATABASE) => {
                let database = Database::parse(node.data)
                    .ok_or_else(|| damaged(page, "has a database's record of a wrong size"))?;
                self.databases.push((node.key.to_vec(), database));
                Ok(())
            }
            (Kind::Named, 0) => Ok(()),
            (Kind::Named, BIG) => {
                self.runs.push((run_of(page, node)?, node.size));
                Ok(())
            }
            (Kind::Free, 0 | BIG) if node.key.len() == 8 => {
                self.newest_freed = self.newest_freed.max(u64_at(node.key, 0));
                self.freed(page, node)
            }
            _ => Err(damaged(page, "has an entry of a kind that does not belong there")),
        }
    }

    /// Meets the overflow runs found so far; their content is read by nobody here.
    fn meet_runs(&mut self) -> Result<()> {
        let mut runs = std::mem::take(&mut self.runs);
        runs.sort_unstable();
        for (first, size) in runs.drain(..) {
            self.meet_run(first, size)?;
        }
        self.runs = runs;
        Ok(())
    }

    fn meet_run(&mut self, first: u64, size: u32) -> Result<()> {
        let page_bytes = self.file.page_bytes() as u64;
        let needed = (HEADER_BYTES as u64 + u64::from(size)).div_ceil(page_bytes);
        let count = run_pages(&self.file.header(first)?, first)
            .filter(|count| *count >= needed)
            .ok_or_else(|| damaged(first, "does not begin the overflow run that it should"))?;
        self.counts.overflows += count;
        self.file.meet(first, count)
    }

    /// Meets the pages of one list: how many, then each, descending.
    fn freed(&mut self, page: u64, node: &Node<'_>) -> Result<()> {
        let mut list = FreeList { page, left: None, above: u64::MAX };
        if node.flags == 0 {
            list.add(node.data, self.file)?;
            return list.done();
        }
        let first = run_of(page, node)?;
        self.meet_run(first, node.size)?;
        let mut piece = vec![0; LIST_BYTES];
        let (mut at, mut left) = (HEADER_BYTES as u64, node.size as usize);
        while left > 0 && list.left != Some(0) {
            piece.truncate(left);
            self.file.read_at(first, at, &mut piece)?;
            list.add(&piece, self.file)?;
            at += piece.len() as u64;
            left -= piece.len();
        }
        list.done()
    }
}

fn check_order(kind: Kind, task: &Task, siblings: Option<&[Task]>, key: &[u8]) -> Result<()> {
    let before = siblings.and_then(<[Task]>::last).and_then(|before| before.lower.as_deref());
    let is_above = before.is_none_or(|before| kind.compare(before, key).is_lt());
    let is_below = task.upper.as_ref().is_none_or(|upper| kind.compare(key, upper).is_lt());
    let fits = kind != Kind::Free || key.len() == 8;
    if is_above && is_below && fits {
        return Ok(());
    }
    Err(damaged(task.number, "has separators out of order"))
}

fn run_of(page: u64, node: &Node<'_>) -> Result<u64> {
    u64_at(node.data, 0).ok_or_else(|| damaged(page, "has a node without its overflow page"))
}

/// A list of free pages, read in pieces of whole numbers.
struct FreeList {
    page: u64,
    /// None until the list's own length was read.
    left: Option<u64>,
    above: u64,
}

impl FreeList {
    fn add(&mut self, piece: &[u8], pages: &Pages<'_>) -> Result<()> {
        let (numbers, _) = piece.as_chunks::<8>();
        for number in numbers.iter().copied().map(u64::from_ne_bytes) {
            match &mut self.left {
                None => self.left = Some(number),
                // What follows the list was reserved and not used.
                Some(0) => break,
                Some(left) => {
                    *left -= 1;
                    if number >= self.above {
                        return Err(damaged(self.page, "has a list of free pages out of order"));
                    }
                    self.above = number;
                    pages.meet_free(number)?;
                }
            }
        }
        Ok(())
    }

    fn done(&self) -> Result<()> {
        if self.left == Some(0) {
            return Ok(());
        }
        Err(damaged(self.page, "has a list of free pages that is cut short"))
    }
}
