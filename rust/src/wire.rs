//! Integers and lengths to bytes and back, bounds-checked.
//!
//! Fixed integers are little endian; `varint` is LEB128 of at most ten bytes, shortest form only.

use crate::error::{Error, Result};

/// Appends to a byte vector.
pub trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Four bytes, little endian.
    fn put_u32(&mut self, value: u32);
    /// Eight bytes, little endian.
    fn put_u64(&mut self, value: u64);
    /// LEB128, one to ten bytes.
    fn put_varint(&mut self, value: u64);
    /// A varint length, then the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Longest string that [`put_short`] takes.
pub const SHORT_BYTES: usize = 32;

/// Appends at most 32 bytes in moves of sizes known beforehand: a call of `memcpy` would take longer
/// than the copy. They are written where they belong, because a wide read of a buffer that was just
/// written in parts would stall.
#[inline]
pub fn put_short(out: &mut Vec<u8>, short: &[u8]) {
    let (start, len) = (out.len(), short.len());
    out.extend_from_slice(&[0; SHORT_BYTES]);
    let room = out.get_mut(start..).unwrap_or_default();
    if let (Some(first), Some(last)) = (short.first_chunk::<16>(), short.last_chunk::<16>()) {
        place(room, 0, first);
        place(room, len - 16, last);
    } else if let (Some(first), Some(last)) = (short.first_chunk::<8>(), short.last_chunk::<8>()) {
        place(room, 0, first);
        place(room, len - 8, last);
    } else if let (Some(first), Some(last)) = (short.first_chunk::<4>(), short.last_chunk::<4>()) {
        place(room, 0, first);
        place(room, len - 4, last);
    } else {
        room.iter_mut().zip(short).for_each(|(to, from)| *to = *from);
    }
    out.truncate(start + len);
}

#[inline]
fn place<const N: usize>(room: &mut [u8], at: usize, piece: &[u8; N]) {
    if let Some(slot) = room.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *slot = *piece;
    }
}

/// Reads from a byte slice; every read past the end is `malformed`.
#[derive(Debug, Clone)]
pub struct Take<'a> {
    rest: &'a [u8],
}

#[cold]
fn cut_short() -> Error {
    Error::new("malformed", "a record ends before it is complete")
}

impl<'a> Take<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Take { rest: bytes }
    }

    /// The bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn slice(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or_else(cut_short)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// One byte that says yes or no; any other is `malformed`, so that one fact has one form.
    pub fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::new("malformed", "a flag is neither 0 nor 1")),
        }
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// LEB128; a longer form than needed is `malformed`, so that equal numbers are equal bytes.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(Error::new("malformed", "a number is not in its shortest form"))
    }

    /// A varint that counts things of which each takes at least one of the remaining bytes.
    pub fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 {
            return Err(cut_short());
        }
        Ok(count as usize)
    }

    /// A varint length, then that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.count()?;
        self.slice(len)
    }

    /// A varint length, then UTF-8.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_| Error::new("malformed", "a text in a record is not UTF-8"))
    }

    /// Nothing may be left over.
    pub fn done(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::new("malformed", "a record is longer than it says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            out.put_varint(value);
            let mut take = Take::new(&out);
            assert_eq!(take.varint().ok(), Some(value));
            assert!(take.done().is_ok());
        }
    }

    #[test]
    fn short_strings_of_every_length_are_appended() {
        let text: Vec<u8> = (0..32).collect();
        for len in 0..=SHORT_BYTES {
            let mut out = vec![255; 3];
            put_short(&mut out, text.get(..len).unwrap_or_default());
            assert_eq!(out.get(..3), Some(&[255; 3][..]));
            assert_eq!(out.get(3..), text.get(..len));
        }
    }

    #[test]
    fn a_longer_form_of_a_number_is_refused() {
        assert!(Take::new(&[0x80, 0x00]).varint().is_err());
        assert!(Take::new(&[0xff; 10]).varint().is_err());
        assert!(Take::new(&[0xff; 11]).varint().is_err());
    }

    #[test]
    fn reading_past_the_end_is_malformed() {
        assert_eq!(Take::new(&[1, 2]).u32().map_err(|e| e.slug()), Err("malformed"));
        assert_eq!(Take::new(&[5, 1]).bytes().map_err(|e| e.slug()), Err("malformed"));
        assert!(Take::new(&[1]).done().is_err());
    }
}
