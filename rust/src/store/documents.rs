//! Documents as a namespace's map holds them, and the indexes that lead to them.
//!
//! | key | value |
//! |---|---|
//! | `d` ‖ type ‖ 00 ‖ id | a document record |
//! | `e` ‖ when it expires (ns, u64 big endian) ‖ id | the type |
//! | `i` ‖ type | the type's indexes: varint count, for each one a varint count of fields, each varint length and text |
//! | `x` ‖ type ‖ 00 ‖ number u8 ‖ order ‖ id | empty |
//!
//! An id has 16 bytes, the first 8 of which are a time: ids ascend as documents are stored. A type
//! is text without a zero byte. A document record: created u64 (ns), updated u64 (ns), expires u64
//! (ns, 0 for never), its entries in indexes (varint count, for each one number u8, varint length
//! and order), then the encoded value. What `order` says of a document, whoever stores it decides:
//! here it is bytes, kept in the record so that they are found again.

use super::vectors::{SPACES, Spaces, VECTORS, keys_of};
use crate::error::{Error, Result};
use crate::tree::{Entry, Map, Nodes, Order, Range};
use crate::wire::{Put, Take};

/// What the keys of all documents begin with.
const DOCUMENTS: &[u8] = b"d";
/// What the keys of all documents that expire begin with, the first to do so first.
const EXPIRIES: &[u8] = b"e";
/// What the keys of all that belongs to documents begin with.
const COLLECTIONS: [&[u8]; 6] = [DOCUMENTS, EXPIRIES, b"i", SPACES, VECTORS, b"x"];
/// Entries that are read at once when all are wanted.
const PAGE: usize = 1024;
/// Longest name of a type.
const MAX_TYPE_BYTES: usize = 255;
/// Most indexes of a type.
const MAX_INDEXES: usize = 64;
/// Longest order in an index: a key has 4,096 bytes at most, and an index full of long ones is slow.
const MAX_ORDER_BYTES: usize = 2_048;

/// A document's id.
pub type DocumentId = [u8; 16];

/// Fields of each index of a type, by number.
pub type Indexes = Vec<Vec<String>>;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// When it was stored.
    pub created_ns: u64,
    /// When it was replaced last; at first the same.
    pub updated_ns: u64,
    /// When it ceases to be there; 0 for never.
    pub expires_ns: u64,
    /// Where indexes have it: number and order.
    pub entries: Vec<(u8, Vec<u8>)>,
    /// The encoded value.
    pub value: Vec<u8>,
}

impl Document {
    /// Whether it is there at a time.
    pub fn lives(&self, now_ns: u64) -> bool {
        self.expires_ns == 0 || now_ns < self.expires_ns
    }

    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.len() + 64);
        out.put_u64(self.created_ns);
        out.put_u64(self.updated_ns);
        out.put_u64(self.expires_ns);
        out.put_varint(self.entries.len() as u64);
        for (number, order) in &self.entries {
            out.put_u8(*number);
            out.put_bytes(order);
        }
        out.extend_from_slice(&self.value);
        out
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let mut document = Document {
            created_ns: take.u64()?,
            updated_ns: take.u64()?,
            expires_ns: take.u64()?,
            ..Document::default()
        };
        for _ in 0..take.count()? {
            document.entries.push((take.u8()?, take.bytes()?.to_vec()));
        }
        document.value = take.rest().to_vec();
        Ok(document)
    }

    /// The keys that lead to it from indexes and from when it expires.
    pub fn leading(&self, kind: &str, id: &DocumentId) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let entries = self.entries.iter().map(move |(number, order)| {
            let mut key = index_prefix(kind, *number);
            key.extend_from_slice(order);
            key.extend_from_slice(id);
            (key, Vec::new())
        });
        let expires_ns = Some(self.expires_ns).filter(|expires_ns| *expires_ns > 0);
        let expiry = expires_ns.map(|at| (expiry_key(at, id), kind.as_bytes().to_vec()));
        entries.chain(expiry)
    }

    /// Orders must fit into keys.
    pub fn check(&self) -> Result<()> {
        let longest = self.entries.iter().map(|(_, order)| order.len()).max();
        if longest.unwrap_or(0) <= MAX_ORDER_BYTES {
            return Ok(());
        }
        let what = "an indexed field of a document is too long: an index takes 2,048 bytes";
        Err(Error::new("too-large", what))
    }
}

/// Writes the indexes of a type.
pub fn encode_indexes(indexes: &Indexes) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_varint(indexes.len() as u64);
    for fields in indexes {
        out.put_varint(fields.len() as u64);
        fields.iter().for_each(|field| out.put_bytes(field.as_bytes()));
    }
    out
}

/// Reads what [`encode_indexes`] wrote.
pub fn decode_indexes(bytes: &[u8]) -> Result<Indexes> {
    let mut take = Take::new(bytes);
    let mut indexes = Indexes::new();
    for _ in 0..take.count()? {
        let count = take.count()?;
        let fields = (0..count).map(|_| Ok(take.text()?.to_owned())).collect::<Result<_>>()?;
        indexes.push(fields);
    }
    take.done()?;
    Ok(indexes)
}

