//! Sealing and opening.

use super::compress::{MAX_RAW_BYTES, Scratch};
use super::digest::{HmacKey, hmac};
use super::{Epochs, Generation};
use crate::error::{Error, Result};
use crate::wire::{Put, Take};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
pub const SALT_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 1 + 4 + SALT_BYTES;
const PAD: usize = 64;
const COMMITMENT_BYTES: usize = 32;

/// Names a store for ever.
pub type StoreId = [u8; 16];

/// Names a node: eight bytes of time, big endian, then eight random ones. The time only keeps
/// nodes of one commit together on disk; order comes from commit numbers. Its upper bit is one in
/// nodes of plain maps, its four upper bits in nodes that have numbers instead of times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Fills with random bytes of the operating system's quality.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new("store", "the system gives no random bytes"))?;
    Ok(bytes)
}

/// Tells an envelope from every other one of the same node: the beginning of its salt.
pub type Mark = [u8; 8];

/// The mark of an envelope.
pub fn mark(sealed: &[u8]) -> Result<Mark> {
    let mut take = Take::new(sealed);
    take.slice(HEADER_BYTES - SALT_BYTES)?;
    take.array()
}

/// Keyed BLAKE3 of content, with a public key that only tells kinds apart: the hash of a node. A
/// prefix would do as well, but shift the content against BLAKE3's blocks of 1,024 bytes: 16 KiB
/// would then take 17 of them, and three times as long.
pub fn hash_kind(kind: u8, content: &[u8]) -> [u8; 32] {
    let mut key = *b"dachi_fast hash of a node, kind ";
    if let Some(last) = key.last_mut() {
        *last = kind;
    }
    *blake3::keyed_hash(&key, content).as_bytes()
}

/// Whose envelope it is: the store and the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The store.
    pub store: StoreId,
    /// The namespace; zero for the store's own nodes.
    pub namespace: [u8; 16],
}

/// Where an envelope lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What the node is.
    pub kind: u8,
    /// Its id.
    pub id: NodeId,
}

/// Whether an envelope carries a commitment to its key, for what is found by name and not by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// 32 bytes that only the right key gives precede the ciphertext.
    Yes,
    /// The parent's hash binds the content.
    No,
}

/// Seals the nodes of one namespace under the newest epoch, and opens those of every epoch.
pub struct Sealer {
    context: Context,
    epochs: Arc<Epochs>,
    keys: RwLock<Keys>,
}

/// What a sealer knows of its namespace's keys.
struct Keys {
    /// Of which turn of the epochs; 0 for none yet.
    turn: u64,
    generations: Vec<Generation>,
    /// By epoch, as they were first needed.
    prks: Vec<(u32, Arc<HmacKey>)>,
}

impl Keys {
    /// Takes over what was replaced. Of a namespace that is no more it keeps what it has: who has
    /// begun with it can end.
    fn follow(&mut self, epochs: &Epochs, namespace: &[u8; 16]) {
        let (turn, generations) = epochs.generations(namespace);
        if turn != self.turn
            && let Some(generations) = generations
        {
            self.generations = generations;
            self.prks.clear();
        }
        self.turn = turn;
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("context", &self.context).finish_non_exhaustive()
    }
}

/// An envelope that is being made.
struct Cover {
    epoch: u32,
    key: LessSafeKey,
}

/// The epoch that an envelope was sealed in.
pub fn epoch_of(sealed: &[u8]) -> Result<u32> {
    let mut take = Take::new(sealed);
    take.array::<2>()?;
    take.u32()
}

fn node_key(prk: &HmacKey, salt: &[u8], kind: u8) -> Result<LessSafeKey> {
    let key = Zeroizing::new(prk.expand([b"", salt, &[kind]]));
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| broken())?))
}

fn commitment(prk: &HmacKey, salt: &[u8], kind: u8) -> [u8; COMMITMENT_BYTES] {
    prk.expand([b"commitment", salt, &[kind]])
}

fn broken() -> Error {
    Error::new("store", "the cipher library failed")
}

