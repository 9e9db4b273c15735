//! Nodes of maps that a commit replaced, deleted when nobody can be reading them any more.
//!
//! A commit that loses nodes leaves a record of them: kind `GARBAGE` under the store's key, id `fe*8
//! ‖ commit number` (big endian); created u64 (ns), varint count, ids. Each later commit takes up
//! the oldest records, deletes what they name once [`GRACE_NS`] have passed, and the records too.
//! The head says how far that went, so the work of a commit is bounded.

use super::Store;
use super::head::Head;
use crate::engine::{Batch, Engine};
use crate::error::Result;
use crate::seal::{Committed, NodeId, Place, kind, with_scratch};
use crate::wire::{Put, Take};

/// How long a node stays after the last version that needed it is gone: a reader that began before
/// has so long to finish.
pub const GRACE_NS: u64 = 600 * 1_000_000_000;
/// Records that one commit takes up: more than it makes, so that none are left in the end.
const RECORDS_A_COMMIT: usize = 3;

fn place(commit: u64) -> Place {
    let mut id = [0xfeu8; 16];
    id.iter_mut().skip(8).zip(commit.to_be_bytes()).for_each(|(to, from)| *to = from);
    Place { kind: kind::GARBAGE, id: NodeId(id) }
}

/// Whether this is the id of a record of garbage.
pub fn is_record(id: NodeId) -> bool {
    id.0.starts_with(&[0xfe; 8])
}

struct Record {
    created_ns: u64,
    lost: Vec<NodeId>,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.created_ns);
        out.put_varint(self.lost.len() as u64);
        self.lost.iter().for_each(|id| out.extend_from_slice(&id.0));
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let mut record = Record { created_ns: take.u64()?, lost: Vec::new() };
        for _ in 0..take.count()? {
            record.lost.push(NodeId(take.array()?));
        }
        take.done()?;
        Ok(record)
    }
}

impl Store {
    /// Notes what the commit of `head` loses.
    pub(super) fn note_lost(&self, head: &Head, lost: &[NodeId]) -> Result<Batch> {
        let mut batch = Batch::default();
        if lost.is_empty() {
            return Ok(batch);
        }
        let record = Record { created_ns: head.created_ns, lost: lost.to_vec() }.encode();
        let place = place(head.commit);
        with_scratch(|scratch| {
            batch.add(place.id, |out| self.sealer.seal(scratch, place, Committed::No, &record, out))
        })?;
        Ok(batch)
    }

    /// Takes up the oldest records: gives what may be deleted now, and moves the head on.
    pub(super) fn take_up(&self, before: &Head, head: &mut Head) -> Result<Vec<NodeId>> {
        let mut dead = Vec::new();
        for _ in 0..RECORDS_A_COMMIT {
            // The record of this very commit is not written yet.
            if head.swept >= before.commit {
                break;
            }
            let place = place(head.swept + 1);
            if let Some(record) = self.garbage_record(place)? {
                if record.created_ns.saturating_add(GRACE_NS) > head.created_ns {
                    break;
                }
                dead.extend(record.lost);
                dead.push(place.id);
            }
            head.swept += 1;
        }
        Ok(dead)
    }

    /// None if there is none, or one that was edited: no save fails for that. `verify` says so, and
    /// `compact` finds what it named.
    fn garbage_record(&self, place: Place) -> Result<Option<Record>> {
        let mut record = None;
        self.engine.node(place.id, &mut |sealed| {
            record = self.open_record(place, sealed).ok();
            Ok(())
        })?;
        Ok(record)
    }

    /// Proves a record that lies on disk under this id.
    pub(super) fn check_record(&self, id: NodeId, sealed: &[u8]) -> Result<()> {
        self.open_record(Place { kind: kind::GARBAGE, id }, sealed).map(drop)
    }

    fn open_record(&self, place: Place, sealed: &[u8]) -> Result<Record> {
        let plain = with_scratch(|s| self.sealer.open(s, place, Committed::No, sealed))?;
        Record::decode(&plain)
    }

    /// Calls `each` with every node that waits for its time.
    pub(super) fn each_waiting(
        &self,
        head: &Head,
        now_ns: u64,
        each: &mut dyn FnMut(NodeId),
    ) -> Result<()> {
        for commit in head.swept + 1..=head.commit {
            if let Some(record) = self.garbage_record(place(commit))?
                && record.created_ns.saturating_add(GRACE_NS) > now_ns
            {
                record.lost.into_iter().for_each(&mut *each);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mutate;
    use super::*;

    #[test]
    fn records_of_garbage_of_any_bytes() {
        let record = |lost: &[NodeId]| Record { created_ns: 7, lost: lost.to_vec() }.encode();
        let corpus = [record(&[]), record(&[NodeId([5; 16]), NodeId([6; 16])])];
        let counts = mutate::fuzz("garbage", &corpus, |bytes| {
            Record::decode(bytes).map(|record| assert_eq!(record.encode(), bytes))
        });
        assert!(counts.others_accepted > 0);
    }
}
