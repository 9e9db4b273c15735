//! What the maps hold: names and namespaces in the top map, versions in a namespace's map.
//!
//! | map | key | value |
//! |---|---|---|
//! | top | `n` ‖ HMAC(store key, name) | namespace id (16), branch u64 |
//! | top | `r` ‖ namespace id | an envelope of kind `ROOT` under the namespace's key with its map |
//! | namespace | `b` ‖ branch | the branch's name |
//! | namespace | `g` ‖ when it was dropped (ns) ‖ branch ‖ number | the version record it was |
//! | namespace | `t` ‖ tag | branch u64, number u64 |
//! | namespace | `v` ‖ branch ‖ number | a version record |
//!
//! Numbers in keys are u64, big endian. A version record: number varint, created u64 (ns), base,
//! restores, written bytes and total bytes varints; source u8 0, or 1, its name and number varint;
//! tags (varint count, each varint length and text); justification; the state's root as in the head;
//! the blueprint and the table of its classes, each as a value in a leaf and then its blob's id.

use super::head::{put_map, take_map};
use crate::error::{Error, Result};
use crate::keys::Key;
use crate::seal::{Committed, NodeId, Place, Sealer, hmac, kind, with_scratch};
use crate::tree::{Blob, Map, Node, Value, put_value, take_value};
use crate::wire::{Put, Take};

/// Longest name of a namespace or branch.
pub const MAX_NAME_BYTES: usize = 1024;
/// Longest tag.
pub const MAX_TAG_BYTES: usize = 255;
/// What the names of namespaces of our own begin with: no user's name can.
pub const RESERVED: char = '\0';
/// What the name begins with under which a class's Shared values are saved; its kind follows.
pub const SHARED: &str = "\0shared:";
/// The branch that a namespace begins with.
pub const MAIN: u64 = 0;

/// One version of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Version {
    /// From 1, in the order of commits to its branch.
    pub number: u64,
    /// When it was saved.
    pub created_ns: u64,
    /// The version it follows; 0 for the first.
    pub base: u64,
    /// The version it is equal to, when it came from a rollback; else 0.
    pub restores: u64,
    /// Bytes of the nodes that were written for it.
    pub written_bytes: u64,
    /// The same of all versions of its branch up to it.
    pub total_bytes: u64,
    /// Name and number of the version that it was forked or copied from.
    pub source: Option<(String, u64)>,
    /// Names it goes by.
    pub tags: Vec<String>,
    /// Why, in the caller's words.
    pub justification: String,
    /// The state; None when it has no values.
    pub state: Option<Node>,
    /// The blueprint.
    pub blueprint: Value,
    /// The table of its classes.
    pub schema: Value,
}

impl Version {
    /// The blobs that its record refers to beside the state.
    pub fn beside(&self) -> impl Iterator<Item = Blob> + use<> {
        [self.blueprint.blob, self.schema.blob].into_iter().flatten()
    }

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
        hex(&self.state.as_ref().map(|root| root.hash).unwrap_or_default())
    }

    /// Equal for equal content, however it came about: hash of state, blueprint and classes in hex.
    pub fn fingerprint_hex(&self) -> String {
        let state = self.state.as_ref();
        let hash = state.map(|root| root.hash).unwrap_or_default();
        let keys = state.and_then(|root| root.keys).unwrap_or_default().0;
        let blob = |value: &Value| value.blob.map(|blob| blob.hash).unwrap_or_default();
        let (blueprint, schema) = (blob(&self.blueprint), blob(&self.schema));
        let inline_bytes = (self.blueprint.inline.len() as u64).to_be_bytes();
        let parts: [&[u8]; 8] = [
            b"dachi_fast fingerprint",
            &hash,
            &keys,
            &blueprint,
            &schema,
            &inline_bytes,
            &self.blueprint.inline,
            &self.schema.inline,
        ];
        hex(&crate::seal::sha256(&parts))
    }

    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(self.number);
        out.put_u64(self.created_ns);
        for number in [self.base, self.restores, self.written_bytes, self.total_bytes] {
            out.put_varint(number);
        }
        out.put_u8(u8::from(self.source.is_some()));
        if let Some((name, number)) = &self.source {
            out.put_bytes(name.as_bytes());
            out.put_varint(*number);
        }
        out.put_varint(self.tags.len() as u64);
        self.tags.iter().for_each(|tag| out.put_bytes(tag.as_bytes()));
        out.put_bytes(self.justification.as_bytes());
        put_map(&Map { root: self.state.clone() }, &mut out);
        put_whole(&self.blueprint, &mut out);
        put_whole(&self.schema, &mut out);
        out
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let mut version = Version {
            number: take.varint()?,
            created_ns: take.u64()?,
            base: take.varint()?,
            restores: take.varint()?,
            written_bytes: take.varint()?,
            total_bytes: take.varint()?,
            ..Version::default()
        };
        if take.flag()? {
            version.source = Some((take.text()?.to_owned(), take.varint()?));
        }
        for _ in 0..take.count()? {
            version.tags.push(take.text()?.to_owned());
        }
        version.justification = take.text()?.to_owned();
        version.state = take_map(&mut take)?.root;
        version.blueprint = take_whole(&mut take)?;
        version.schema = take_whole(&mut take)?;
        take.done()?;
        Ok(version)
    }
}

/// A value as in a leaf; its blob's id, if it has one, follows.
fn put_whole(value: &Value, out: &mut Vec<u8>) {
    let mut id = Vec::new();
    put_value(&value.inline, value.blob.as_ref(), out, &mut id);
    out.extend_from_slice(&id);
}

