//! The head: the one mutable record, from which everything else is proved.
//!
//! On disk: `dachi_fast head\n` (16), format u32, store id (16), then an envelope of kind `HEAD`
//! under the store's own key, with a key commitment. Its content: commit u64, lineage (16), created
//! u64 (ns), last id u64, key generation u64, hash of `keys.sealed` (32), rotated u64 (ns), rotation
//! due u64 (ns), sealed u64, chain (32), ledger frontier, doomed namespaces (varint count, ids of
//! 16), swept u64, the top map (u8 0, or 1 and a reference).

use crate::error::{Error, Result};
use crate::ledger::Frontier;
use crate::seal::{Committed, NodeId, Place, Sealer, StoreId, kind, with_scratch};
use crate::tree::{Map, Node};
use crate::wire::{Put, Take};

/// Rises with every change of the format that an older reader would misread.
pub const FORMAT: u32 = 1;
const MAGIC: &[u8; 16] = b"dachi_fast head\n";
const PLACE: Place = Place { kind: kind::HEAD, id: NodeId([0; 16]) };

/// The newest state of a store.
#[derive(Debug, Clone)]
pub struct Head {
    /// Rises by one with each commit.
    pub commit: u64,
    /// Changes when the store is copied or restored on purpose.
    pub lineage: [u8; 16],
    /// When this commit was made.
    pub created_ns: u64,
    /// The time part of the last node id given.
    pub last_id: u64,
    /// Generation of `keys.sealed` that this commit knows.
    pub key_generation: u64,
    /// BLAKE3 of that file.
    pub key_hash: [u8; 32],
    /// When the newest epoch began.
    pub rotated_ns: u64,
    /// When it is to be replaced.
    pub rotation_due_ns: u64,
    /// How many nodes it sealed.
    pub sealed: u64,
    /// Hash of the last ledger entry.
    pub chain: [u8; 32],
    /// The ledger's tree.
    pub frontier: Frontier,
    /// Namespaces whose keys are to be destroyed.
    pub doomed: Vec<[u8; 16]>,
    /// The last commit whose garbage was deleted.
    pub swept: u64,
    /// Names and namespaces.
    pub top: Map,
}

impl Head {
    /// Seals it for the engine.
    pub fn seal(&self, sealer: &Sealer) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        plain.put_u64(self.commit);
        plain.extend_from_slice(&self.lineage);
        plain.put_u64(self.created_ns);
        plain.put_u64(self.last_id);
        plain.put_u64(self.key_generation);
        plain.extend_from_slice(&self.key_hash);
        plain.put_u64(self.rotated_ns);
        plain.put_u64(self.rotation_due_ns);
        plain.put_u64(self.sealed);
        plain.extend_from_slice(&self.chain);
        self.frontier.put(&mut plain);
        plain.put_varint(self.doomed.len() as u64);
        self.doomed.iter().for_each(|id| plain.extend_from_slice(id));
        plain.put_u64(self.swept);
        put_map(&self.top, &mut plain);
        let mut out = MAGIC.to_vec();
        out.put_u32(FORMAT);
        out.extend_from_slice(&sealer.context().store);
        with_scratch(|scratch| sealer.seal(scratch, PLACE, Committed::Yes, &plain, &mut out))?;
        Ok(out)
    }

    /// Opens what [`Head::seal`] gave.
    pub fn open(bytes: &[u8], sealer: &Sealer) -> Result<Self> {
        let envelope = checked(bytes, &sealer.context().store)?;
        let opened = with_scratch(|scratch| sealer.open(scratch, PLACE, Committed::Yes, envelope));
        let plain = opened.map_err(|error| match error.slug() {
            // The key is right: keys.sealed, which holds it, opened.
            "wrong-key" => Error::new("tampered", "the head of the store was edited"),
            _ => error,
        })?;
        let mut take = Take::new(&plain);
        let mut head = Head {
            commit: take.u64()?,
            lineage: take.array()?,
            created_ns: take.u64()?,
            last_id: take.u64()?,
            key_generation: take.u64()?,
            key_hash: take.array()?,
            rotated_ns: take.u64()?,
            rotation_due_ns: take.u64()?,
            sealed: take.u64()?,
            chain: take.array()?,
            frontier: Frontier::take(&mut take)?,
            doomed: Vec::new(),
            swept: 0,
            top: Map::default(),
        };
        for _ in 0..take.count()? {
            head.doomed.push(take.array()?);
        }
        head.swept = take.u64()?;
        head.top = take_map(&mut take)?;
        take.done()?;
        Ok(head)
    }
}

/// The envelope behind the clear part, which must be of this format and store.
fn checked<'a>(bytes: &'a [u8], store: &StoreId) -> Result<&'a [u8]> {
    let mut take = Take::new(bytes);
    if take.array::<16>()? != *MAGIC {
        return Err(Error::new("malformed", "the head of the store does not begin as one"));
    }
    let format = take.u32()?;
    if format > FORMAT {
        let what = "the store was written by a newer dachi_fast; upgrade the package";
        return Err(Error::new("format-too-new", what).with("format", u64::from(format)));
    }
    if format == 0 {
        return Err(Error::new("malformed", "the head of the store has no format"));
    }
    if take.array::<16>()? != *store {
        let what = "the data file and keys.sealed belong to different stores";
        return Err(Error::new("wrong-context", what));
    }
    Ok(take.rest())
}

/// Writes a map's root.
pub fn put_map(map: &Map, out: &mut Vec<u8>) {
    out.put_u8(u8::from(map.root.is_some()));
    if let Some(root) = &map.root {
        root.put(out);
    }
}

/// Reads a map's root.
pub fn take_map(take: &mut Take<'_>) -> Result<Map> {
    match take.u8()? {
        0 => Ok(Map { root: None }),
        1 => Ok(Map { root: Some(Node::take(take)?) }),
        _ => Err(Error::new("malformed", "a record does not say whether a map is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::mutate;
    use super::*;
    use crate::seal::{Context, Epochs};

    #[test]
    fn heads_of_any_bytes() {
        let context = Context { store: [1; 16], namespace: [0; 16] };
        let sealer = Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32]);
        let seal = |plain: &[u8]| {
            let mut out = MAGIC.to_vec();
            out.put_u32(FORMAT);
            out.extend_from_slice(&context.store);
            let sealed = with_scratch(|s| sealer.seal(s, PLACE, Committed::Yes, plain, &mut out));
            sealed.map(|()| out)
        };
        let head = |doomed: &[[u8; 16]]| {
            let mut plain = vec![7; 8 + 16 + 8 + 8 + 8 + 32 + 8 + 8 + 8 + 32];
            Frontier::default().put(&mut plain);
            plain.put_varint(doomed.len() as u64);
            doomed.iter().for_each(|id| plain.extend_from_slice(id));
            plain.put_u64(3);
            put_map(&Map::default(), &mut plain);
            plain
        };
        let corpus = [head(&[]), head(&[[5; 16], [6; 16]])];
        let counts = mutate::fuzz("head, sealed", &corpus, |plain| {
            Head::open(&seal(plain)?, &sealer).map(drop)
        });
        assert!(counts.others_accepted > 0);
        let sealed: Vec<_> = corpus.iter().filter_map(|plain| seal(plain).ok()).collect();
        let counts = mutate::fuzz("head", &sealed, |bytes| Head::open(bytes, &sealer).map(drop));
        assert_eq!(counts.others_accepted, 0, "opened what nobody sealed");
    }
}
