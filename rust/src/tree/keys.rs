//! Ascending keys, each as what it does not share with the one before.

use crate::error::{Error, Result};
use crate::wire::{Put, Take};

/// Longest key in bytes; dot paths are the longest.
pub const MAX_KEY_BYTES: usize = 4096;

/// Writes ascending keys.
#[derive(Debug, Default)]
pub struct KeyWriter<'a> {
    last: &'a [u8],
}

impl<'a> KeyWriter<'a> {
    /// Appends `key` to `out`.
    pub fn put(&mut self, key: &'a [u8], out: &mut Vec<u8>) {
        let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        out.put_varint(shared as u64);
        out.put_bytes(key.get(shared..).unwrap_or_default());
        self.last = key;
    }
}

/// Reads ascending keys.
#[derive(Debug, Default)]
pub struct KeyReader {
    key: Vec<u8>,
    any: bool,
}

impl KeyReader {
    /// The next key; one that does not ascend is `malformed`.
    pub fn take(&mut self, from: &mut Take<'_>) -> Result<&[u8]> {
        let shared = from.varint()?;
        let rest = from.bytes()?;
        let malformed = |what: &'static str| Err(Error::new("malformed", what));
        if shared > self.key.len() as u64 || shared as usize + rest.len() > MAX_KEY_BYTES {
            return malformed("a key in a node is too long");
        }
        let ascends = match (rest.first(), self.key.get(shared as usize)) {
            (Some(new), Some(old)) => new > old,
            (Some(_), None) => true,
            (None, _) => !self.any,
        };
        if !ascends {
            return malformed("the keys of a node do not ascend");
        }
        self.any = true;
        self.key.truncate(shared as usize);
        self.key.extend_from_slice(rest);
        Ok(&self.key)
    }
}
