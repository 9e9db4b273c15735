//! Saves that nobody waits for: queued, then sealed and committed by threads that live as long as
//! there is something to save. A fork or an exit finds no idle thread.

use super::Store;
use super::backlog::Backlog;
use super::records::Version;
use super::save::{AGAIN, Draft, Origin, Save};
use crate::error::{Error, Result};
use crate::state::Flat;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// For `flush` inside of the core.
pub(super) const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Which version of a name a live object came from; 0 for none. Set where the commit is known to be
/// durable, so that it is right whatever happens to who waits for the save.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

impl Mark {
    /// The version.
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The object is now equal to that version.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Release);
    }
}

/// What a save must follow. Looked up when the saves before it are settled.
#[derive(Debug, Clone)]
pub enum Base {
    /// The version that the object came from.
    Mark(Arc<Mark>),
    /// One version.
    Number(u64),
    /// Whatever is there.
    Latest,
}

impl Base {
    /// As [`Save`] wants it.
    pub fn number(&self) -> Option<u64> {
        match self {
            Base::Mark(mark) => Some(mark.number()),
            Base::Number(number) => Some(*number),
            Base::Latest => None,
        }
    }
}

/// What becomes of a state that is equal to the latest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It is a version of its own.
    Kept,
    /// Nothing is written.
    Skipped,
}

/// Told how a save ended; gets the state back.
type Done = Box<dyn FnOnce(Flat, Result<Version>) + Send>;

/// A save that nobody waits for.
pub struct Deferred {
    /// The name.
    pub name: String,
    /// Why.
    pub justification: String,
    /// What it must follow.
    pub base: Base,
    /// Set when it is on disk.
    pub mark: Arc<Mark>,
    /// Whether an equal state is saved.
    pub repeat: Repeat,
    flat: Flat,
    done: Option<Done>,
    pub(super) size_bytes: usize,
    pub(super) number: u64,
}

impl Deferred {
    /// A save of `flat`; `done` hears of its end, in a thread of the store's.
    pub fn new(
        save: &Save<'_>,
        base: Base,
        mark: Arc<Mark>,
        flat: Flat,
        done: impl FnOnce(Flat, Result<Version>) + Send + 'static,
    ) -> Self {
        Deferred {
            name: save.name.to_owned(),
            justification: save.justification.to_owned(),
            base,
            mark,
            repeat: Repeat::Kept,
            size_bytes: flat.size_bytes(),
            flat,
            done: Some(Box::new(done)),
            number: 0,
        }
    }

    fn save(&self) -> Save<'_> {
        let (name, justification) = (&self.name, &self.justification);
        Save { name, justification, base: self.base.number(), origin: Origin::Walk }
    }

    fn tell(&mut self, result: Result<Version>) {
        if let Some(done) = self.done.take() {
            done(std::mem::take(&mut self.flat), result);
        }
    }
}

/// Whatever happens to a worker, who queued the save hears of it.
impl Drop for Deferred {
    fn drop(&mut self) {
        self.tell(Err(Error::new("store", "the save died; nothing was saved")));
    }
}

/// Runs something around the calls of `done` of one batch, for instance with a lock held.
pub type Around = fn(&mut dyn FnMut());

impl Store {
    /// Queues a save behind those of the same name; it shares a commit with others that wait.
    /// `done` is called when it is on disk or has failed. Waits while more than `most_bytes` of
    /// states are queued.
    pub fn save_later(
        self: &Arc<Self>,
        save: Deferred,
        most_bytes: usize,
        around: Around,
    ) -> Result<()> {
        self.usable()?;
        if let Err(error) = save.save().check(&save.flat) {
            let mut save = save;
            save.done = None;
            return Err(error);
        }
        if self.backlog.push(save, most_bytes)? {
            let (store, backlog) = (Arc::clone(self), Arc::clone(&self.backlog));
            let alive = Alive::new();
            let work = move || {
                work(store, &backlog, around);
                drop(alive);
            };
            let started =
                std::thread::Builder::new().name("dachi_fast save".to_owned()).spawn(work);
            if started.is_err() {
                // No thread to be had: whoever queued it saves.
                work_here(self, around);
            }
        }
        Ok(())
    }

