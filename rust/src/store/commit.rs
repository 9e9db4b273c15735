//! One commit: nodes, ledger entry and head in one transaction, then the witness.

use super::head::Head;
use super::{Agent, Current, Store};
use crate::engine::{Batch, Engine};
use crate::error::{Error, Result};
use crate::ledger::{self, Detail, Entry, leaf_hash};
use crate::seal::{Sealer, kind, sha256};
use crate::state::Flat;
use crate::tree::{Edits, Ids, Known, MAX_INLINE_BYTES, Writer, Written, known_of};
use crate::witness::Seen;

/// Nanoseconds since 1970.
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What one commit changes.
pub struct Changes<'a> {
    /// Sealed nodes of a namespace.
    pub batches: Vec<Batch>,
    /// Names and root records.
    pub top: Edits,
    /// What the ledger calls it.
    pub operation: &'a str,
    /// What the ledger says of it.
    pub detail: Detail,
    /// Seals the detail.
    pub sealer: &'a Sealer,
    /// When.
    pub created_ns: u64,
    /// The time part of the last node id given.
    pub last_id: u64,
}

impl Store {
    /// The time of a commit: the clock's, but never before the last commit's.
    pub(super) fn commit_time(current: &Current) -> u64 {
        now_ns().max(current.head.created_ns)
    }

    /// Makes one commit durable; on an error nothing is changed.
    pub(super) fn commit(&self, current: &mut Current, changes: Changes<'_>) -> Result<()> {
        self.check_current(current)?;
        let mut ids = Ids::after(changes.last_id, changes.created_ns);
        let mut writer = Writer::apart(&self.sealer, &mut ids);
        let top = current.head.top.apply(&self.top_nodes(), &mut writer, changes.top)?;
        let Written { mut batches, .. } = writer.finish()?;
        batches.extend(changes.batches);
        let mut head = Head {
            commit: current.head.commit + 1,
            created_ns: changes.created_ns,
            last_id: ids.last(),
            top,
            ..current.head.clone()
        };
        {
            let keyring =
                self.keyring.lock().map_err(|_| Error::new("store", "the keys are gone"))?;
            head.key_generation = keyring.generation;
            head.key_hash = keyring.hash;
        }
        let seq = head.frontier.size();
        let (commitment, detail) = ledger::seal_detail(changes.sealer, seq, &changes.detail)?;
        let entry = Entry {
            seq,
            operation: changes.operation.to_owned(),
            created_ns: changes.created_ns,
            prev: head.chain,
            commitment,
        };
        let json = entry.json();
        head.chain = sha256(&[json.as_bytes()]);
        head.frontier.push(leaf_hash(json.as_bytes()));
        let record = ledger::encode(&entry, &changes.sealer.context().namespace, &detail);
        batches.push(self.ledger_batch(seq, &record)?);
        self.write(current, &batches, head)
    }

    fn ledger_batch(&self, seq: u64, record: &[u8]) -> Result<Batch> {
        use crate::seal::{Committed, Place};
        let place = Place { kind: kind::LEDGER, id: ledger::node_id(seq) };
        let mut batch = Batch::default();
        crate::seal::with_scratch(|scratch| {
            batch.add(place.id, |out| self.sealer.seal(scratch, place, Committed::No, record, out))
        })?;
        Ok(batch)
    }

    fn write(&self, current: &mut Current, batches: &[Batch], head: Head) -> Result<()> {
        let sealed = head.seal(&self.sealer)?;
        let expected = Some(current.sealed_head.as_slice()).filter(|head| !head.is_empty());
        if let Err(error) = self.engine.commit(batches, &[], expected, &sealed) {
            current.failed = error.slug() == "io";
            return Err(error);
        }
        current.head = head;
        current.sealed_head = sealed;
        self.advance_witness(current)
    }

    /// The first commit of a new store.
    pub(super) fn commit_creation(&self) -> Result<()> {
        let mut current = self.current()?;
        let created_ns = Self::commit_time(&current);
        let changes = Changes {
            batches: Vec::new(),
            top: Edits::new(),
            operation: "create",
            detail: Detail::default(),
            sealer: &self.sealer,
            created_ns,
            last_id: 0,
        };
        self.commit(&mut current, changes)
    }

    /// What lies on disk must be what this process committed or read last.
    pub(super) fn check_current(&self, current: &Current) -> Result<()> {
        let on_disk = self.engine.head()?.unwrap_or_default();
        if on_disk == current.sealed_head {
            return Ok(());
        }
        Err(Error::new("tampered", "the head of the store was replaced while it was open"))
    }

    fn seen(head: &Head) -> Seen {
        let (commit, lineage) = (head.commit, head.lineage);
        Seen { commit, lineage, entries: head.frontier.size(), chain: head.chain }
    }

    /// A witness that cannot be written does not undo a commit that is on disk: it lags, which is
    /// safe, and is found out at the next open.
    fn advance_witness(&self, current: &Current) -> Result<()> {
        if let Some(witness) = &self.witness {
            let _ = witness.advance(&Self::seen(&current.head));
        }
        Ok(())
    }

    /// The store must be the witnessed one or continue it.
    pub(super) fn check_witness(&self) -> Result<()> {
        let Some(witness) = &self.witness else {
            return Ok(());
        };
        let Some(seen) = witness.newest()? else {
            return Ok(());
        };
        let current = self.current()?;
        let head = &current.head;
        let rolled_back = |what: &'static str| {
            Err(Error::new("rolled-back", what)
                .with("commit", head.commit)
                .with("witnessed_commit", seen.commit))
        };
        if head.lineage != seen.lineage || head.commit < seen.commit {
            return rolled_back("the store is older than, or not the one, that was last seen here");
        }
        let chain = match seen.entries.checked_sub(1) {
            Some(last) if seen.entries == head.frontier.size() => (last, head.chain).1,
            Some(last) => self.chain_at(head, last)?,
            None => ledger::GENESIS,
        };
        if chain != seen.chain {
            return rolled_back("the store is a branch of the one that was last seen here");
        }
        Ok(())
    }

    /// What of the latest version a save of `flat` may refer to.
    pub(super) fn know(&self, agent: &mut Agent, flat: &Flat) -> Result<Known> {
        if let Some(known) = agent.known.take() {
            return Ok(known);
        }
        let nodes = self.nodes(&agent.sealer);
        let Some(latest) = &agent.latest else { return Ok(Known::default()) };
        let mut known = match &latest.state {
            Some(root) => known_of(&nodes, root, flat.large(MAX_INLINE_BYTES))?,
            None => Known::default(),
        };
        if let Some(blob) = latest.blueprint.blob {
            blob.refs(&nodes, &mut |hash, _, id| known.insert(hash, id).is_none())?;
        }
        Ok(known)
    }
}