impl Sealer {
    /// With a namespace's key, in the epochs of its store; those that the epochs know of its
    /// namespace come first.
    pub fn new(context: Context, epochs: Arc<Epochs>, namespace_key: &[u8; 32]) -> Self {
        let generations = vec![Generation { since: 0, key: Zeroizing::new(*namespace_key) }];
        let keys = RwLock::new(Keys { turn: 0, generations, prks: Vec::new() });
        Sealer { context, epochs, keys }
    }

    /// Where its envelopes belong.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The first epoch of the newest key: what is sealed in an earlier one is to be sealed anew.
    pub fn since(&self) -> u32 {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.follow(&self.epochs, &self.context.namespace);
        keys.generations.last().map_or(0, |generation| generation.since)
    }

    /// The pseudorandom key of an epoch. Deriving it takes as long as sealing a small node.
    fn prk(&self, epoch: u32) -> Result<Arc<HmacKey>> {
        let turn = self.epochs.turn();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.turn == turn
            && let Some((_, prk)) = keys.prks.iter().rev().find(|(number, _)| *number == epoch)
        {
            return Ok(Arc::clone(prk));
        }
        drop(keys);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.follow(&self.epochs, &self.context.namespace);
        let epoch_key = self.epochs.key(epoch)?;
        let generation = keys.generations.iter().rfind(|generation| generation.since <= epoch);
        let generation = generation.ok_or_else(|| {
            let what = "an envelope of an epoch that its namespace has no key of any more";
            Error::new("wrong-context", what).with("epoch", u64::from(epoch))
        })?;
        // HKDF-SHA256-Extract (RFC 5869, section 2.2).
        let prk = Zeroizing::new(hmac(&epoch_key, &[&*generation.key]));
        let prk = Arc::new(HmacKey::new(&prk));
        keys.prks.push((epoch, Arc::clone(&prk)));
        Ok(prk)
    }

    /// The epoch that is written under, with its pseudorandom key.
    fn newest(&self) -> Result<(u32, Arc<HmacKey>)> {
        loop {
            let epoch = self.epochs.newest();
            match self.prk(epoch) {
                // The key was replaced and destroyed in between.
                Err(_) if self.epochs.newest() != epoch => {}
                prk => return Ok((epoch, prk?)),
            }
        }
    }

    fn associated(&self, place: Place, epoch: u32) -> [u8; 64] {
        let mut data = [0u8; 64];
        let parts: [&[u8]; 7] = [
            b"dachi_fast",
            &[VERSION],
            &self.context.store,
            &self.context.namespace,
            &[place.kind],
            &place.id.0,
            &epoch.to_le_bytes(),
        ];
        let mut slots = data.iter_mut();
        for byte in parts.iter().copied().flatten() {
            if let Some(slot) = slots.next() {
                *slot = *byte;
            }
        }
        data
    }

    /// Appends the envelope of `raw` to `out`.
    pub fn seal(
        &self,
        scratch: &mut Scratch,
        place: Place,
        committed: Committed,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.seal_if(scratch, place, committed, raw, out, |_| true).map(drop)
    }

