//! Vectors of documents as a namespace's map holds them, and the spaces that they lie in.
//!
//! | key | value |
//! |---|---|
//! | `s` ‖ space | model (varint length and text), dimension varint |
//! | `w` ‖ space ‖ 00 ‖ document's id ‖ part u8 | a part of a vector record |
//!
//! A vector record: class u8, expires u64 (ns, 0 for never; that of the document), then the
//! components of a vector of length 1, floats of 16 bits each. It is cut every
//! [`MAX_INLINE_BYTES`], so that no part is a blob, and many vectors lie side by side in one leaf.
//! What a class means, whoever embeds decides: searches are told which of them they may see.

use super::documents::DocumentId;
use crate::error::{Error, Result};
use crate::tree::{Entry, MAX_INLINE_BYTES, Map, Nodes, Range};
use crate::vector::{MOST_COMPONENTS, Metric, half};
use crate::wire::{Put, Take};
use std::collections::{BTreeMap, HashMap};

/// What the keys of all spaces begin with.
pub const SPACES: &[u8] = b"s";
/// What the keys of all vectors begin with.
pub const VECTORS: &[u8] = b"w";
/// Longest name of a space.
const MAX_SPACE_BYTES: usize = 255;
/// Longest name of a model.
const MAX_MODEL_BYTES: usize = 1024;
/// Class and expiry.
const HEADER_BYTES: usize = 9;
/// How far the length of a vector of 16-bit components may be from 1: they are rounded by 2^-11.
const SLACK: f32 = 1e-3;

/// What the vectors of a space have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorSpace {
    /// What made them.
    pub model: String,
    /// Components of each.
    pub dimension: usize,
}

impl VectorSpace {
    /// A space that can be.
    pub fn new(model: &str, dimension: usize) -> Result<Self> {
        check_text("a model", model, MAX_MODEL_BYTES)?;
        if !(1..=MOST_COMPONENTS).contains(&dimension) {
            let what = format!("a dimension is from 1 to {MOST_COMPONENTS}, not {dimension}");
            return Err(Error::new("vector-setting", what));
        }
        Ok(VectorSpace { model: model.to_owned(), dimension })
    }

    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_bytes(self.model.as_bytes());
        out.put_varint(self.dimension as u64);
        out
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let (model, dimension) = (take.text()?, take.varint()?);
        take.done()?;
        let dimension = usize::try_from(dimension).unwrap_or(usize::MAX);
        VectorSpace::new(model, dimension)
            .map_err(|_| Error::new("malformed", "a space that cannot be"))
    }

    /// How long the record of a vector is.
    fn record_bytes(&self) -> usize {
        HEADER_BYTES + 2 * self.dimension
    }

    /// How many parts a vector has.
    pub fn parts(&self) -> usize {
        self.record_bytes().div_ceil(MAX_INLINE_BYTES)
    }

    /// The keys of a document's vector, ascending.
    pub fn keys(&self, space: &str, id: &DocumentId) -> impl Iterator<Item = Vec<u8>> + use<> {
        let mut key = vectors_prefix(space);
        key.extend_from_slice(id);
        // At most 17 parts: 4,096 components of two bytes.
        (0..self.parts() as u8).map(move |part| [key.as_slice(), &[part]].concat())
    }
}

/// Spaces by name.
pub type Spaces = BTreeMap<String, VectorSpace>;

/// The keys of a document's vectors in all spaces.
pub fn keys_of(spaces: &Spaces, id: &DocumentId) -> impl Iterator<Item = Vec<u8>> {
    spaces.iter().flat_map(move |(name, space)| space.keys(name, id))
}

/// The spaces of a namespace.
pub fn spaces(nodes: &dyn Nodes, map: &Map) -> Result<Spaces> {
    let spaces = map.prefixed(nodes, SPACES)?.into_iter();
    let space = |entry: Entry| {
        Ok((space_of(&entry.key)?, VectorSpace::decode(&entry.value.whole(nodes)?)?))
    };
    spaces.map(space).collect()
}

/// Every vector must belong to a document, and end with it; these are when documents do.
pub fn check_vectors(
    nodes: &dyn Nodes,
    map: &Map,
    documents: &HashMap<DocumentId, u64>,
) -> Result<()> {
    for (name, space) in spaces(nodes, map)? {
        let (mut records, mut vector) = (Records::new(&name, &space), Vec::new());
        map.visit(nodes, &vectors_range(&name), &mut |key, value, _| {
            vector.clear();
            let Some((id, _, expires_ns)) = records.part(key, value, &mut vector)? else {
                return Ok(());
            };
            match documents.get(&id) == Some(&expires_ns) {
                true => Ok(()),
                false => Err(malformed("a vector belongs to no document")),
            }
        })?;
        records.done()?;
    }
    Ok(())
}

/// A vector of a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// Which searches may see it.
    pub class: u8,
    /// When its document ceases to be there; 0 for never.
    pub expires_ns: u64,
    /// The vector, of length 1.
    pub vector: Vec<f32>,
}

