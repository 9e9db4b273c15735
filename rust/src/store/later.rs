//! Saves that nobody waits for: queued, then sealed and committed by threads that live as long as
//! there is something to save. A fork or an exit finds no idle thread.

use super::Store;
use super::backlog::{Backlog, Batch};
use super::living::Alive;
use super::mark::{Base, Mark};
use super::records::Version;
use super::save::{AGAIN, Draft, Origin, Save};
use crate::error::{Error, Result};
use crate::state::Flat;
use std::sync::Arc;
use std::time::Duration;

/// For `flush` inside of the core.
pub(super) const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

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
        Save { name, justification, base: self.base.stamp(), origin: Origin::Walk }
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
        let refused = self.check_writable().and_then(|()| save.save().check(&save.flat));
        if let Err(error) = refused {
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
        // A witness that reads must not wait for the commit that it is told of.
        if self.leads_here()? { Ok(()) } else { self.backlog.settled(name) }
    }

    /// Waits until everything queued before is settled.
    pub(super) fn flush(&self) -> Result<()> {
        self.flushed(FOR_EVER).map(drop)
    }

    /// Waits until everything queued before is settled, but no longer than `most`.
    pub fn flushed(&self, most: Duration) -> Result<bool> {
        self.usable()?;
        if self.leads_here()? { Ok(true) } else { self.backlog.flushed(most) }
    }

    /// Waits until no thread works for the store, but no longer than `most`.
    pub fn idle(&self, most: Duration) -> Result<bool> {
        // A fork has none of its parent's threads.
        if self.process == std::process::id() { self.backlog.idle(most) } else { Ok(true) }
    }

    /// Seals what came first and, when that is done, what came meanwhile: one commit for both.
    fn settle(&self, saves: &mut Vec<Deferred>, batch: &mut Batch<'_>) -> Vec<Result<Version>> {
        let (mut results, mut drafts) = (Vec::new(), Vec::new());
        loop {
            for save in saves.iter().skip(results.len()) {
                results.push(self.drafted(save, &mut drafts));
            }
            let more = batch.more();
            if more.is_empty() {
                break;
            }
            saves.extend(more);
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
                save.mark.set(version.into());
            }
            result
        });
        settled.collect()
    }

    /// Adds the draft of a save; gives its result if there is nothing to commit.
    fn drafted(&self, save: &Deferred, drafts: &mut Vec<Draft>) -> Option<Result<Version>> {
        match self.draft(&save.save(), &save.flat) {
            Err(error) => Some(Err(error)),
            Ok(draft) => match draft.repeats() {
                Some(latest) if save.repeat == Repeat::Skipped => Some(Ok(latest.clone())),
                _ => {
                    drafts.push(draft);
                    None
                }
            },
        }
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
        let results = store.settle(&mut saves, &mut batch);
        batch.free_names();
        let mut told = saves.iter_mut().zip(results);
        around(&mut || told.by_ref().for_each(|(save, result)| save.tell(result)));
    }
    drop(store);
}

fn work_here(store: &Arc<Store>, around: Around) {
    work(Arc::clone(store), &store.backlog, around);
}