    /// Appends the envelope of `raw` to `out` if `wanted` says so of what will be sealed: `raw` may
    /// change meanwhile, so it is copied once, and `wanted` sees that copy. False if not wanted.
    pub fn seal_if(
        &self,
        scratch: &mut Scratch,
        place: Place,
        committed: Committed,
        raw: &[u8],
        out: &mut Vec<u8>,
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool> {
        let begin = out.len();
        let cover = self.cover(scratch, place, committed, out)?;
        let start = out.len();
        out.push(0);
        out.put_varint(raw.len() as u64);
        out.put_bytes(raw);
        let copy = out.get(out.len() - raw.len()..).unwrap_or_default();
        if !wanted(copy) {
            out.truncate(begin);
            return Ok(false);
        }
        if let Some(packed) = scratch.compress(place.kind, copy) {
            out.truncate(start);
            out.push(1);
            out.put_varint(raw.len() as u64);
            out.put_bytes(packed);
        }
        out.resize(start + (out.len() - start).next_multiple_of(PAD), 0);
        self.close(place, &cover, start, out)?;
        Ok(true)
    }

    /// Appends what an envelope holds in a new one, under the newest epoch: the same node with the
    /// same content, which is not unpacked.
    pub fn reseal(
        &self,
        scratch: &mut Scratch,
        id: NodeId,
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let place = Place { kind: sealed.get(1).copied().unwrap_or_default(), id };
        self.decrypt(scratch, place, Committed::No, sealed)?;
        let cover = self.cover(scratch, place, Committed::No, out)?;
        let start = out.len();
        out.extend_from_slice(&scratch.plain);
        self.close(place, &cover, start, out)
    }

    /// Appends what of an envelope comes before the ciphertext.
    fn cover(
        &self,
        scratch: &mut Scratch,
        place: Place,
        committed: Committed,
        out: &mut Vec<u8>,
    ) -> Result<Cover> {
        let salt = scratch.salt()?;
        let (epoch, prk) = self.newest()?;
        out.push(VERSION);
        out.push(place.kind);
        out.put_u32(epoch);
        out.extend_from_slice(&salt);
        if committed == Committed::Yes {
            out.extend_from_slice(&commitment(&prk, &salt, place.kind));
        }
        Ok(Cover { epoch, key: node_key(&prk, &salt, place.kind)? })
    }

    /// Encrypts what follows `start`, and appends the tag.
    fn close(&self, place: Place, cover: &Cover, start: usize, out: &mut Vec<u8>) -> Result<()> {
        let Some(body) = out.get_mut(start..) else { return Err(broken()) };
        let tag = cover
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from(self.associated(place, cover.epoch)),
                body,
            )
            .map_err(|_| broken())?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts an envelope into `scratch.plain` and gives where in it the body lies.
    fn decrypt(
        &self,
        scratch: &mut Scratch,
        place: Place,
        committed: Committed,
        sealed: &[u8],
    ) -> Result<Body> {
        let mut take = Take::new(sealed);
        let short = |_| at(place, Error::new("malformed", "an envelope is cut short"));
        let header = take.slice(HEADER_BYTES).map_err(short)?;
        let mut head = Take::new(header);
        if head.u8()? != VERSION {
            return Err(at(place, Error::new("malformed", "an envelope of an unknown version")));
        }
        if head.u8()? != place.kind {
            return Err(at(place, Error::new("wrong-context", "an envelope of another kind")));
        }
        let epoch = head.u32()?;
        let prk = self.prk(epoch).map_err(|error| at(place, error))?;
        let salt = head.rest();
        if committed == Committed::Yes {
            let expected = commitment(&prk, salt, place.kind);
            let found = take.slice(COMMITMENT_BYTES).map_err(short)?;
            if aws_lc_rs::constant_time::verify_slices_are_equal(found, &expected).is_err() {
                return Err(at(
                    place,
                    Error::new("wrong-key", "a record is sealed by another key"),
                ));
            }
        }
        scratch.plain.clear();
        scratch.plain.extend_from_slice(take.rest());
        let key = node_key(&prk, salt, place.kind)?;
        let opened = key.open_in_place(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::from(self.associated(place, epoch)),
            &mut scratch.plain,
        );
        if opened.is_err() {
            return Err(at(
                place,
                Error::new("tampered", "a node on disk was altered or misplaced"),
            ));
        }
        let plain_len = scratch.plain.len() - TAG_BYTES.min(scratch.plain.len());
        scratch.plain.truncate(plain_len);
        Body::read(&scratch.plain).map_err(|error| at(place, error))
    }

    /// The content of an envelope.
    pub fn open(
        &self,
        scratch: &mut Scratch,
        place: Place,
        committed: Committed,
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let body = self.decrypt(scratch, place, committed, sealed)?;
        let mut raw = vec![0u8; body.raw_len];
        body.write(scratch, &mut raw).map_err(|error| at(place, error))?;
        Ok(raw)
    }

    /// Hands the content of an envelope to `read`, in a buffer that is used again.
    pub fn open_with<T>(
        &self,
        scratch: &mut Scratch,
        place: Place,
        sealed: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<T> {
        let body = self.decrypt(scratch, place, Committed::No, sealed)?;
        if !body.compressed {
            return read(scratch.plain.get(body.start..body.end).unwrap_or_default());
        }
        let mut raw = std::mem::take(&mut scratch.raw);
        raw.resize(body.raw_len, 0);
        let written = body.write(scratch, &mut raw).map_err(|error| at(place, error));
        let done = written.and_then(|()| read(&raw));
        scratch.raw = raw;
        done
    }

    /// The content of an envelope, which must be as long as `out`, straight into `out`.
    pub fn open_into(
        &self,
        scratch: &mut Scratch,
        place: Place,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let body = self.decrypt(scratch, place, Committed::No, sealed)?;
        if body.raw_len != out.len() {
            return Err(at(place, Error::new("malformed", "a piece has another length")));
        }
        body.write(scratch, out).map_err(|error| at(place, error))
    }
}

#[cold]
fn at(place: Place, error: Error) -> Error {
    error.with("node", place.id.to_string()).with("kind", u64::from(place.kind))
}

/// Where the body lies in a plaintext.
struct Body {
    compressed: bool,
    raw_len: usize,
    start: usize,
    end: usize,
}

impl Body {
    fn read(plain: &[u8]) -> Result<Self> {
        let mut take = Take::new(plain);
        let flags = take.u8()?;
        let raw_len = take.varint()?;
        let body = take.bytes()?;
        let end = plain.len() - take.rest().len();
        let compressed = match flags {
            0 if raw_len == body.len() as u64 => false,
            1 if raw_len <= MAX_RAW_BYTES as u64 => true,
            _ => {
                return Err(Error::new("malformed", "an envelope's content is not well formed"));
            }
        };
        Ok(Body { compressed, raw_len: raw_len as usize, start: end - body.len(), end })
    }

    fn write(&self, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
        let plain = std::mem::take(&mut scratch.plain);
        let body = plain.get(self.start..self.end).unwrap_or_default();
        let written = if self.compressed {
            scratch.decompress(body, out)
        } else {
            out.copy_from_slice(body);
            Ok(())
        };
        scratch.plain = plain;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Epoch, kind};
    use super::*;

    fn epoch(number: u32) -> Epoch {
        Epoch { number, key: Zeroizing::new([number as u8; 32]) }
    }

    fn sealer(number: u32, namespace: u8) -> Sealer {
        let context = Context { store: [1; 16], namespace: [namespace; 16] };
        Sealer::new(context, Arc::new(Epochs::new(vec![epoch(number)])), &[3; 32])
    }

    fn place() -> Place {
        Place { kind: kind::LEAF, id: NodeId([9; 16]) }
    }

    fn sealed(raw: &[u8], committed: Committed) -> Vec<u8> {
        let mut out = Vec::new();
        let mut scratch = Scratch::default();
        assert!(sealer(1, 0).seal(&mut scratch, place(), committed, raw, &mut out).is_ok());
        out
    }

    #[test]
    fn content_comes_back_compressed_or_not() {
        let mut scratch = Scratch::default();
        for raw in [vec![], vec![7], vec![0; 100_000], (0..=255).collect::<Vec<u8>>()] {
            for committed in [Committed::Yes, Committed::No] {
                let envelope = sealed(&raw, committed);
                let opened = sealer(1, 0).open(&mut scratch, place(), committed, &envelope);
                assert_eq!(opened.ok(), Some(raw.clone()));
            }
        }
        assert!(sealed(&[0; 100_000], Committed::No).len() < 1000);
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let envelope = sealed(b"what was learned", Committed::Yes);
        let mut scratch = Scratch::default();
        for at in 0..envelope.len() {
            let mut edited = envelope.clone();
            if let Some(byte) = edited.get_mut(at) {
                *byte ^= 1;
            }
            let opened = sealer(1, 0).open(&mut scratch, place(), Committed::Yes, &edited);
            assert!(opened.is_err(), "byte {at}");
        }
        for cut in 0..envelope.len() {
            let part = envelope.get(..cut).unwrap_or_default();
            assert!(sealer(1, 0).open(&mut scratch, place(), Committed::Yes, part).is_err());
        }
    }

    #[test]
    fn an_envelope_opens_only_in_its_place() {
        let envelope = sealed(b"x", Committed::No);
        let mut scratch = Scratch::default();
        let elsewhere = Place { kind: kind::LEAF, id: NodeId([8; 16]) };
        let other_kind = Place { kind: kind::CHUNK, id: NodeId([9; 16]) };
        let slug = |sealer: &Sealer, place, scratch: &mut Scratch| {
            sealer.open(scratch, place, Committed::No, &envelope).map_err(|e| e.slug()).err()
        };
        assert_eq!(slug(&sealer(1, 0), elsewhere, &mut scratch), Some("tampered"));
        assert_eq!(slug(&sealer(1, 7), place(), &mut scratch), Some("tampered"));
        assert_eq!(slug(&sealer(2, 0), place(), &mut scratch), Some("wrong-context"));
        assert_eq!(slug(&sealer(1, 0), other_kind, &mut scratch), Some("wrong-context"));
    }
    #[test]
    fn a_new_epoch_is_written_under_and_old_ones_are_read() {
        let epochs = Arc::new(Epochs::new(vec![epoch(1)]));
        let context = Context { store: [1; 16], namespace: [0; 16] };
        let rotated = Sealer::new(context, Arc::clone(&epochs), &[3; 32]);
        let (mut scratch, mut first, mut second) = (Scratch::default(), Vec::new(), Vec::new());
        assert!(rotated.seal(&mut scratch, place(), Committed::Yes, b"1", &mut first).is_ok());
        epochs.publish(vec![epoch(1), epoch(5)], Arc::default());
        assert!(rotated.seal(&mut scratch, place(), Committed::Yes, b"2", &mut second).is_ok());
        let mut open = |sealer: &Sealer, sealed: &[u8]| {
            let opened = sealer.open(&mut scratch, place(), Committed::Yes, sealed);
            opened.map_err(|error| error.slug())
        };
        assert_eq!(open(&rotated, &first), Ok(b"1".to_vec()));
        assert_eq!(open(&rotated, &second), Ok(b"2".to_vec()));
        assert_eq!(open(&sealer(5, 0), &second), Ok(b"2".to_vec()));
        assert_eq!(open(&sealer(1, 0), &second), Err("wrong-context"));
        let mut relabelled = second.clone();
        if let Some(epoch) = relabelled.get_mut(2) {
            *epoch = 1;
        }
        assert_eq!(open(&rotated, &relabelled), Err("wrong-key"));
    }

    #[test]
    fn a_new_generation_opens_what_is_sealed_anew_and_the_old_one_goes() -> Result<()> {
        let generation = |since, key| Generation { since, key: Zeroizing::new([key; 32]) };
        let generations = |list| Arc::new([([0; 16], list)].into());
        let epochs = Arc::new(Epochs::new(vec![epoch(1)]));
        let context = Context { store: [1; 16], namespace: [0; 16] };
        let ours = Sealer::new(context, Arc::clone(&epochs), &[3; 32]);
        let (mut scratch, mut before, mut anew) = (Scratch::default(), Vec::new(), Vec::new());
        ours.seal(&mut scratch, place(), Committed::No, &[7; 4000], &mut before)?;
        let two = vec![epoch(1), epoch(2)];
        epochs.publish(two.clone(), generations(vec![generation(1, 3), generation(2, 4)]));
        assert_eq!((ours.since(), epoch_of(&before)?), (2, 1));
        assert_eq!(ours.open(&mut scratch, place(), Committed::No, &before)?, [7; 4000]);
        ours.reseal(&mut scratch, place().id, &before, &mut anew)?;
        assert_eq!((epoch_of(&anew)?, anew.len()), (2, before.len()));
        epochs.publish(two.clone(), generations(vec![generation(2, 4)]));
        assert_eq!(ours.open(&mut scratch, place(), Committed::No, &anew)?, [7; 4000]);
        let fresh = Sealer::new(context, Arc::new(Epochs::new(two)), &[4; 32]);
        assert_eq!(fresh.open(&mut scratch, place(), Committed::No, &anew)?, [7; 4000]);
        let gone = ours.open(&mut scratch, place(), Committed::No, &before);
        assert_eq!(gone.map_err(|error| error.slug()), Err("wrong-context"));
        let relabelled = [before.get(..2).unwrap_or_default(), &[2, 0, 0, 0]].concat();
        let relabelled = [&relabelled, before.get(6..).unwrap_or_default()].concat();
        let opened = fresh.open(&mut scratch, place(), Committed::No, &relabelled);
        assert_eq!(opened.map_err(|error| error.slug()), Err("tampered"));
        Ok(())
    }
}