impl Embedded {
    /// Of a vector of any length but none, which the space can take.
    pub fn new(space: &VectorSpace, vector: &[f32]) -> Result<Self> {
        if vector.len() != space.dimension {
            let what = format!(
                "a vector of {} components for a space of {}",
                vector.len(),
                space.dimension
            );
            return Err(
                Error::new("vector-dimension", what).with("dimension", space.dimension as u64)
            );
        }
        let mut lines = Vec::new();
        Metric::Cosine.prepare(vector, &mut lines)?;
        let vector = lines.iter().flat_map(|line| line.0).take(space.dimension).collect();
        Ok(Embedded { vector, ..Embedded::default() })
    }

    /// The parts of the record.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let mut record = Vec::with_capacity(HEADER_BYTES + 2 * self.vector.len());
        record.put_u8(self.class);
        record.put_u64(self.expires_ns);
        half::put(&self.vector, &mut record);
        record.chunks(MAX_INLINE_BYTES).map(<[u8]>::to_vec).collect()
    }
}

/// Puts the records of a space together from parts, which come as their keys ascend.
pub struct Records<'a> {
    space: &'a VectorSpace,
    /// Of the keys.
    prefix: Vec<u8>,
    id: DocumentId,
    /// What is there of a record.
    record: Vec<u8>,
}

impl<'a> Records<'a> {
    /// Of the space of this name.
    pub fn new(name: &str, space: &'a VectorSpace) -> Self {
        let (prefix, record) = (vectors_prefix(name), Vec::new());
        Records { space, prefix, id: DocumentId::default(), record }
    }

    /// Takes a part; gives the document's id and header of a record that it completes, the components
    /// of which it adds to `vectors`.
    pub fn part(
        &mut self,
        key: &[u8],
        value: &[u8],
        vectors: &mut Vec<f32>,
    ) -> Result<Option<(DocumentId, u8, u64)>> {
        let (id, part) = place(&self.prefix, key)?;
        if self.record.is_empty() {
            self.id = id;
        }
        let due = self.record.len() / MAX_INLINE_BYTES;
        if self.id != id || usize::from(part) != due {
            return Err(malformed("a part of a vector is missing"));
        }
        let left = self.space.record_bytes() - self.record.len();
        if value.len() != left.min(MAX_INLINE_BYTES) {
            return Err(malformed("a part of a vector has another length"));
        }
        self.record.extend_from_slice(value);
        if value.len() < left {
            return Ok(None);
        }
        let mut take = Take::new(&self.record);
        let (class, expires_ns) = (take.u8()?, take.u64()?);
        let start = vectors.len();
        let finite = half::take(take.rest(), vectors);
        let square: f32 = vectors.iter().skip(start).map(|value| value * value).sum();
        self.record.clear();
        match finite && (square - 1.0).abs() < 2.0 * SLACK {
            true => Ok(Some((id, class, expires_ns))),
            false => Err(malformed("a vector is not of length 1")),
        }
    }

    /// Nothing may be left over.
    pub fn done(&self) -> Result<()> {
        match self.record.is_empty() {
            true => Ok(()),
            false => Err(malformed("a vector ends before it is complete")),
        }
    }
}

fn malformed(what: &'static str) -> Error {
    Error::new("malformed", what)
}

/// A space's name must be text that keys can hold.
pub fn check_space(space: &str) -> Result<()> {
    check_text("a space", space, MAX_SPACE_BYTES)
}

fn check_text(what: &str, text: &str, most_bytes: usize) -> Result<()> {
    let problem = if text.is_empty() {
        format!("the name of {what} must not be empty")
    } else if text.len() > most_bytes {
        format!("the name of {what} is longer than {most_bytes} bytes of UTF-8")
    } else if text.contains('\0') {
        format!("the name of {what} must not hold a zero character")
    } else {
        return Ok(());
    };
    Err(Error::new("name", problem))
}

/// Key of a space.
pub fn space_key(space: &str) -> Vec<u8> {
    [SPACES, space.as_bytes()].concat()
}

/// The name of the space of a key.
fn space_of(key: &[u8]) -> Result<String> {
    let name = key.strip_prefix(SPACES).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or_else(|| malformed("a space has no name"))
}

/// What the keys of a space's vectors begin with.
pub fn vectors_prefix(space: &str) -> Vec<u8> {
    [VECTORS, space.as_bytes(), &[0]].concat()
}

/// The keys of a space's vectors.
pub fn vectors_range(space: &str) -> Range {
    Range::prefix(&vectors_prefix(space))
}

/// Document and part of a key.
pub fn place(prefix: &[u8], key: &[u8]) -> Result<(DocumentId, u8)> {
    let rest = key.strip_prefix(prefix).and_then(<[u8]>::split_last);
    let place = rest.and_then(|(part, id)| Some((id.try_into().ok()?, *part)));
    place.ok_or_else(|| malformed("a vector has a wrong key"))
}

