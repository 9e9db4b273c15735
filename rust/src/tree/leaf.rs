//! Entries: keys and values in leaves, whole or split into keys and values.

use super::blob::Blob;
use super::cut::Cut;
use super::keys::{KeyReader, KeyWriter};
use super::{Hash, Nodes};
use crate::error::{Error, Result};
use crate::seal::{NodeId, kind};
use crate::wire::{Put, Take};

/// Values longer than this are blobs.
pub const MAX_INLINE_BYTES: usize = 512;

/// A value as it lies in a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Value {
    /// Its first part.
    pub inline: Vec<u8>,
    /// What follows, if it is large.
    pub blob: Option<Blob>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Value,
}

impl Value {
    /// A value without a blob.
    pub fn inline(bytes: Vec<u8>) -> Self {
        Value { inline: bytes, blob: None }
    }

    /// How long it is in all.
    pub fn size_bytes(&self) -> u64 {
        self.inline.len() as u64 + self.blob.map_or(0, |blob| blob.size_bytes)
    }

    /// Whether two values are equal, whatever the ids of their nodes.
    pub fn same(&self, other: &Value) -> bool {
        let hash = |value: &Value| value.blob.map(|blob| (blob.hash, blob.size_bytes));
        self.inline == other.inline && hash(self) == hash(other)
    }
}

/// Reads what [`put_value`] wrote.
pub fn take_value<'a>(a: &mut Take<'a>, b: &mut Take<'_>) -> Result<(&'a [u8], Option<Blob>)> {
    let tag = a.varint()?;
    let inline = a.slice(usize::try_from(tag >> 1).unwrap_or(usize::MAX))?;
    let blob = if tag & 1 == 1 {
        let (size_bytes, form) = (a.varint()?, a.u8()?);
        let cut = if form & 1 == 0 { Cut::Fixed } else { Cut::Content };
        let (hash, id) = (a.array()?, NodeId(b.array()?));
        Some(Blob { hash, id, size_bytes, height: form >> 1, cut })
    } else {
        None
    };
    Ok((inline, blob))
}

fn owned(a: &mut Take<'_>, b: &mut Take<'_>) -> Result<Value> {
    take_value(a, b).map(|(inline, blob)| Value { inline: inline.to_vec(), blob })
}

/// Appends a value to the content and its blob's id to the ids.
pub fn put_value(inline: &[u8], blob: Option<&Blob>, a: &mut Vec<u8>, b: &mut Vec<u8>) {
    a.put_varint((inline.len() as u64) << 1 | u64::from(blob.is_some()));
    a.extend_from_slice(inline);
    if let Some(blob) = blob {
        a.put_varint(blob.size_bytes);
        a.put_u8(blob.height << 1 | u8::from(blob.cut == Cut::Content));
        a.extend_from_slice(&blob.hash);
        b.extend_from_slice(&blob.id.0);
    }
}

/// Content and ids of a whole leaf.
pub fn encode(entries: &[Entry]) -> (Vec<u8>, Vec<u8>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    a.put_varint(entries.len() as u64);
    let mut keys = KeyWriter::default();
    for entry in entries {
        keys.put(&entry.key, &mut a);
        put_value(&entry.value.inline, entry.value.blob.as_ref(), &mut a, &mut b);
    }
    (a, b)
}

/// The content of a keys node.
pub fn encode_keys<'a>(count: usize, keys: impl Iterator<Item = &'a [u8]>, a: &mut Vec<u8>) {
    a.put_varint(count as u64);
    let mut writer = KeyWriter::default();
    for key in keys {
        writer.put(key, a);
    }
}

/// Opens a framed node, proves its content, and hands content and ids to `read`.
pub fn framed<T>(
    nodes: &dyn Nodes,
    kind: u8,
    hash: &Hash,
    id: NodeId,
    read: impl FnOnce(&mut Take<'_>, &mut Take<'_>) -> Result<T>,
) -> Result<T> {
    let plain = nodes.proved(kind, hash, id)?;
    let mut b = Take::new(&plain);
    let content = b.bytes()?;
    let mut a = Take::new(content);
    let value = read(&mut a, &mut b)?;
    a.done()?;
    b.done()?;
    Ok(value)
}

