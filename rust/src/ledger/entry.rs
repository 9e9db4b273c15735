//! One entry.

use super::json::{Member, object};
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Sealer, kind, random, sha256, with_scratch};
use crate::wire::{Put, Take};

/// `prev` of the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// What an entry says that is not for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// The name the state was saved under.
    pub agent_id: String,
    /// What kind of memory it concerns, for instance `state`.
    pub memory_type: String,
    /// Why, in the caller's words.
    pub justification: String,
    /// Hash of the state's root, in hex; empty where there is none.
    pub root: String,
    /// Number of the version it concerns; 0 where it says nothing.
    pub version: u64,
    /// How often in a row, or how many; 0 where it says nothing.
    pub count: u64,
    /// By how much the clock was behind the entry before, whose time was taken then; else 0.
    pub clock_behind_us: u64,
}

impl Detail {
    /// Its canonical JSON; numbers that say nothing are left out.
    pub fn json(&self) -> String {
        let mut members = vec![
            ("agent_id", Member::Text(&self.agent_id)),
            ("clock_behind_us", Member::Number(self.clock_behind_us)),
            ("count", Member::Number(self.count)),
            ("justification", Member::Text(&self.justification)),
            ("memory_type", Member::Text(&self.memory_type)),
            ("root", Member::Text(&self.root)),
            ("version", Member::Number(self.version)),
        ];
        members.retain(|(_, member)| !matches!(member, Member::Number(0)));
        object(&members)
    }
}

/// One entry as it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 0.
    pub seq: u64,
    /// `store`, `retrieve`, `rollback` ...
    pub operation: String,
    /// Nanoseconds since 1970, of which microseconds are kept.
    pub created_ns: u64,
    /// SHA-256 of the JSON before.
    pub prev: [u8; 32],
    /// SHA-256 of salt and detail.
    pub commitment: [u8; 32],
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A hash as entries write it.
pub fn tagged(hash: &[u8; 32]) -> String {
    format!("sha256:{}", hex(hash))
}

impl Entry {
    /// Its canonical JSON, without its own hash.
    pub fn json(&self) -> String {
        object(&[
            ("detail_commitment", Member::Text(&tagged(&self.commitment))),
            ("operation", Member::Text(&self.operation)),
            ("prev", Member::Text(&tagged(&self.prev))),
            ("seq", Member::Number(self.seq)),
            ("timestamp", Member::Text(&timestamp(self.created_ns))),
        ])
    }
}

/// RFC 3339 in UTC with six digits.
pub fn timestamp(created_ns: u64) -> String {
    let (seconds, micros) = (created_ns / 1_000_000_000, created_ns / 1000 % 1_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day since 1970-01-01; Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", civil_from_days, for days that are not negative.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The node that holds entry `seq`.
pub fn node_id(seq: u64) -> NodeId {
    let mut id = [0xffu8; 16];
    id.iter_mut().skip(8).zip(seq.to_be_bytes()).for_each(|(to, from)| *to = from);
    NodeId(id)
}

/// Seals a detail with a fresh salt; gives the commitment and the envelope.
pub fn seal_detail(sealer: &Sealer, seq: u64, detail: &Detail) -> Result<([u8; 32], Vec<u8>)> {
    let salt = random::<16>()?;
    let json = detail.json();
    let commitment = sha256(&[&salt, json.as_bytes()]);
    let mut plain = salt.to_vec();
    plain.put_bytes(detail.agent_id.as_bytes());
    plain.put_bytes(detail.memory_type.as_bytes());
    plain.put_bytes(detail.justification.as_bytes());
    plain.put_bytes(detail.root.as_bytes());
    plain.put_varint(detail.version);
    plain.put_varint(detail.count);
    plain.put_varint(detail.clock_behind_us);
    let mut out = Vec::new();
    let place = Place { kind: kind::DETAIL, id: node_id(seq) };
    with_scratch(|scratch| sealer.seal(scratch, place, Committed::No, &plain, &mut out))?;
    Ok((commitment, out))
}

/// An entry and its sealed detail as one record.
pub fn encode(entry: &Entry, namespace: &[u8; 16], detail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u64(entry.seq);
    out.put_bytes(entry.operation.as_bytes());
    out.put_u64(entry.created_ns);
    out.extend_from_slice(&entry.prev);
    out.extend_from_slice(&entry.commitment);
    out.extend_from_slice(namespace);
    out.extend_from_slice(detail);
    out
}

/// A record as read: the entry, its namespace and its sealed detail.
pub fn decode(record: &[u8]) -> Result<(Entry, [u8; 16], Vec<u8>)> {
    let mut take = Take::new(record);
    let entry = Entry {
        seq: take.u64()?,
        operation: take.text()?.to_owned(),
        created_ns: take.u64()?,
        prev: take.array()?,
        commitment: take.array()?,
    };
    Ok((entry, take.array()?, take.rest().to_vec()))
}

impl Detail {
    /// Opens a sealed detail and proves it against its entry.
    pub fn open(sealer: &Sealer, entry: &Entry, sealed: &[u8]) -> Result<(Self, [u8; 16])> {
        let place = Place { kind: kind::DETAIL, id: node_id(entry.seq) };
        let plain = with_scratch(|scratch| sealer.open(scratch, place, Committed::No, sealed))?;
        let mut take = Take::new(&plain);
        let salt: [u8; 16] = take.array()?;
        let detail = Detail {
            agent_id: take.text()?.to_owned(),
            memory_type: take.text()?.to_owned(),
            justification: take.text()?.to_owned(),
            root: take.text()?.to_owned(),
            version: take.varint()?,
            count: take.varint()?,
            clock_behind_us: take.varint()?,
        };
        take.done()?;
        if sha256(&[&salt, detail.json().as_bytes()]) != entry.commitment {
            return Err(Error::new("tampered", "a ledger entry's detail is not the one it names")
                .with("seq", entry.seq));
        }
        Ok((detail, salt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(951_782_400_000_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(timestamp(1_754_130_600_123_456_789), "2025-08-02T10:30:00.123456Z");
        assert_eq!(timestamp(4_107_542_399_999_999_999), "2100-02-28T23:59:59.999999Z");
    }

    #[test]
    fn an_entry_is_canonical_json() {
        let entry = Entry {
            seq: 7,
            operation: "store".into(),
            created_ns: 0,
            prev: [0; 32],
            commitment: [255; 32],
        };
        let expected = format!(
            "{{\"detail_commitment\":\"sha256:{}\",\"operation\":\"store\",\
             \"prev\":\"sha256:{}\",\"seq\":7,\"timestamp\":\"1970-01-01T00:00:00.000000Z\"}}",
            "ff".repeat(32),
            "00".repeat(32)
        );
        assert_eq!(entry.json(), expected);
    }
}
