//! Writes values; the caller walks them.

use super::ext;
use crate::wire::put_short;

/// An append-only writer of canonical msgpack.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

/// Where the length of an open extension is to be filled in.
#[derive(Debug)]
#[must_use]
pub struct Mark(usize);

impl Encoder {
    /// Writes behind what `buffer` holds; give a used buffer back to stay in warm memory.
    pub fn new(buffer: Vec<u8>) -> Self {
        Encoder { out: buffer }
    }

    /// How many bytes stand there now.
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The buffer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Takes back all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// None.
    #[inline]
    pub fn nil(&mut self) {
        self.out.push(0xc0);
    }

    /// True or false.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    #[inline]
    fn head<const N: usize>(&mut self, byte: u8, rest: [u8; N]) {
        // One reservation for both writes.
        self.out.reserve(1 + N);
        self.out.push(byte);
        self.out.extend_from_slice(&rest);
    }

    /// An integer of at most 64 bits, in its shortest form.
    #[inline]
    pub fn int(&mut self, value: i64) {
        if value >= 0 {
            return self.uint(value as u64);
        }
        if value >= -32 {
            self.out.push(value as u8);
        } else if let Ok(small) = i8::try_from(value) {
            self.head(0xd0, small.to_be_bytes());
        } else if let Ok(small) = i16::try_from(value) {
            self.head(0xd1, small.to_be_bytes());
        } else if let Ok(small) = i32::try_from(value) {
            self.head(0xd2, small.to_be_bytes());
        } else {
            self.head(0xd3, value.to_be_bytes());
        }
    }

    /// A non-negative integer of at most 64 bits.
    #[inline]
    pub fn uint(&mut self, value: u64) {
        if value < 0x80 {
            self.out.push(value as u8);
        } else if let Ok(small) = u8::try_from(value) {
            self.head(0xcc, small.to_be_bytes());
        } else if let Ok(small) = u16::try_from(value) {
            self.head(0xcd, small.to_be_bytes());
        } else if let Ok(small) = u32::try_from(value) {
            self.head(0xce, small.to_be_bytes());
        } else {
            self.head(0xcf, value.to_be_bytes());
        }
    }

    /// An integer beyond 64 bits: two's complement, big endian, shortest.
    pub fn big_int(&mut self, twos_complement: &[u8]) {
        self.ext(ext::BIG_INTEGER, twos_complement);
    }

    /// A float, bit for bit.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.head(0xcb, value.to_be_bytes());
    }

    /// A complex number, bit for bit.
    pub fn complex(&mut self, real: f64, imag: f64) {
        let mut payload = [0u8; 16];
        let (left, right) = payload.split_at_mut(8);
        left.copy_from_slice(&real.to_be_bytes());
        right.copy_from_slice(&imag.to_be_bytes());
        self.ext(ext::COMPLEX, &payload);
    }

    /// Text.
    #[inline]
    pub fn text(&mut self, text: &str) {
        let len = text.len();
        if len < 32 {
            self.out.push(0xa0 | len as u8);
            return put_short(&mut self.out, text.as_bytes());
        }
        self.out.reserve(len + 5);
        self.long(len, [0xd9, 0xda, 0xdb]);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Text with lone surrogates, as WTF-8.
    pub fn surrogates(&mut self, wtf8: &[u8]) {
        self.ext(ext::SURROGATES, wtf8);
    }

    /// Bytes.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.long(bytes.len(), [0xc4, 0xc5, 0xc6]);
        self.out.extend_from_slice(bytes);
    }

    /// Opens a list of `len` values, which must follow.
    #[inline]
    pub fn list(&mut self, len: usize) {
        if len < 16 {
            self.out.push(0x90 | len as u8);
        } else {
            self.wide(len, [0xdc, 0xdd]);
        }
    }

    /// Opens a dict of `len` pairs of key and value, which must follow.
    #[inline]
    pub fn map(&mut self, len: usize) {
        if len < 16 {
            self.out.push(0x80 | len as u8);
        } else {
            self.wide(len, [0xde, 0xdf]);
        }
    }

    /// Ellipsis.
    pub fn ellipsis(&mut self) {
        self.ext(ext::ELLIPSIS, &[]);
    }

    /// Opens an extension that holds values; [`Encoder::close`] fills its length in.
    pub fn open(&mut self, code: u8) -> Mark {
        self.out.extend_from_slice(&[0xc9, 0, 0, 0, 0, code]);
        Mark(self.out.len())
    }

    /// Closes the extension, of which `outside` further payload bytes follow elsewhere.
    pub fn close(&mut self, mark: Mark, outside: usize) {
        let Mark(start) = mark;
        let len = ((self.out.len() - start + outside) as u32).to_be_bytes();
        if let Some(slot) = self.out.get_mut(start.wrapping_sub(5)..start.wrapping_sub(1)) {
            slot.copy_from_slice(&len);
        }
    }

    /// Opens an array of numpy's: all but its raw items, which must follow before or outside
    /// [`Encoder::close`].
    pub fn array(&mut self, dtype: &str, fortran: bool, shape: &[usize]) -> Mark {
        let mark = self.open(ext::ARRAY);
        self.text(dtype);
        self.out.push(u8::from(fortran));
        self.list(shape.len());
        for &extent in shape {
            self.uint(extent as u64);
        }
        mark
    }

    /// A numpy scalar: its dtype and its raw item.
    pub fn scalar(&mut self, dtype: &str, item: &[u8]) {
        let mut payload = Encoder::default();
        payload.text(dtype);
        payload.raw(item);
        self.ext(ext::SCALAR, payload.bytes());
    }

    /// Bytes as they are, inside an open extension.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Puts the elements written since `start`, which end at `ends`, into ascending byte order.
    pub fn sort_elements(&mut self, start: usize, ends: &[usize]) {
        let Some(body) = self.out.get(start..) else {
            return;
        };
        let mut from = 0;
        let mut elements: Vec<&[u8]> = Vec::with_capacity(ends.len());
        for end in ends {
            let until = end - start;
            elements.push(body.get(from..until).unwrap_or_default());
            from = until;
        }
        elements.sort_unstable();
        let sorted = elements.concat();
        self.out.truncate(start);
        self.out.extend_from_slice(&sorted);
    }

    fn ext(&mut self, code: u8, payload: &[u8]) {
        match payload.len() {
            1 => self.out.push(0xd4),
            2 => self.out.push(0xd5),
            4 => self.out.push(0xd6),
            8 => self.out.push(0xd7),
            16 => self.out.push(0xd8),
            len => self.long(len, [0xc7, 0xc8, 0xc9]),
        }
        self.out.push(code);
        self.out.extend_from_slice(payload);
    }

    fn long(&mut self, len: usize, [one, two, four]: [u8; 3]) {
        if let Ok(small) = u8::try_from(len) {
            self.head(one, small.to_be_bytes());
        } else {
            self.wide(len, [two, four]);
        }
    }

    fn wide(&mut self, len: usize, [two, four]: [u8; 2]) {
        if let Ok(small) = u16::try_from(len) {
            self.head(two, small.to_be_bytes());
        } else {
            // The walker refuses what is longer than 4 GiB before it comes here.
            self.head(four, (len as u32).to_be_bytes());
        }
    }
}