/// The entries of a whole leaf.
pub fn read(nodes: &dyn Nodes, hash: &Hash, id: NodeId) -> Result<Vec<Entry>> {
    framed(nodes, kind::LEAF, hash, id, |a, b| {
        let mut keys = KeyReader::default();
        let mut entries = Vec::new();
        for _ in 0..a.count()? {
            let key = keys.take(a)?.to_vec();
            entries.push(Entry { key, value: owned(a, b)? });
        }
        Ok(entries)
    })
}

/// The values of ascending keys in a whole leaf; the other entries are not made.
pub fn pick(nodes: &dyn Nodes, hash: &Hash, id: NodeId, keys: &[Vec<u8>]) -> Result<Picked> {
    framed(nodes, kind::LEAF, hash, id, |a, b| {
        let mut reader = KeyReader::default();
        let mut picked = vec![None; keys.len()];
        let mut wanted = keys.iter().zip(&mut picked).peekable();
        for _ in 0..a.count()? {
            let key = reader.take(a)?;
            let (inline, blob) = take_value(a, b)?;
            while wanted.next_if(|(other, _)| other.as_slice() < key).is_some() {}
            if let Some((_, slot)) = wanted.next_if(|(other, _)| other.as_slice() == key) {
                *slot = Some(Value { inline: inline.to_vec(), blob });
            }
        }
        Ok(picked)
    })
}

/// The values of some keys, each where there is one.
pub type Picked = Vec<Option<Value>>;

/// The keys of a split leaf.
pub fn read_keys(nodes: &dyn Nodes, hash: &Hash, id: NodeId) -> Result<Vec<Vec<u8>>> {
    framed(nodes, kind::KEYS, hash, id, |a, _| {
        let mut reader = KeyReader::default();
        let mut keys = Vec::new();
        for _ in 0..a.count()? {
            keys.push(reader.take(a)?.to_vec());
        }
        Ok(keys)
    })
}

/// The values of a split leaf.
pub fn read_values(nodes: &dyn Nodes, hash: &Hash, id: NodeId) -> Result<Vec<Value>> {
    framed(nodes, kind::VALUES, hash, id, |a, b| {
        let mut values = Vec::new();
        for _ in 0..a.count()? {
            values.push(owned(a, b)?);
        }
        Ok(values)
    })
}

/// Keys and values of a split leaf, put together.
pub fn join(keys: Vec<Vec<u8>>, values: Vec<Value>) -> Result<Vec<Entry>> {
    if keys.len() != values.len() {
        return Err(Error::new("malformed", "a leaf has not as many values as keys"));
    }
    Ok(keys.into_iter().zip(values).map(|(key, value)| Entry { key, value }).collect())
}

/// Takes key, inline part and blob of an entry.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8], Option<Blob>) -> Result<()>;

/// Calls `each` with key and value of every entry of a whole leaf, without owning them.
pub fn visit(nodes: &dyn Nodes, hash: &Hash, id: NodeId, each: Visit<'_>) -> Result<()> {
    framed(nodes, kind::LEAF, hash, id, |a, b| {
        let mut reader = KeyReader::default();
        for _ in 0..a.count()? {
            let key = reader.take(a)?;
            let (inline, blob) = take_value(a, b)?;
            each(key, inline, blob)?;
        }
        Ok(())
    })
}

/// The same of a split leaf.
pub fn visit_split(
    nodes: &dyn Nodes,
    (keys_hash, keys_id): (&Hash, NodeId),
    (hash, id): (&Hash, NodeId),
    each: Visit<'_>,
) -> Result<()> {
    framed(nodes, kind::KEYS, keys_hash, keys_id, |keys, _| {
        let mut reader = KeyReader::default();
        framed(nodes, kind::VALUES, hash, id, |a, b| {
            let count = a.count()?;
            if keys.count()? != count {
                return Err(Error::new("malformed", "a leaf has not as many values as keys"));
            }
            for _ in 0..count {
                let key = reader.take(keys)?;
                let (inline, blob) = take_value(a, b)?;
                each(key, inline, blob)?;
            }
            Ok(())
        })
    })
}
