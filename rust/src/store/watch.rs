//! The store and its witness: asked before the head is read, told after a commit is durable.

use super::Store;
use super::head::Head;
use super::save::check_justification;
use crate::error::{Error, Result};
use crate::keys::Keyring;
use crate::ledger::Detail;
use crate::seal::{hmac, random};
use crate::witness::{Records, Seen, Witness};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// What happens to a store with commits that its witness knows nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// It is refused.
    Refused,
    /// It is used, with a warning and a ledger entry: it was moved, or the machine is a new one.
    Warned,
}

/// A witness, and what was proved against it.
pub struct Watch {
    witness: Option<Box<dyn Witness>>,
    records: Records,
    unseen: Unseen,
    /// What the witness said when it was last proved to be right.
    proved: Mutex<Option<Seen>>,
    /// Warnings come once a handle.
    warned_missing: AtomicBool,
    warned_unwritten: AtomicBool,
}

impl Watch {
    /// Watches over the store of `keyring`; without a witness whatever is on disk is right.
    pub fn new(witness: Option<Box<dyn Witness>>, unseen: Unseen, keyring: &Keyring) -> Self {
        let key = hmac(keyring.store_key.bytes(), &[b"witness"]);
        Watch {
            witness,
            records: Records::new(keyring.store, key),
            unseen,
            proved: Mutex::default(),
            warned_missing: AtomicBool::new(false),
            warned_unwritten: AtomicBool::new(false),
        }
    }

    /// What the witness has seen. Ask before the head is read: it is on disk already.
    pub fn newest(&self) -> Result<Option<Seen>> {
        self.witness.as_ref().map_or(Ok(None), |witness| witness.newest(&self.records))
    }

    /// The lineage of a store that was being made when the witness was last told of it.
    pub fn begun(&self) -> Result<Option<[u8; 16]>> {
        let newest = self.newest()?;
        Ok(newest.filter(|seen| seen.commit == 0).map(|seen| seen.lineage))
    }

    fn advance(&self, head: &Head) -> Result<()> {
        let (commit, lineage) = (head.commit, head.lineage);
        let (entries, chain) = (head.frontier.size(), head.chain);
        let seen = Seen { commit, lineage, entries, chain };
        self.witness.as_ref().map_or(Ok(()), |witness| witness.advance(&self.records, &seen))
    }

    /// Whether this handle found its witness without a record of the store.
    pub fn missed(&self) -> bool {
        self.warned_missing.load(Ordering::Relaxed)
    }
}

impl Store {
    /// A head must be the witnessed one or continue it.
    pub(super) fn check_witness(&self, head: &Head, seen: Option<Seen>) -> Result<()> {
        let Some(seen) = seen else { return self.unseen(head) };
        let broken = |_| Error::new("store", "an earlier operation died; reopen the store");
        let mut proved = self.watch.proved.lock().map_err(broken)?;
        if proved.as_ref() == Some(&seen) {
            return Ok(());
        }
        let rolled_back = |what: &'static str| {
            Err(Error::new("rolled-back", what)
                .with("commit", head.commit)
                .with("witnessed_commit", seen.commit))
        };
        if head.lineage != seen.lineage {
            return rolled_back(
                "the witness has seen another copy of this store, which was adopted; give each \
                 copy a witness of its own, or choose this one with Store.adopt",
            );
        }
        if head.commit < seen.commit || head.frontier.size() < seen.entries {
            return rolled_back(
                "the store is older than the one that was last seen here; put the newest one \
                 back, or restore this one on purpose with Store.adopt",
            );
        }
        if self.chain_of(head, seen.entries)? != seen.chain {
            return rolled_back(
                "the store is a branch of the one that was last seen here: a copy went its own \
                 way; give each copy a witness of its own, or choose this one with Store.adopt",
            );
        }
        *proved = Some(seen);
        Ok(())
    }

    /// A newer commit may lie in the file under an edited meta page; or it failed, and then the
    /// witness saw none after this one.
    pub(super) fn check_newest(&self) -> Result<()> {
        let commit = self.known_view()?.head.commit;
        if self.watch.newest()?.is_some_and(|seen| seen.commit == commit) {
            return Ok(());
        }
        let what = "the file holds pages of a commit after the one it serves: a meta page was \
            edited, or a commit failed; open the store with the witness that saw its last commit, \
            or restore data.mdb from a backup";
        Err(Error::new("rolled-back", what).with("commit", commit))
    }

    /// The witness knows nothing of the store.
    fn unseen(&self, head: &Head) -> Result<()> {
        let watch = &self.watch;
        if watch.witness.is_none() || head.commit == 0 {
            return Ok(());
        }
        let missing = || {
            let what = "the witness knows nothing of this store: it was moved here, or the witness \
                        was lost; whether the store is the newest one cannot be told";
            Error::new("witness-missing", what)
                .with("path", self.folder.display().to_string())
                .with("commit", head.commit)
        };
        if watch.unseen == Unseen::Refused {
            return Err(missing());
        }
        // A witness that this handle could not write has nothing, and that was said.
        if !watch.warned_unwritten.load(Ordering::Relaxed)
            && !watch.warned_missing.swap(true, Ordering::Relaxed)
        {
            self.warn(missing());
        }
        Ok(())
    }

    /// Tells the witness of a durable commit. One that cannot be written lags, which is safe.
    pub(super) fn advance_witness(&self, head: &Head) {
        if let Err(error) = self.watch.advance(head)
            && !self.watch.warned_unwritten.swap(true, Ordering::Relaxed)
        {
            let what = format!(
                "the witness was not told of what was saved, so that going back to an earlier \
                 state of the store may pass unnoticed: {error}"
            );
            self.warn(Error::new("witness-unwritten", what));
        }
    }

    /// Begins a new lineage, which the witness follows from now on. For a store that nobody else
    /// has open.
    pub(super) fn adopt(&mut self, justification: &str) -> Result<()> {
        check_justification(justification)?;
        let after = self.watch.newest()?.map_or(0, |seen| seen.commit);
        let lineage = random()?;
        let detail = Detail { justification: justification.to_owned(), ..Detail::default() };
        // Over whatever is on disk: nobody watches this commit.
        let witness = self.watch.witness.take();
        self.write(move |change| {
            change.edit_head(move |head| {
                head.lineage = lineage;
                head.commit = head.commit.max(after + 1);
            });
            change.log("adopt", &detail, &change.store.sealer)
        })?;
        self.watch.witness = witness;
        self.watch.advance(&self.known_view()?.head)?;
        self.view().map(drop)
    }
}