#[cfg(test)]
mod tests {
    use super::super::mutate;
    use super::*;

    const ID: DocumentId = [7; 16];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn space(dimension: usize) -> Result<VectorSpace> {
        VectorSpace::new("model", dimension)
    }

    /// The class, expiry and vector of a record, cut as it would lie there.
    fn read(space: &VectorSpace, record: &[u8]) -> Result<(u8, u64, Vec<f32>)> {
        let (mut records, mut vector) = (Records::new("tasks", space), Vec::new());
        let mut header = None;
        for (part, bytes) in record.chunks(MAX_INLINE_BYTES).enumerate() {
            let mut key = [vectors_prefix("tasks").as_slice(), &ID].concat();
            key.push(part as u8);
            header = records.part(&key, bytes, &mut vector)?;
        }
        records.done()?;
        let (_, class, expires_ns) = header.ok_or_else(|| malformed("no record"))?;
        Ok((class, expires_ns, vector))
    }

    #[test]
    fn the_record_and_key_of_the_page() -> Result<()> {
        let space = space(2)?;
        let vector = Embedded { class: 1, expires_ns: 5, ..Embedded::new(&space, &[3.0, 4.0])? };
        assert_eq!(hex(&vector.encode().concat()), "010500000000000000cd38663a");
        let keys: Vec<_> = space.keys("tasks", &ID).map(|key| hex(&key)).collect();
        assert_eq!(keys, [format!("777461736b7300{}00", "07".repeat(16))]);
        Ok(())
    }

    #[test]
    fn a_vector_of_any_dimension_comes_back_from_parts_that_are_no_blobs() -> Result<()> {
        for dimension in [1, 2, 251, 252, 507, 508, 4_096] {
            let space = space(dimension)?;
            let wave: Vec<_> = (1..=dimension).map(|at| (at as f32).sin()).collect();
            let vector = Embedded { class: 9, expires_ns: 3, ..Embedded::new(&space, &wave)? };
            let parts = vector.encode();
            assert_eq!(parts.len(), space.parts());
            assert!(parts.iter().all(|part| part.len() <= MAX_INLINE_BYTES));
            let (class, expires_ns, read) = read(&space, &parts.concat())?;
            assert_eq!((class, expires_ns, read.len()), (9, 3, dimension));
            let error = read.iter().zip(&vector.vector).map(|(a, b)| (a - b).abs());
            assert!(error.fold(0.0, f32::max) < 5e-4);
            // What was read is written as it was.
            assert_eq!(Embedded { vector: read, ..vector }.encode(), parts);
        }
        Ok(())
    }

    #[test]
    fn records_of_vectors_of_any_bytes() -> Result<()> {
        let space = space(300)?;
        let wave: Vec<_> = (1..=300).map(|at| (at as f32).cos()).collect();
        let vector = Embedded { class: 1, expires_ns: 2, ..Embedded::new(&space, &wave)? };
        let counts = mutate::fuzz("vector", &[vector.encode().concat()], |bytes| {
            let (class, expires_ns, vector) = read(&space, bytes)?;
            assert_eq!(Embedded { class, expires_ns, vector }.encode().concat(), bytes);
            Ok::<_, Error>(())
        });
        assert!(counts.others_accepted > 0);
        Ok(())
    }

    #[test]
    fn spaces_of_any_bytes() -> Result<()> {
        let corpus = [space(1)?.encode(), space(4_096)?.encode()];
        let counts = mutate::fuzz("space", &corpus, |bytes| {
            assert_eq!(VectorSpace::decode(bytes)?.encode(), bytes);
            Ok::<_, Error>(())
        });
        assert!(counts.others_accepted > 0);
        Ok(())
    }

    #[test]
    fn keys_of_vectors_of_any_bytes() -> Result<()> {
        let (space, prefix) = (space(300)?, vectors_prefix("tasks"));
        let keys: Vec<_> = space.keys("tasks", &ID).collect();
        let counts = mutate::fuzz("key of a vector", &keys, |key| {
            let (id, part) = place(&prefix, key)?;
            assert_eq!([prefix.as_slice(), &id, &[part]].concat(), key);
            Ok::<_, Error>(())
        });
        assert!(counts.others_accepted > 0);
        Ok(())
    }

    #[test]
    fn a_record_without_one_of_its_parts_is_refused() -> Result<()> {
        let space = space(600)?;
        let parts = Embedded::new(&space, &[1.0; 600])?.encode();
        let keys: Vec<_> = space.keys("tasks", &ID).collect();
        for missing in 0..parts.len() {
            let mut records = Records::new("tasks", &space);
            let mut rest = keys.iter().zip(&parts).enumerate().filter(|(at, _)| *at != missing);
            let read = rest.try_for_each(|(_, (key, part))| {
                records.part(key, part, &mut Vec::new()).map(drop)
            });
            assert!(read.and_then(|()| records.done()).is_err());
        }
        Ok(())
    }
}