/// A number of an index is a byte.
pub fn check_indexes(indexes: &Indexes) -> Result<()> {
    if indexes.len() <= MAX_INDEXES && indexes.iter().all(|fields| !fields.is_empty()) {
        return Ok(());
    }
    Err(Error::new("name", "a type has at most 64 indexes, each of one field or more"))
}

/// A type must be text that keys can hold.
pub fn check_type(kind: &str) -> Result<()> {
    let problem = if kind.is_empty() {
        "a memory type must not be empty"
    } else if kind.len() > MAX_TYPE_BYTES {
        "a memory type is longer than 255 bytes of UTF-8"
    } else if kind.contains('\0') {
        "a memory type must not hold a zero character"
    } else {
        return Ok(());
    };
    Err(Error::new("name", problem))
}

fn prefix(first: u8, kind: &str) -> Vec<u8> {
    let mut key = vec![first];
    key.extend_from_slice(kind.as_bytes());
    key.push(0);
    key
}

/// What the keys of a type's documents begin with.
pub fn documents_prefix(kind: &str) -> Vec<u8> {
    prefix(b'd', kind)
}

/// What the keys of one of its indexes begin with.
pub fn index_prefix(kind: &str, number: u8) -> Vec<u8> {
    let mut key = prefix(b'x', kind);
    key.push(number);
    key
}

/// Key of a document.
pub fn document_key(kind: &str, id: &DocumentId) -> Vec<u8> {
    let mut key = documents_prefix(kind);
    key.extend_from_slice(id);
    key
}

/// Key of a type's indexes.
pub fn indexes_key(kind: &str) -> Vec<u8> {
    let mut key = vec![b'i'];
    key.extend_from_slice(kind.as_bytes());
    key
}

fn expiry_key(expires_ns: u64, id: &DocumentId) -> Vec<u8> {
    let mut key = EXPIRIES.to_vec();
    key.extend_from_slice(&expires_ns.to_be_bytes());
    key.extend_from_slice(id);
    key
}

/// The keys of documents that have expired by a time.
pub fn expired(now_ns: u64) -> Range {
    let end = expiry_key(now_ns.saturating_add(1), &[0; 16]);
    Range { start: EXPIRIES.to_vec(), end: Some(end) }
}

/// The id at the end of a key that leads to a document.
pub fn id_of(key: &[u8]) -> Result<DocumentId> {
    let id = key.last_chunk::<16>().copied();
    id.ok_or_else(|| Error::new("malformed", "an index leads to no document"))
}

/// A document, and the keys that are to go with it from its namespace's map, those of its vectors
/// among them; None if it is not there.
pub fn taken_out(
    nodes: &dyn Nodes,
    map: &Map,
    spaces: &Spaces,
    kind: &str,
    id: &DocumentId,
) -> Result<Option<(Document, Vec<Vec<u8>>)>> {
    let key = document_key(kind, id);
    let Some(record) = map.get(nodes, &key)? else { return Ok(None) };
    let document = Document::decode(&record)?;
    let leading = document.leading(kind, id).map(|(key, _)| key);
    let keys = leading.chain(keys_of(spaces, id)).chain([key]).collect();
    Ok(Some((document, keys)))
}

/// Calls `each` with every entry that belongs to documents, ascending in each collection.
pub fn each_entry(
    nodes: &dyn Nodes,
    map: &Map,
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    COLLECTIONS.iter().try_for_each(|collection| each_with(nodes, map, collection, each))
}

fn each_with(
    nodes: &dyn Nodes,
    map: &Map,
    prefix: &[u8],
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let mut range = Range::prefix(prefix);
    loop {
        let page = map.range(nodes, &range, Order::Ascending, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        range.start.clone_from(&last.key);
        range.start.push(0);
        page.into_iter().try_for_each(&mut *each)?;
    }
}

/// Calls `each` with the type, id and record of every document, by type and then as they were stored.
pub fn each_document(
    nodes: &dyn Nodes,
    map: &Map,
    each: &mut dyn FnMut(&str, DocumentId, Document) -> Result<()>,
) -> Result<()> {
    each_with(nodes, map, DOCUMENTS, &mut |entry| {
        let id = id_of(&entry.key)?;
        // Behind the collection's letter, and before a zero byte and the id.
        let kind = entry.key.get(DOCUMENTS.len()..entry.key.len().saturating_sub(id.len() + 1));
        let kind = std::str::from_utf8(kind.unwrap_or_default());
        let kind = kind.map_err(|_| Error::new("malformed", "a memory type is not UTF-8"))?;
        each(kind, id, Document::decode(&entry.value.whole(nodes)?)?)
    })
}

/// Whether this is the key of a document.
pub fn is_document(key: &[u8]) -> bool {
    key.starts_with(DOCUMENTS)
}

/// How many documents a namespace has, those that have expired included.
pub fn count(nodes: &dyn Nodes, map: &Map) -> Result<u64> {
    map.count(nodes, &Range::prefix(DOCUMENTS))
}
