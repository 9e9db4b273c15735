//! What the maps hold: names and namespaces in the top map, versions in a namespace's map.
//!
//! Top map: `n` ‖ HMAC(store key, name) -> namespace id (16); `r` ‖ namespace id -> the root record,
//! an envelope of kind `ROOT` under the namespace's key that holds its map. A namespace's map:
//! `n` -> its name; `b` ‖ branch -> the branch's latest number, u64; `v` ‖ branch ‖ 0 ‖ number
//! (big endian) -> a version record.

use super::head::{put_map, take_map};
use crate::error::{Error, Result};
use crate::keys::Key;
use crate::seal::{Committed, NodeId, Place, Sealer, hmac, kind, with_scratch};
use crate::tree::{Map, Node, Value, put_value, take_value};
use crate::wire::{Put, Take};

/// Longest name of a namespace or branch.
pub const MAX_NAME_BYTES: usize = 1024;
/// The branch that a namespace begins with.
pub const MAIN: &str = "main";

/// One version of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1, in the order of commits.
    pub number: u64,
    /// When it was saved.
    pub created_ns: u64,
    /// The version it follows; 0 for the first.
    pub base: u64,
    /// The version it is equal to, when it came from a rollback; else 0.
    pub restores: u64,
    /// Why, in the caller's words.
    pub justification: String,
    /// The state; None when it has no values.
    pub state: Option<Node>,
    /// The blueprint.
    pub blueprint: Value,
}

impl Version {
    /// How many values.
    pub fn entries(&self) -> u64 {
        self.state.as_ref().map_or(0, |root| root.entries)
    }

    /// How many bytes of encoded values.
    pub fn size_bytes(&self) -> u64 {
        self.state.as_ref().map_or(0, |root| root.size_bytes)
    }

    /// Hash of the state's root in hex; equal states of equal shape have equal ones.
    pub fn root_hex(&self) -> String {
        let hash = self.state.as_ref().map(|root| root.hash).unwrap_or_default();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.number);
        out.put_u64(self.created_ns);
        out.put_u64(self.base);
        out.put_u64(self.restores);
        out.put_bytes(self.justification.as_bytes());
        put_map(&Map { root: self.state.clone() }, &mut out);
        let mut ids = Vec::new();
        put_value(&self.blueprint.inline, self.blueprint.blob.as_ref(), &mut out, &mut ids);
        out.extend_from_slice(&ids);
        out
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let mut version = Version {
            number: take.u64()?,
            created_ns: take.u64()?,
            base: take.u64()?,
            restores: take.u64()?,
            justification: take.text()?.to_owned(),
            state: take_map(&mut take)?.root,
            blueprint: Value::default(),
        };
        // The ids follow the value; a blob's is the last 16 bytes.
        let tail = bytes.len().saturating_sub(16);
        let mut ids = Take::new(bytes.get(tail..).unwrap_or_default());
        let (inline, blob) = take_value(&mut take, &mut ids)?;
        version.blueprint = Value { inline: inline.to_vec(), blob };
        if take.rest().len() != if blob.is_some() { 16 } else { 0 } {
            return Err(Error::new("malformed", "a version record has a wrong length"));
        }
        Ok(version)
    }
}

/// Key of a name in the top map.
pub fn name_key(store_key: &Key, name: &str) -> Vec<u8> {
    let mut key = vec![b'n'];
    key.extend_from_slice(&hmac(store_key.bytes(), &[b"name", name.as_bytes()]));
    key
}

/// Key of a namespace's root record in the top map.
pub fn root_key(namespace: &[u8; 16]) -> Vec<u8> {
    let mut key = vec![b'r'];
    key.extend_from_slice(namespace);
    key
}

/// Key of a namespace's own name in its map.
pub fn own_name_key() -> Vec<u8> {
    vec![b'n']
}

/// Key of a branch in a namespace's map.
pub fn branch_key(branch: &str) -> Vec<u8> {
    let mut key = vec![b'b'];
    key.extend_from_slice(branch.as_bytes());
    key
}

/// What the keys of a branch's versions begin with.
pub fn versions_prefix(branch: &str) -> Vec<u8> {
    let mut key = vec![b'v'];
    key.extend_from_slice(branch.as_bytes());
    key.push(0);
    key
}

/// Key of a version in a namespace's map.
pub fn version_key(branch: &str, number: u64) -> Vec<u8> {
    let mut key = versions_prefix(branch);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn root_place(namespace: &[u8; 16]) -> Place {
    Place { kind: kind::ROOT, id: NodeId(*namespace) }
}

/// Seals a namespace's map root.
pub fn seal_root(sealer: &Sealer, map: &Map) -> Result<Vec<u8>> {
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    put_map(map, &mut plain);
    let place = root_place(&sealer.context().namespace);
    with_scratch(|scratch| sealer.seal(scratch, place, Committed::Yes, &plain, &mut out))?;
    Ok(out)
}

/// Opens what [`seal_root`] gave.
pub fn open_root(sealer: &Sealer, sealed: &[u8]) -> Result<Map> {
    let place = root_place(&sealer.context().namespace);
    let plain = with_scratch(|scratch| sealer.open(scratch, place, Committed::Yes, sealed))?;
    let mut take = Take::new(&plain);
    let map = take_map(&mut take)?;
    take.done()?;
    Ok(map)
}

/// A name must be text that can be written down again.
pub fn check_name(name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "a name must not be empty"
    } else if name.len() > MAX_NAME_BYTES {
        "a name is longer than 1024 bytes of UTF-8"
    } else if name.contains('\0') {
        "a name must not hold a zero character"
    } else {
        return Ok(());
    };
    Err(Error::new("name", problem))
}
