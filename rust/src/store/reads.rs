//! Reads in the ledger: remembered, and written with the next commit.

use super::commit::Change;
use super::records::memory_type;
use super::save::check_justification;
use super::{Store, unknown_name};
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::seal::Sealer;
use std::sync::{Arc, MutexGuard};

/// How many reads may be unwritten.
const MOST_READS: u64 = 1_000;
/// How long a read may be unwritten, if another read follows.
const LONGEST_NS: u64 = 60_000_000_000;

/// What becomes of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditReads {
    /// They are written with the next commit, when there are many, after a while, or at close.
    #[default]
    Batched,
    /// Each is written before it returns.
    Strict,
    /// They are not in the ledger.
    Off,
}

/// Equal reads in a row.
#[derive(Debug)]
pub(super) struct Read {
    operation: &'static str,
    name: String,
    memory_type: String,
    version: u64,
    justification: String,
    count: u64,
    sealer: Arc<Sealer>,
}

impl Read {
    pub(super) fn log(&self, change: &mut Change<'_>) -> Result<()> {
        let detail = Detail {
            agent_id: self.name.clone(),
            memory_type: self.memory_type.clone(),
            version: self.version,
            justification: self.justification.clone(),
            count: self.count,
            ..Detail::default()
        };
        change.log(self.operation, &detail, &self.sealer)
    }

    fn is_like(&self, other: &Read) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.memory_type == other.memory_type
            && self.version == other.version
            && self.justification == other.justification
    }
}

/// Reads that are not in the ledger yet.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    reads: Vec<Read>,
    /// Since the last attempt to write them.
    count: u64,
    since_ns: u64,
}

impl Unwritten {
    fn add(&mut self, read: Read) {
        self.count += 1;
        match self.reads.last_mut() {
            Some(last) if last.is_like(&read) => last.count += 1,
            _ => self.reads.push(read),
        }
    }

    fn is_due(&self, now_ns: u64) -> bool {
        self.count >= MOST_READS || now_ns.saturating_sub(self.since_ns) >= LONGEST_NS
    }
}

impl Store {
    fn unwritten(&self) -> Result<MutexGuard<'_, Unwritten>> {
        self.unwritten.lock().map_err(|_| Error::new("store", "the reads to be written are gone"))
    }

    /// Sees to it that a read comes into the ledger. Never called from within a commit.
    pub(super) fn note_read(
        &self,
        name: &str,
        sealer: &Arc<Sealer>,
        memory_type: &str,
        version: u64,
    ) -> Result<()> {
        self.keep(Read {
            operation: "retrieve",
            name: name.to_owned(),
            memory_type: memory_type.to_owned(),
            version,
            justification: String::new(),
            count: 1,
            sealer: Arc::clone(sealer),
        })
    }

    /// The same for documents, with who reads them and why.
    pub(super) fn note_documents(
        &self,
        agent_id: &str,
        sealer: &Arc<Sealer>,
        memory_type: &str,
        justification: &str,
    ) -> Result<()> {
        check_justification(justification)?;
        self.keep(Read {
            operation: "retrieve",
            name: agent_id.to_owned(),
            memory_type: memory_type.to_owned(),
            version: 0,
            justification: justification.to_owned(),
            count: 1,
            sealer: Arc::clone(sealer),
        })
    }

    /// The same for a version that was migrated while it was read; `what` says how.
    pub fn note_migration(&self, name: &str, version: u64, what: &str) -> Result<()> {
        check_justification(what)?;
        let agent = self.agent(&*self.view()?, name)?.ok_or_else(|| unknown_name(name))?;
        self.keep(Read {
            operation: "migrate",
            name: name.to_owned(),
            memory_type: memory_type(name).to_owned(),
            version,
            justification: what.to_owned(),
            count: 1,
            sealer: Arc::clone(&agent.sealer),
        })
    }

    fn keep(&self, read: Read) -> Result<()> {
        if self.audit_reads == AuditReads::Off {
            return Ok(());
        }
        let now_ns = self.clock.now_ns()?;
        let mut unwritten = self.unwritten()?;
        if unwritten.reads.is_empty() {
            (unwritten.count, unwritten.since_ns) = (0, now_ns);
        }
        unwritten.add(read);
        let is_due = unwritten.is_due(now_ns);
        if is_due {
            // Whatever comes of it, the next attempt is not at once.
            (unwritten.count, unwritten.since_ns) = (0, now_ns);
        }
        drop(unwritten);
        match self.audit_reads {
            AuditReads::Strict => self.write_reads(),
            // What was read is true, and a full disk must not stop readers: the reads stay
            // remembered, and close warns if they cannot be written.
            _ if is_due => self.write_reads().or(Ok(())),
            _ => Ok(()),
        }
    }

    /// Commits the reads that are not in the ledger yet. If somebody commits them already, this
    /// waits for it: commits come one after the other.
    pub fn write_reads(&self) -> Result<()> {
        self.writable_view()?;
        self.write(|_| Ok(()))
    }

    /// What is left to do, once it is `idle`, before the store is let go of; nothing in a fork.
    pub fn finish(&self) -> Result<()> {
        if self.process != std::process::id() {
            return Ok(());
        }
        if self.unwritten()?.reads.is_empty() {
            return Ok(());
        }
        match self.write_reads() {
            // Nothing is wrong with the store, nor with what was read and saved: no error.
            Err(error) if error.slug() == "full" => self.lose_reads(&error),
            written => written,
        }
    }

    fn lose_reads(&self, cause: &Error) -> Result<()> {
        let count = self.take_reads()?.iter().map(|read| read.count).sum::<u64>();
        let what = format!(
            "{count} reads could not be written to the ledger, which knows nothing of them: {cause}"
        );
        self.warn(Error::new("reads-lost", what).with("count", count));
        Ok(())
    }

    pub(super) fn take_reads(&self) -> Result<Vec<Read>> {
        Ok(std::mem::take(&mut self.unwritten()?.reads))
    }

    /// After a commit that failed.
    pub(super) fn return_reads(&self, mut reads: Vec<Read>) -> Result<()> {
        let mut unwritten = self.unwritten()?;
        reads.append(&mut unwritten.reads);
        unwritten.reads = reads;
        Ok(())
    }
}
