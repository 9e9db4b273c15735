//! Shared commits: whoever comes first leads, and takes everybody who waits into one commit with one
//! sync.

use super::Store;
use super::commit::{Change, Commit, Committed, LATER};
use super::reads::Read;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::witness::Seen;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

/// An operation; may be run more than once, when a commit failed or must wait.
type Job = Box<dyn FnMut(&mut Change<'_>) -> Result<()> + Send>;

/// Operations that one commit takes at most: each holds its sealed nodes in memory.
pub(super) const MOST_SHARED: usize = 256;

/// Operations that wait for a commit.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Ticket>,
    /// Who commits now, or keeps others from it.
    led: Option<ThreadId>,
    /// How many wait to keep others from committing; they come first.
    reserved: usize,
}

struct Ticket {
    job: Job,
    outcome: Arc<Outcome>,
}

/// How an operation ended; whoever waits for it takes the result, and it stays settled.
#[derive(Default)]
struct Outcome {
    settled: AtomicBool,
    result: Mutex<Option<Result<()>>>,
}

impl Outcome {
    fn is_known(&self) -> bool {
        self.result.lock().is_ok_and(|result| result.is_some())
    }

    fn take(&self) -> Result<()> {
        let known = self.result.lock().ok().and_then(|mut result| result.take());
        known.unwrap_or_else(|| Err(Error::new("store", "an operation gave nothing")))
    }
}

/// The tickets of one commit; whatever happens to the leader, nobody waits for ever.
struct Leading<'q> {
    queue: &'q Queue,
    tickets: Vec<Ticket>,
}

impl State {
    fn check_not_led(&self) -> Result<()> {
        if self.led == Some(thread::current().id()) {
            // It would wait for itself.
            let what = "a witness, and what is told of progress, must not change the store";
            return Err(Error::new("store", what));
        }
        Ok(())
    }
}

impl Ticket {
    /// The first result counts.
    fn settle(&self, result: Result<()>) {
        if !self.outcome.settled.swap(true, Ordering::AcqRel)
            && let Ok(mut slot) = self.outcome.result.lock()
        {
            *slot = Some(result);
        }
    }

    fn is_settled(&self) -> bool {
        self.outcome.settled.load(Ordering::Acquire)
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        for ticket in &self.tickets {
            ticket.settle(Err(Error::new("store", "the commit died; nothing was saved")));
        }
        if let Ok(mut state) = self.queue.state.lock() {
            state.led = None;
        }
        self.queue.changed.notify_all();
    }
}

fn is_of_one(error: &Error) -> bool {
    matches!(error.slug(), "full" | "missing" | "tampered" | "malformed" | "wrong-context")
}

impl Queue {
    /// Keeps this process from committing until it is dropped; waits for the commit that runs.
    pub(super) fn turn(&self) -> Result<impl Drop + '_> {
        let mut state = self.state()?;
        state.check_not_led()?;
        state.reserved += 1;
        while state.led.is_some() {
            let woken = self.changed.wait(state);
            state = woken.map_err(|_| Error::new("store", "the queue of commits broke"))?;
        }
        state.reserved -= 1;
        state.led = Some(thread::current().id());
        Ok(Leading { queue: self, tickets: Vec::new() })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| Error::new("store", "the queue of commits broke"))
    }
}

impl Store {
    /// Whether this thread commits now, and a witness or a clock has called back.
    pub(super) fn leads_here(&self) -> Result<bool> {
        Ok(self.queue.state()?.led == Some(thread::current().id()))
    }