    /// Waits until nothing queued before under a name is unsettled.
    pub fn settled(&self, name: &str) -> Result<()> {
        self.usable()?;
        self.backlog.settled(name)
    }

    /// Waits until everything queued before is settled.
    pub(super) fn flush(&self) -> Result<()> {
        self.flushed(FOR_EVER).map(drop)
    }

    /// Waits until everything queued before is settled, but no longer than `most`.
    pub fn flushed(&self, most: Duration) -> Result<bool> {
        self.usable()?;
        self.backlog.flushed(most)
    }

    /// Waits until no thread works for the store, but no longer than `most`.
    pub fn idle(&self, most: Duration) -> Result<bool> {
        // A fork has none of its parent's threads.
        if self.process == std::process::id() { self.backlog.idle(most) } else { Ok(true) }
    }

    fn settle(&self, saves: &mut [Deferred]) -> Vec<Result<Version>> {
        let mut results: Vec<Option<Result<Version>>> = Vec::new();
        let mut drafts = Vec::new();
        for save in &*saves {
            results.push(match self.draft(&save.save(), &save.flat) {
                Err(error) => Some(Err(error)),
                Ok(draft) => match draft.repeats() {
                    Some(latest) if save.repeat == Repeat::Skipped => Some(Ok(latest.clone())),
                    _ => {
                        drafts.push(draft);
                        None
                    }
                },
            });
        }
        let mut saved = self.commit_drafts(drafts).into_iter();
        let settled = saves.iter().zip(results).map(|(save, result)| {
            let result = result.or_else(|| saved.next());
            let nothing = || Err(Error::new("store", "a save gave nothing"));
            let result = match result.unwrap_or_else(nothing) {
                Err(error) if error.slug() == AGAIN => self.save(&save.save(), &save.flat),
                result => result,
            };
            if let Ok(version) = &result {
                save.mark.set(version.number);
            }
            result
        });
        settled.collect()
    }

    fn commit_drafts(&self, drafts: Vec<Draft>) -> Vec<Result<Version>> {
        let count = drafts.len();
        match self.write_all(drafts.into_iter().map(Draft::job).collect()) {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }
}

fn work(store: Arc<Store>, backlog: &Backlog, around: Around) {
    // Given back last: who waits for it then finds the store without users.
    let mut working = backlog.working();
    let store = store;
    while let Some((mut saves, mut batch)) = working.next() {
        let results = store.settle(&mut saves);
        batch.free_names();
        let mut told = saves.iter_mut().zip(results);
        around(&mut || told.by_ref().for_each(|(save, result)| save.tell(result)));
    }
    drop(store);
}

fn work_here(store: &Arc<Store>, around: Around) {
    work(Arc::clone(store), &store.backlog, around);
}

/// Threads of this process that still save, of any store.
static LIVING: (Mutex<Vec<u32>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());

/// One of the living.
struct Alive(u32);

impl Alive {
    fn new() -> Self {
        let process = std::process::id();
        if let Ok(mut living) = LIVING.0.lock() {
            // A fork has none of its parent's threads.
            living.retain(|of| *of == process);
            living.push(process);
        }
        Alive(process)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Ok(mut living) = LIVING.0.lock()
            && let Some(at) = living.iter().position(|of| *of == self.0)
        {
            living.swap_remove(at);
        }
        LIVING.1.notify_all();
    }
}

/// Waits until no thread of this process saves any more, but no longer than `most`; gives whether
/// that is so.
pub fn wait_for_workers(most: Duration) -> bool {
    let (start, process) = (Instant::now(), std::process::id());
    let Ok(mut living) = LIVING.0.lock() else { return true };
    while living.contains(&process) {
        let left = most.saturating_sub(start.elapsed());
        if left.is_zero() {
            return false;
        }
        match LIVING.1.wait_timeout(living, left) {
            Ok((woken, _)) => living = woken,
            Err(_) => return true,
        }
    }
    true
}
