//! What a witness keeps of a head, in bytes that only the store's key can make.
//!
//! Magic (16), commit u64, lineage (16), entries u64, chain (32), HMAC-SHA-256 over all that (32).

use super::Seen;
use crate::error::Error;
use crate::seal::{StoreId, hmac, same_secret};
use crate::wire::{Put, Take};
use std::sync::Mutex;

const MAGIC: &[u8; 16] = b"dachi_fast seen\n";
/// Length of a record.
pub const RECORD_BYTES: usize = 16 + 8 + 16 + 8 + 32 + 32;

/// A record's bytes.
pub type Record = [u8; RECORD_BYTES];

/// Makes and opens the records of one store.
pub struct Records {
    store: StoreId,
    key: [u8; 32],
    /// Records that were made or opened before: the same bytes need no second proof.
    proved: Mutex<[Option<(Record, Seen)>; 2]>,
}

impl Records {
    /// Records of `store` under a key of its own.
    pub fn new(store: StoreId, key: [u8; 32]) -> Self {
        Records { store, key, proved: Mutex::default() }
    }

    /// The store that they are about.
    pub fn store(&self) -> &StoreId {
        &self.store
    }

    /// A record of a head.
    pub fn make(&self, seen: &Seen) -> Record {
        let mut body = MAGIC.to_vec();
        body.put_u64(seen.commit);
        body.extend_from_slice(&seen.lineage);
        body.put_u64(seen.entries);
        body.extend_from_slice(&seen.chain);
        let mac = hmac(&self.key, &[&body]);
        let mut record = [0u8; RECORD_BYTES];
        record.iter_mut().zip(body.into_iter().chain(mac)).for_each(|(to, from)| *to = from);
        self.remember(&record, seen);
        record
    }

    /// The head that a record is about; None if it is not one that [`Records::make`] made.
    pub fn open(&self, record: &[u8]) -> Option<Seen> {
        let record: &Record = record.try_into().ok()?;
        if let Some(seen) = self.known(record) {
            return Some(seen);
        }
        let (body, mac) = record.split_at_checked(RECORD_BYTES - 32)?;
        if !same_secret(mac, &hmac(&self.key, &[body])) {
            return None;
        }
        let mut take = Take::new(body);
        if take.array::<16>().ok()? != *MAGIC {
            return None;
        }
        let seen = Seen {
            commit: take.u64().ok()?,
            lineage: take.array().ok()?,
            entries: take.u64().ok()?,
            chain: take.array().ok()?,
        };
        self.remember(record, &seen);
        Some(seen)
    }

    /// What to say of a record that [`Records::open`] did not open.
    pub fn forged() -> Error {
        let what = "the witness holds no valid record of this store: it was edited, or is another \
                    store's; put it right, or remove it and say why with Store.adopt";
        Error::new("tampered", what)
    }

    fn known(&self, record: &Record) -> Option<Seen> {
        let proved = self.proved.lock().ok()?;
        proved.iter().flatten().find(|(known, _)| known == record).map(|(_, seen)| *seen)
    }

    fn remember(&self, record: &Record, seen: &Seen) {
        if let Ok(mut proved) = self.proved.lock()
            && let Some(slot) = proved.get_mut((seen.commit % 2) as usize)
        {
            *slot = Some((*record, *seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_bit_changed_is_none() {
        let seen = Seen { commit: 7, lineage: [1; 16], entries: 9, chain: [2; 32] };
        let made = Records::new([5; 16], [3; 32]).make(&seen);
        let records = Records::new([5; 16], [3; 32]);
        assert_eq!(records.open(&made), Some(seen));
        assert_eq!(records.open(&made), Some(seen));
        for at in 0..RECORD_BYTES * 8 {
            let mut edited = made;
            if let Some(byte) = edited.get_mut(at / 8) {
                *byte ^= 1 << (at % 8);
            }
            assert_eq!(records.open(&edited), None);
        }
        assert_eq!(records.open(made.get(1..).unwrap_or_default()), None);
        assert_eq!(Records::new([5; 16], [4; 32]).open(&made), None);
    }
}
