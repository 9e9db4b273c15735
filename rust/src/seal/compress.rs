//! zstd, with contexts kept alive: a fresh one costs 10 to 38 us, more than a small node.

use super::envelope::{SALT_BYTES, random};
use super::kind;
use crate::error::{Error, Result};
use zstd::bulk::{Compressor, Decompressor};

/// Level 3 costs twice the time of level 1 for 5 % fewer bytes on agent states.
const LEVEL: i32 = 1;
/// For small nodes of many short values: level 1 takes twice as long for the same size, because it
/// spends most of its time on a Huffman table for each. Pieces of text are a third smaller with one.
const SMALL_LEVEL: i32 = -3;
/// Up to this many bytes a node is small.
const SMALL_BYTES: usize = 8192;
/// Below this a header eats what compression gains.
const MIN_BYTES: usize = 128;
/// What a sealed node's body may decompress to at most; nodes are cut far below it.
pub const MAX_RAW_BYTES: usize = 64 << 20;

/// Contexts and a buffer for one thread.
#[derive(Default)]
pub struct Scratch {
    compressor: Option<Compressor<'static>>,
    small: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
    /// Room for a plaintext on its way into or out of an envelope.
    pub plain: Vec<u8>,
    /// Room for what was compressed in one.
    pub raw: Vec<u8>,
    packed: Vec<u8>,
    /// Pieces of one large value resemble each other: after one that did not shrink, some are
    /// taken as they are.
    passes: u32,
    salts: Vec<[u8; SALT_BYTES]>,
    /// How many draws this operation has made.
    draws: usize,
}

/// Salts drawn at once: one draw of many costs what one of one does.
const MAX_DRAW: usize = 32;

/// How many pieces go uncompressed after one that did not shrink.
const PASSES_AFTER_MISS: u32 = 15;

fn failed(_: std::io::Error) -> Error {
    Error::new("malformed", "a node cannot be decompressed")
}

/// Runs `work` with this thread's warm contexts.
pub fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
    }
    let mut scratch = SCRATCH.take();
    let done = work(&mut scratch);
    scratch.forget_salts();
    SCRATCH.set(scratch);
    done
}

impl Scratch {
    /// A fresh salt; an operation that asks for many gets them drawn ahead.
    pub fn salt(&mut self) -> Result<[u8; SALT_BYTES]> {
        if let Some(salt) = self.salts.pop() {
            return Ok(salt);
        }
        self.draws += 1;
        if self.draws <= 2 {
            return random();
        }
        let drawn = random::<{ MAX_DRAW * SALT_BYTES }>()?;
        self.salts.extend(drawn.as_chunks().0);
        self.salts.pop().ok_or_else(|| Error::new("store", "the system gives no random bytes"))
    }

    /// Drops salts drawn ahead. They must not outlive one operation: a process that forks between
    /// two would share them with its child, and one salt must never seal two nodes.
    pub fn forget_salts(&mut self) {
        self.salts.clear();
        self.draws = 0;
    }

    /// The compressed form of a node's content if it is smaller by a tenth.
    pub fn compress(&mut self, kind: u8, raw: &[u8]) -> Option<&[u8]> {
        if raw.len() < MIN_BYTES {
            return None;
        }
        let large = raw.len() >= 8192;
        if large && self.passes > 0 {
            self.passes -= 1;
            return None;
        }
        let (slot, level) = if raw.len() <= SMALL_BYTES && kind != kind::CHUNK {
            (&mut self.small, SMALL_LEVEL)
        } else {
            (&mut self.compressor, LEVEL)
        };
        if slot.is_none() {
            *slot = Compressor::new(level).ok();
        }
        let worth = raw.len() - raw.len() / 10;
        self.packed.resize(zstd::zstd_safe::compress_bound(raw.len()), 0);
        let packed = slot.as_mut()?.compress_to_buffer(raw, &mut self.packed[..]);
        match packed {
            Ok(len) if len < worth => {
                self.passes = 0;
                self.packed.get(..len)
            }
            _ => {
                if large {
                    self.passes = PASSES_AFTER_MISS;
                }
                None
            }
        }
    }

    /// Fills `out` exactly.
    pub fn decompress(&mut self, packed: &[u8], out: &mut [u8]) -> Result<()> {
        if self.decompressor.is_none() {
            self.decompressor = Some(Decompressor::new().map_err(failed)?);
        }
        let Some(decompressor) = self.decompressor.as_mut() else {
            return Err(Error::new("store", "no decompressor"));
        };
        let expected = out.len();
        let len = decompressor.decompress_to_buffer(packed, out).map_err(failed)?;
        if len != expected {
            return Err(Error::new("malformed", "a node is shorter than it says"));
        }
        Ok(())
    }
}