    /// Runs an operation in the next commit, perhaps with others; returned means on disk. The
    /// operation sees the newest commit, and nobody else commits before it is done.
    pub(super) fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Change<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let nothing = || Err(Error::new("store", "an operation gave nothing"));
        self.write_all(vec![job])?.pop().unwrap_or_else(nothing)
    }

    /// Runs operations as `write` does, each as if it were alone; gives what each of them gave.
    pub(super) fn write_all<T: Send + 'static>(
        &self,
        jobs: Vec<impl FnMut(&mut Change<'_>) -> Result<T> + Send + 'static>,
    ) -> Result<Vec<Result<T>>> {
        let (mut tickets, mut waited_for) = (Vec::new(), Vec::new());
        for mut job in jobs {
            let given = Arc::new(Mutex::new(None));
            let outcome = Arc::new(Outcome::default());
            waited_for.push((Arc::clone(&outcome), Arc::clone(&given)));
            let job: Job = Box::new(move |change| {
                let made = job(change)?;
                if let Ok(mut slot) = given.lock() {
                    *slot = Some(made);
                }
                Ok(())
            });
            tickets.push(Ticket { job, outcome });
        }
        self.commit_shared(tickets, &|| waited_for.iter().all(|(outcome, _)| outcome.is_known()))?;
        let result = |(outcome, given): (Arc<Outcome>, Arc<Mutex<Option<T>>>)| {
            outcome.take()?;
            let made = given.lock().ok().and_then(|mut slot| slot.take());
            made.ok_or_else(|| Error::new("store", "an operation gave nothing"))
        };
        Ok(waited_for.into_iter().map(result).collect())
    }

    /// Queues tickets and returns when they are settled; leads commits while nobody else does.
    fn commit_shared(&self, tickets: Vec<Ticket>, settled: &dyn Fn() -> bool) -> Result<()> {
        self.check_writable()?;
        let mut state = self.queue.state()?;
        state.check_not_led()?;
        state.waiting.extend(tickets);
        loop {
            if settled() {
                return Ok(());
            }
            if state.led.is_some() || state.reserved > 0 {
                let woken = self.queue.changed.wait(state);
                state = woken.map_err(|_| Error::new("store", "the queue of commits broke"))?;
                continue;
            }
            state.led = Some(thread::current().id());
            let count = state.waiting.len().min(MOST_SHARED);
            let tickets: Vec<Ticket> = state.waiting.drain(..count).collect();
            drop(state);
            let mut leading = Leading { queue: &self.queue, tickets };
            self.lead(&mut leading.tickets);
            let later = leading.tickets.extract_if(.., |ticket| !ticket.is_settled());
            let later: Vec<Ticket> = later.collect();
            state = self.queue.state()?;
            state.waiting.splice(0..0, later);
            drop(state);
            drop(leading);
            state = self.queue.state()?;
        }
    }

    /// Commits the operations together; what is not settled after that waits for the next commit.
    fn lead(&self, tickets: &mut [Ticket]) {
        match self.attempt(tickets) {
            Ok(()) => {}
            // One of them may be too large, or build on a damaged node; the others are not to suffer.
            Err(error) if is_of_one(&error) && tickets.len() > 1 => {
                for ticket in tickets.iter_mut().filter(|ticket| !ticket.is_settled()) {
                    if let Err(error) = self.attempt(std::slice::from_mut(ticket)) {
                        ticket.settle(Err(error));
                    }
                }
            }
            Err(error) => tickets.iter().for_each(|ticket| ticket.settle(Err(error.clone()))),
        }
    }

    /// One commit of all operations that succeed and that can share it, with the reads that are not
    /// in the ledger yet.
    fn attempt(&self, tickets: &mut [Ticket]) -> Result<()> {
        let reads = self.take_reads()?;
        let done = self.attempt_with(tickets, &reads);
        if done.is_err() {
            self.return_reads(reads)?;
        }
        done
    }

    fn attempt_with(&self, tickets: &mut [Ticket], reads: &[Read]) -> Result<()> {
        let mut accepted = Vec::new();
        let mut committed = None;
        let mut refused = None;
        // Before the head is read, and before the engine's lock: a witness may be slow.
        let seen = self.watch.newest()?;
        let written = self.engine.commit(&mut |on_disk| {
            let made = self.merge(tickets, reads, on_disk, seen, &mut accepted);
            match made {
                Ok(None) => Ok(None),
                Ok(Some((write, after))) => {
                    committed = Some(after);
                    Ok(Some(write))
                }
                Err(error) => {
                    refused = Some(());
                    Err(error)
                }
            }
        });
        if let Err(error) = written {
            if refused.is_none() && error.slug() == "io" {
                self.failed.store(true, Ordering::Relaxed);
            }
            return Err(error);
        }
        if let Some(after) = committed {
            self.remember(after)?;
        }
        for at in accepted {
            if let Some(ticket) = tickets.get(at) {
                ticket.settle(Ok(()));
            }
        }
        Ok(())
    }

    fn merge(
        &self,
        tickets: &mut [Ticket],
        reads: &[Read],
        on_disk: Option<&[u8]>,
        seen: Option<Seen>,
        accepted: &mut Vec<usize>,
    ) -> Result<Option<(crate::engine::Write, Committed)>> {
        accepted.clear();
        let view = self.continued(&self.known_view()?, on_disk)?;
        self.check_witness(&view.head, seen)?;
        let mut commit = Commit::over(self, Arc::clone(&view))?;
        self.rotate_when_due(&view.head, &mut commit)?;
        commit.take(&mut |change| reads.iter().try_for_each(|read| read.log(change)))?;
        for (at, ticket) in tickets.iter_mut().enumerate() {
            if ticket.is_settled() {
                continue;
            }
            match commit.take(&mut ticket.job) {
                Ok(()) => accepted.push(at),
                Err(error) if error.slug() == LATER => {}
                Err(error) => ticket.settle(Err(error)),
            }
        }
        commit.finish()
    }

    /// The commit is durable: from now on it is what this process and the witness know.
    fn remember(&self, after: Committed) -> Result<()> {
        let mut agents = self.agents()?;
        agents.drop_siblings(&after.agents);
        for (name, agent) in after.agents {
            agents.keep(&name, &Arc::new(agent));
        }
        drop(agents);
        self.publish(&after.view)?;
        self.advance_witness(&after.view.head);
        Ok(())
    }
}
