//! Reads values as a stream of tokens; the caller builds them.

use super::{MAX_DEPTH, ext};
use crate::error::{Error, Result};

/// One value, or the opening of one that holds others.
#[derive(Debug, Clone, PartialEq)]
pub enum Token<'a> {
    /// None.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer that fits 64 bits with sign.
    Int(i64),
    /// An integer from 2^63 to 2^64 - 1.
    Uint(u64),
    /// Two's complement, big endian.
    BigInt(&'a [u8]),
    /// A float.
    Float(f64),
    /// Real and imaginary part.
    Complex(f64, f64),
    /// Text.
    Text(&'a str),
    /// Text with lone surrogates, as WTF-8.
    Surrogates(&'a [u8]),
    /// Bytes.
    Binary(&'a [u8]),
    /// That many values follow.
    List(usize),
    /// That many values follow.
    Tuple(usize),
    /// That many values follow.
    Set(usize),
    /// That many values follow.
    Frozenset(usize),
    /// That many pairs follow.
    Map(usize),
    /// Ellipsis.
    Ellipsis,
    /// A numpy array.
    Array(ArrayHead<'a>),
    /// A numpy scalar: dtype and raw item.
    Scalar(&'a str, &'a [u8]),
    /// A named type; one value follows.
    Named(&'a str),
}

/// What precedes the raw items of a numpy array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayHead<'a> {
    /// numpy's name of the item type, for instance `<f4`.
    pub dtype: &'a str,
    /// Whether the items lie in Fortran order.
    pub fortran: bool,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The raw items that stand in the value itself; the rest may stand in a blob.
    pub items: &'a [u8],
    /// How many bytes of items there are in all.
    pub size_bytes: usize,
}

/// A bounds-checked reader of msgpack tokens.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the payload of the last extension that was opened ends.
    end: usize,
}

#[cold]
fn malformed(what: &'static str) -> Error {
    Error::new("malformed", what)
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder { bytes, at: 0, end: 0 }
    }

    /// Where the next token begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes on from where a token begins.
    pub fn seek(&mut self, position: usize) -> Result<()> {
        if position > self.bytes.len() {
            return Err(malformed("a place beyond the end"));
        }
        self.at = position;
        Ok(())
    }

    /// Reads over one whole value and gives its bytes.
    pub fn encoded(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        self.skip()?;
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    /// Whether all was read.
    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Nothing may be left over.
    pub fn done(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(malformed("bytes follow a value")) }
    }

    /// Where the tuple, set or named value that the last token opened says that it ends.
    pub fn extension_end(&self) -> usize {
        self.end
    }

    /// What an extension holds has been read; it must be as long as it said.
    pub fn close_extension(&self, end: usize) -> Result<()> {
        if self.at == end { Ok(()) } else { Err(malformed("an extension has another length")) }
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let chunk = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let Some(chunk) = chunk else {
            return Err(malformed("a value ends before it is complete"));
        };
        self.at += N;
        Ok(*chunk)
    }

    #[inline]
    fn slice(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some(end) = self.at.checked_add(len) else {
            return Err(malformed("a length overflows"));
        };
        let Some(slice) = self.bytes.get(self.at..end) else {
            return Err(malformed("a value ends before it is complete"));
        };
        self.at = end;
        Ok(slice)
    }

    /// A count of elements of which each takes at least `each` bytes, so that no count can ask for
    /// more memory than there are bytes.
    #[inline]
    fn count(&self, count: usize, each: usize) -> Result<usize> {
        if count > (self.bytes.len() - self.at) / each {
            return Err(malformed("a container ends before it is complete"));
        }
        Ok(count)
    }

    #[inline]
    fn text(&mut self, len: usize) -> Result<Token<'a>> {
        Ok(Token::Text(self.str(len)?))
    }

    #[inline]
    fn str(&mut self, len: usize) -> Result<&'a str> {
        std::str::from_utf8(self.slice(len)?).map_err(|_| malformed("a text is not UTF-8"))
    }

    /// The next byte, not read yet; 0xc1, which begins no value, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0xc1)
    }

    /// Reads a text of less than 32 bytes, if that comes next; it is not checked to be UTF-8.
    #[inline]
    pub fn short_text(&mut self) -> Option<&'a [u8]> {
        let byte = self.peek();
        if byte & 0xe0 != 0xa0 {
            return None;
        }
        let start = self.at + 1;
        let text = self.bytes.get(start..start + usize::from(byte & 0x1f))?;
        self.at = start + text.len();
        Some(text)
    }

    /// The next token.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>> {
        let [byte] = self.take::<1>()?;
        Ok(match byte {
            0x00..=0x7f => Token::Int(i64::from(byte)),
            0x80..=0x8f => Token::Map(self.count(usize::from(byte & 0x0f), 2)?),
            0x90..=0x9f => Token::List(self.count(usize::from(byte & 0x0f), 1)?),
            0xa0..=0xbf => return self.text(usize::from(byte & 0x1f)),
            0xe0..=0xff => Token::Int(i64::from(byte as i8)),
            0xcb => Token::Float(f64::from_be_bytes(self.take()?)),
            _ => return self.wide(byte),
        })
    }

    fn wide(&mut self, byte: u8) -> Result<Token<'a>> {
        Ok(match byte {
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(byte - 0xc4)?;
                Token::Binary(self.slice(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(byte - 0xc7)?;
                return self.ext(len);
            }
            0xcc => Token::Int(i64::from(u8::from_be_bytes(self.take()?))),
            0xcd => Token::Int(i64::from(u16::from_be_bytes(self.take()?))),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.take()?))),
            0xcf => {
                let value = u64::from_be_bytes(self.take()?);
                i64::try_from(value).map_or(Token::Uint(value), Token::Int)
            }
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.take()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.take()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.take()?)),
            0xd4..=0xd8 => return self.ext(1 << (byte - 0xd4)),
            0xd9..=0xdb => {
                let len = self.length(byte - 0xd9)?;
                return self.text(len);
            }
            0xdc | 0xdd => {
                let len = self.length(byte - 0xdc + 1)?;
                Token::List(self.count(len, 1)?)
            }
            0xde | 0xdf => {
                let len = self.length(byte - 0xde + 1)?;
                Token::Map(self.count(len, 2)?)
            }
            _ => return Err(malformed("a byte that begins no value")),
        })
    }

    /// A length of 1, 2 or 4 bytes for `log2` 0, 1, 2.
    fn length(&mut self, log2: u8) -> Result<usize> {
        Ok(match log2 {
            0 => usize::from(u8::from_be_bytes(self.take()?)),
            1 => usize::from(u16::from_be_bytes(self.take()?)),
            _ => u32::from_be_bytes(self.take()?) as usize,
        })
    }

    fn ext(&mut self, len: usize) -> Result<Token<'a>> {
        let [code] = self.take::<1>()?;
        let end = self.at.checked_add(len).ok_or_else(|| malformed("a length overflows"))?;
        match code {
            ext::TUPLE | ext::SET | ext::FROZENSET => {
                let Token::List(count) = self.token()? else {
                    return Err(malformed("a tuple or set holds no array"));
                };
                self.end = end;
                return Ok(match code {
                    ext::TUPLE => Token::Tuple(count),
                    ext::SET => Token::Set(count),
                    _ => Token::Frozenset(count),
                });
            }
            ext::NAMED => {
                let Token::Text(tag) = self.token()? else {
                    return Err(malformed("a named type has no name"));
                };
                self.end = end;
                return Ok(Token::Named(tag));
            }
            ext::ARRAY => return self.array(len),
            _ => {}
        }
        let payload = self.slice(len)?;
        match code {
            ext::ELLIPSIS if payload.is_empty() => Ok(Token::Ellipsis),
            ext::BIG_INTEGER if len > 8 => Ok(Token::BigInt(payload)),
            ext::COMPLEX => {
                let mut parts = Decoder::new(payload);
                let real = f64::from_be_bytes(parts.take()?);
                let imag = f64::from_be_bytes(parts.take()?);
                parts.done()?;
                Ok(Token::Complex(real, imag))
            }
            ext::SURROGATES => Ok(Token::Surrogates(payload)),
            ext::SCALAR => {
                let mut parts = Decoder::new(payload);
                let Token::Text(dtype) = parts.token()? else {
                    return Err(malformed("a scalar has no dtype"));
                };
                Ok(Token::Scalar(dtype, payload.get(parts.at..).unwrap_or_default()))
            }
            _ => Err(malformed("an extension type that this version does not know")),
        }
    }

    /// An array's items may continue outside these bytes, in a blob.
    fn array(&mut self, len: usize) -> Result<Token<'a>> {
        let start = self.at;
        let Token::Text(dtype) = self.token()? else {
            return Err(malformed("an array has no dtype"));
        };
        let fortran = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err(malformed("an array has no order")),
        };
        let Token::List(count) = self.token()? else {
            return Err(malformed("an array has no shape"));
        };
        let mut shape = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            match self.token()? {
                Token::Int(extent) if extent >= 0 => shape.push(extent as usize),
                _ => return Err(malformed("an array's extent is no count")),
            }
        }
        let head = self.at - start;
        let Some(size_bytes) = len.checked_sub(head) else {
            return Err(malformed("an array is longer than it says"));
        };
        let here = size_bytes.min(self.bytes.len() - self.at);
        let items = self.slice(here)?;
        Ok(Token::Array(ArrayHead { dtype, fortran, shape, items, size_bytes }))
    }

    /// Reads over one whole value and says whether it is well formed.
    pub fn skip(&mut self) -> Result<()> {
        self.skip_nested(0)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<()> {
        let token = self.token()?;
        let end = self.end;
        let (count, extension) = match token {
            Token::List(n) => (n, false),
            Token::Map(n) => (n.saturating_mul(2), false),
            Token::Tuple(n) | Token::Set(n) | Token::Frozenset(n) => (n, true),
            Token::Named(_) => (1, true),
            _ => return Ok(()),
        };
        if depth >= MAX_DEPTH {
            return Err(malformed("values nest too deeply"));
        }
        for _ in 0..count {
            self.skip_nested(depth + 1)?;
        }
        if extension { self.close_extension(end) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Encoder;
    use super::*;

    #[test]
    fn integers_take_their_shortest_form_and_come_back() {
        for (value, len) in [
            (0i64, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65_536, 5),
            (1 << 40, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-129, 3),
            (-40_000, 5),
            (i64::MIN, 9),
            (i64::MAX, 9),
        ] {
            let mut encoder = Encoder::default();
            encoder.int(value);
            assert_eq!(encoder.len(), len, "{value}");
            assert_eq!(Decoder::new(encoder.bytes()).token().ok(), Some(Token::Int(value)));
        }
    }

    #[test]
    fn every_cut_of_a_value_is_malformed_and_none_panics() {
        let mut encoder = Encoder::default();
        encoder.map(2);
        encoder.text("list");
        encoder.list(3);
        encoder.float(0.5);
        encoder.binary(b"abc");
        encoder.big_int(&[1; 9]);
        encoder.text("array");
        let mark = encoder.array("<f4", false, &[2]);
        encoder.raw(&[0; 8]);
        encoder.close(mark, 0);
        let bytes = encoder.into_bytes();
        assert!(Decoder::new(&bytes).skip().is_ok());
        for cut in 0..bytes.len() - 8 {
            assert!(Decoder::new(bytes.get(..cut).unwrap_or_default()).skip().is_err(), "{cut}");
        }
    }

    #[test]
    fn an_extension_that_holds_more_or_less_than_it_says_is_malformed() {
        // A tuple of one integer: ext 32, three bytes long, code 5, array of one, 5.
        for (len, slug) in
            [(2, None), (0, Some("malformed")), (1, Some("malformed")), (3, Some("malformed"))]
        {
            let bytes = [0xc9, 0, 0, 0, len, 5, 0x91, 5];
            assert_eq!(Decoder::new(&bytes).skip().err().map(|e| e.slug()), slug, "{len}");
        }
    }

    #[test]
    fn a_count_cannot_ask_for_more_than_there_is() {
        let error = Decoder::new(&[0xdd, 0xff, 0xff, 0xff, 0xff]).token().map_err(|e| e.slug());
        assert_eq!(error, Err("malformed"));
    }
}