fn take_whole(take: &mut Take<'_>) -> Result<Value> {
    let (inline, mut blob) = take_value(take, &mut Take::new(&[0; 16]))?;
    if let Some(blob) = &mut blob {
        blob.id = NodeId(take.array()?);
    }
    Ok(Value { inline: inline.to_vec(), blob })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A branch, and a number in it, as names and tags lead to them.
pub fn numbers(bytes: &[u8]) -> Result<(u64, u64)> {
    let mut take = Take::new(bytes);
    let found = (take.u64()?, take.u64()?);
    take.done()?;
    Ok(found)
}

fn key(prefix: u8, numbers: &[u64]) -> Vec<u8> {
    let mut key = vec![prefix];
    numbers.iter().for_each(|number| key.extend_from_slice(&number.to_be_bytes()));
    key
}

/// Key of a name in the top map.
pub fn name_key(store_key: &Key, name: &str) -> Vec<u8> {
    let mut key = NAMES.to_vec();
    key.extend_from_slice(&hmac(store_key.bytes(), &[b"name", name.as_bytes()]));
    key
}

/// Key of a namespace's root record in the top map.
pub fn root_key(namespace: &[u8; 16]) -> Vec<u8> {
    let mut key = vec![b'r'];
    key.extend_from_slice(namespace);
    key
}

/// Key of a branch in a namespace's map.
pub fn branch_key(branch: u64) -> Vec<u8> {
    key(b'b', &[branch])
}

/// What the keys of names in the top map begin with.
pub const NAMES: &[u8] = b"n";
/// What the keys of all branches begin with.
pub const BRANCHES: &[u8] = b"b";
/// What the keys of all dropped versions begin with, oldest first.
pub const DROPPED: &[u8] = b"g";
/// What the keys of all branches' versions begin with.
pub const VERSIONS: &[u8] = b"v";

/// What the keys of a branch's versions begin with.
pub fn versions_prefix(branch: u64) -> Vec<u8> {
    key(b'v', &[branch])
}

/// Key of a version in a namespace's map.
pub fn version_key(branch: u64, number: u64) -> Vec<u8> {
    key(b'v', &[branch, number])
}

/// Key of a version that was dropped.
pub fn dropped_key(dropped_ns: u64, branch: u64, number: u64) -> Vec<u8> {
    key(b'g', &[dropped_ns, branch, number])
}

/// When the version of this key was dropped.
pub fn dropped_ns(key: &[u8]) -> Result<u64> {
    let time = key.get(1..9).and_then(|time| time.try_into().ok());
    let time = time.ok_or_else(|| Error::new("malformed", "a dropped version has a wrong key"))?;
    Ok(u64::from_be_bytes(time))
}

/// Key of a tag in a namespace's map.
pub fn tag_key(tag: &str) -> Vec<u8> {
    let mut key = vec![b't'];
    key.extend_from_slice(tag.as_bytes());
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

/// What a name holds, as the ledger says it.
pub fn memory_type(name: &str) -> &'static str {
    if name.starts_with(SHARED) { "shared" } else { "state" }
}

/// A tag must be text that is no version's number.
pub fn check_tag(tag: &str) -> Result<()> {
    let problem = if tag.is_empty() {
        "a tag must not be empty"
    } else if tag.len() > MAX_TAG_BYTES {
        "a tag is longer than 255 bytes of UTF-8"
    } else if tag.contains('\0') {
        "a tag must not hold a zero character"
    } else if tag.bytes().all(|byte| byte.is_ascii_digit()) {
        "a tag must not be a number: numbers are versions"
    } else {
        return Ok(());
    };
    Err(Error::new("name", problem))
}

#[cfg(test)]
mod tests {
    use super::super::mutate;
    use super::*;
    use crate::seal::{Context, Epochs};
    use crate::tree::Node;

    #[test]
    fn roots_of_namespaces_of_any_bytes() {
        let context = Context { store: [1; 16], namespace: [2; 16] };
        let sealer = Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32]);
        let plain = |map: &Map| {
            let mut out = Vec::new();
            put_map(map, &mut out);
            out
        };
        let (hash, id) = ([7; 32], NodeId([6; 16]));
        let (height, packed, keys) = (1, false, None);
        let root = Node { height, packed, hash, id, keys, entries: 300, size_bytes: 1 << 40 };
        let maps = [Map::default(), Map { root: Some(root) }];
        let seal = |plain: &[u8]| {
            let (mut out, place) = (Vec::new(), root_place(&context.namespace));
            with_scratch(|s| sealer.seal(s, place, Committed::Yes, plain, &mut out)).map(|()| out)
        };
        let counts = mutate::fuzz("root, sealed", &maps.each_ref().map(plain), |bytes| {
            open_root(&sealer, &seal(bytes)?).map(|map| assert_eq!(plain(&map), bytes))
        });
        assert!(counts.others_accepted > 0);
        let sealed: Vec<_> = maps.iter().filter_map(|map| seal_root(&sealer, map).ok()).collect();
        let counts = mutate::fuzz("root", &sealed, |bytes| open_root(&sealer, bytes).map(drop));
        assert_eq!(counts.others_accepted, 0, "opened what nobody sealed");
    }

    #[test]
    fn branches_and_numbers_of_any_bytes() {
        let counts = mutate::fuzz("branch and number", &[vec![7; 16]], |bytes| {
            let (branch, number) = numbers(bytes)?;
            assert_eq!([branch.to_le_bytes(), number.to_le_bytes()].concat(), bytes);
            Ok::<_, Error>(())
        });
        assert!(counts.others_accepted > 0);
    }
}
