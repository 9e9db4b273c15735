//! Saves that were queued and are not settled yet: in order, one of a name at a time.

use super::later::Deferred;
use super::queue::MOST_SHARED;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Threads that save at once: one seals while the other waits for the disk. More would only make
/// smaller commits.
const WORKERS: usize = 2;
/// Bytes of states that share a commit of one worker's: none waits long for another to be sealed.
const TOGETHER_BYTES: usize = 1 << 20;

/// What a store still has to save.
#[derive(Default)]
pub struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Deferred>,
    /// Names that a worker saves now.
    busy: HashSet<String>,
    /// Queued and not settled, in order.
    unsettled: BTreeSet<u64>,
    issued: u64,
    size_bytes: usize,
    /// Workers that will look for more before they end.
    workers: usize,
    /// Workers that hold the store.
    threads: usize,
}

impl State {
    /// The saves that can be made together: the first of each name that nobody saves now, as long
    /// as there is room. The first of all may be larger than the room if it is `alone`.
    fn take(&mut self, count: usize, mut room_bytes: usize, alone: bool) -> Vec<Deferred> {
        let mut taken: Vec<Deferred> = Vec::new();
        let mut passed = Vec::new();
        while let Some(next) = self.waiting.front()
            && taken.len() < count
            && (next.size_bytes <= room_bytes || (alone && taken.is_empty()))
            && let Some(save) = self.waiting.pop_front()
        {
            room_bytes = room_bytes.saturating_sub(save.size_bytes);
            // One that was passed made its name busy already: the order of a name is kept.
            if self.busy.insert(save.name.clone()) {
                taken.push(save);
            } else {
                passed.push(save);
            }
        }
        for save in passed.into_iter().rev() {
            self.waiting.push_front(save);
        }
        taken
    }
}

/// The share of a backlog that one worker has; given back whatever happens to the worker.
pub struct Working<'b> {
    backlog: &'b Backlog,
    /// Whether it still counts as one that looks for more.
    looks: bool,
}

/// The names and numbers of saves in work; free again whatever happens to the worker.
pub struct Batch<'b> {
    backlog: &'b Backlog,
    names: Vec<String>,
    numbers: Vec<u64>,
    size_bytes: usize,
}

impl Batch<'_> {
    fn add(&mut self, saves: &[Deferred]) {
        self.names.extend(saves.iter().map(|save| save.name.clone()));
        self.numbers.extend(saves.iter().map(|save| save.number));
        self.size_bytes += saves.iter().map(|save| save.size_bytes).sum::<usize>();
    }
}

impl Backlog {
    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| Error::new("store", "the queue of saves broke"))
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> Result<MutexGuard<'s, State>> {
        self.changed.wait(state).map_err(|_| Error::new("store", "the queue of saves broke"))
    }

    /// Queues a save; gives whether it needs one more worker, who then counts already. Waits while
    /// more than `most_bytes` are queued.
    pub fn push(&self, mut save: Deferred, most_bytes: usize) -> Result<bool> {
        let mut state = self.state()?;
        while state.size_bytes > 0 && state.size_bytes.saturating_add(save.size_bytes) > most_bytes
        {
            state = self.wait(state)?;
        }
        save.number = state.issued;
        state.issued += 1;
        state.unsettled.insert(save.number);
        state.size_bytes += save.size_bytes;
        state.waiting.push_back(save);
        if state.workers == WORKERS {
            return Ok(false);
        }
        state.workers += 1;
        state.threads += 1;
        Ok(true)
    }

    /// Waits until nothing that was queued under a name before is unsettled.
    pub fn settled(&self, name: &str) -> Result<()> {
        let mut state = self.state()?;
        while state.busy.contains(name) || state.waiting.iter().any(|save| save.name == name) {
            state = self.wait(state)?;
        }
        Ok(())
    }

    /// Waits until all that was queued before is settled, but no longer than `most`; gives whether
    /// it is.
    pub fn flushed(&self, most: Duration) -> Result<bool> {
        let state = self.state()?;
        let mark = state.issued;
        self.wait_until(state, most, |state| state.unsettled.first().is_none_or(|at| *at >= mark))
    }

    /// Waits until no worker holds the store, but no longer than `most`; gives whether that is so.
    pub fn idle(&self, most: Duration) -> Result<bool> {
        self.wait_until(self.state()?, most, |state| state.threads == 0)
    }

    fn wait_until(
        &self,
        mut state: MutexGuard<'_, State>,
        most: Duration,
        done: impl Fn(&State) -> bool,
    ) -> Result<bool> {
        let start = Instant::now();
        while !done(&state) {
            let left = most.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.map_err(|_| Error::new("store", "the queue of saves broke"))?.0;
        }
        Ok(true)
    }

    /// What a worker that was counted by `push` holds.
    pub fn working(&self) -> Working<'_> {
        Working { backlog: self, looks: true }
    }
}

impl<'b> Working<'b> {
    /// The next saves; None when the worker is to end.
    pub fn next(&mut self) -> Option<(Vec<Deferred>, Batch<'b>)> {
        let mut state = self.backlog.state().ok()?;
        let saves = state.take(MOST_SHARED, TOGETHER_BYTES, true);
        if saves.is_empty() {
            // In the same breath, so that whoever queues next starts another one.
            state.workers -= 1;
            self.looks = false;
            return None;
        }
        let (names, numbers) = (Vec::new(), Vec::new());
        let mut batch = Batch { backlog: self.backlog, names, numbers, size_bytes: 0 };
        batch.add(&saves);
        Some((saves, batch))
    }
}

impl Batch<'_> {
    /// What was queued since and still fits into the same commit.
    pub fn more(&mut self) -> Vec<Deferred> {
        let count = MOST_SHARED.saturating_sub(self.numbers.len());
        let room_bytes = TOGETHER_BYTES.saturating_sub(self.size_bytes);
        let Ok(mut state) = self.backlog.state() else { return Vec::new() };
        let saves = state.take(count, room_bytes, false);
        drop(state);
        self.add(&saves);
        saves
    }

    /// The names may be saved again, although who queued the saves was not told yet.
    pub fn free_names(&mut self) {
        if let Ok(mut state) = self.backlog.state() {
            for name in self.names.drain(..) {
                state.busy.remove(&name);
            }
        }
        self.backlog.changed.notify_all();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.free_names();
        if let Ok(mut state) = self.backlog.state() {
            for number in &self.numbers {
                state.unsettled.remove(number);
            }
            state.size_bytes -= self.size_bytes;
        }
        self.backlog.changed.notify_all();
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.backlog.state() {
            state.workers -= usize::from(self.looks);
            state.threads -= 1;
        }
        self.backlog.changed.notify_all();
    }
}
