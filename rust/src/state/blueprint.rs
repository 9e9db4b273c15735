//! How a stored blueprint is written: kinds, ids, plain fields and structure, without Param values.
//!
//! A module is a map: `kind` (`module:qualname`), `id`, then the fields. A module met again is
//! `{"same": id}`. A plain dict that could be taken for either is `{"$data": dict}`.

use crate::codec::{Decoder, Encoder, MAX_DEPTH, Token};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// What a value of a blueprint begins with.
#[derive(Debug)]
pub enum Opening<'a> {
    /// A module; its fields follow.
    Module(Head<'a>),
    /// A module that was met before, by its encoded id.
    Same(&'a [u8]),
    /// A plain dict follows, whatever it looks like.
    Data,
    /// Any other value, of which nothing was read.
    Other,
}

/// The head of a module; its fields follow.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Where the module begins.
    pub start: usize,
    /// How many fields follow.
    pub fields: usize,
    /// `module:qualname`.
    pub kind: &'a str,
    /// The encoded id.
    pub id: &'a [u8],
}

/// Reads the beginning of a value of a blueprint.
pub fn opening<'a>(input: &mut Decoder<'a>) -> Result<Opening<'a>> {
    let start = input.position();
    let mut ahead = input.clone();
    let Token::Map(len @ 1..) = ahead.token()? else {
        return Ok(Opening::Other);
    };
    let opening = match (ahead.token()?, len) {
        (Token::Text("same"), 1) => Opening::Same(ahead.encoded()?),
        (Token::Text("$data"), 1) => Opening::Data,
        (Token::Text("kind"), 2..) => {
            let (Token::Text(kind), Token::Text("id")) = (ahead.token()?, ahead.token()?) else {
                return Ok(Opening::Other);
            };
            Opening::Module(Head { start, fields: len - 2, kind, id: ahead.encoded()? })
        }
        _ => return Ok(Opening::Other),
    };
    *input = ahead;
    Ok(opening)
}

/// The kind of the root.
pub fn kind(blueprint: &[u8]) -> Result<&str> {
    match opening(&mut Decoder::new(blueprint))? {
        Opening::Module(head) => Ok(head.kind),
        _ => Err(Error::new("malformed", "a stored blueprint describes no module")),
    }
}

/// The structure that a blueprint describes: which kind of module stands where, and which of them
/// are one. Two trees of equal outlines take the same states.
pub fn outline(blueprint: &[u8]) -> Result<Vec<u8>> {
    let mut outline = Outline { out: Encoder::default(), ids: HashMap::new() };
    outline.value(&mut Decoder::new(blueprint), 0)?;
    Ok(outline.out.into_bytes())
}

struct Outline<'a> {
    out: Encoder,
    /// The encoded id of a module -> how many came before it.
    ids: HashMap<&'a [u8], usize>,
}

impl<'a> Outline<'a> {
    fn value(&mut self, input: &mut Decoder<'a>, depth: usize) -> Result<()> {
        if depth > 2 * MAX_DEPTH {
            return Err(Error::new("malformed", "a blueprint nests too deeply"));
        }
        match opening(input)? {
            Opening::Module(head) => {
                self.out.text(head.kind);
                self.ids.insert(head.id, self.ids.len());
                return self.pairs(input, head.fields, depth);
            }
            Opening::Same(id) => {
                let number = self.ids.get(id).copied();
                let number = number.ok_or_else(|| Error::new("malformed", "an unknown module"))?;
                self.out.uint(number as u64);
                return Ok(());
            }
            Opening::Data | Opening::Other => {}
        }
        let mut ahead = input.clone();
        match ahead.token()? {
            Token::List(len) => {
                *input = ahead;
                self.elements(input, len, depth)
            }
            Token::Tuple(len) => {
                *input = ahead;
                let end = input.extension_end();
                self.elements(input, len, depth)?;
                input.close_extension(end)
            }
            Token::Map(len) => {
                *input = ahead;
                self.pairs(input, len, depth)
            }
            _ => input.skip(),
        }
    }

    fn elements(&mut self, input: &mut Decoder<'a>, len: usize, depth: usize) -> Result<()> {
        for at in 0..len {
            let mark = self.out.len();
            self.out.uint(at as u64);
            self.below(input, mark, depth)?;
        }
        Ok(())
    }

    fn pairs(&mut self, input: &mut Decoder<'a>, len: usize, depth: usize) -> Result<()> {
        for _ in 0..len {
            let mark = self.out.len();
            self.out.raw(input.encoded()?);
            self.below(input, mark, depth)?;
        }
        Ok(())
    }

    /// A value whose key was written at `mark`: what holds no module leaves no trace.
    fn below(&mut self, input: &mut Decoder<'a>, mark: usize, depth: usize) -> Result<()> {
        let empty = self.out.len();
        self.value(input, depth + 1)?;
        if self.out.len() == empty {
            self.out.truncate(mark);
        } else {
            self.out.nil();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(out: &mut Encoder, kind: &str, id: &str, fields: usize) {
        out.map(fields + 2);
        out.text("kind");
        out.text(kind);
        out.text("id");
        out.text(id);
    }

    /// A root with a number, and two parts of which the second may be the first again.
    fn pair(number: i64, id: &str, second: Option<&str>) -> Vec<u8> {
        let mut out = Encoder::default();
        module(&mut out, "m:Root", id, 2);
        out.text("number");
        out.int(number);
        out.text("parts");
        out.list(2);
        module(&mut out, "m:Part", "a", 0);
        match second {
            Some(kind) => module(&mut out, kind, "b", 0),
            None => {
                out.map(1);
                out.text("same");
                out.text("a");
            }
        }
        out.into_bytes()
    }

    #[test]
    fn outlines_tell_structures_apart_and_nothing_else() {
        let one = outline(&pair(1, "r", Some("m:Part"))).ok();
        assert!(one.is_some());
        assert_eq!(one, outline(&pair(2, "s", Some("m:Part"))).ok());
        assert_ne!(one, outline(&pair(1, "r", Some("m:Other"))).ok());
        assert_ne!(one, outline(&pair(1, "r", None)).ok());
    }

    #[test]
    fn a_blueprint_begins_with_its_kind() {
        assert_eq!(kind(&pair(1, "r", None)).ok(), Some("m:Root"));
        assert_eq!(kind(&[0x80]).map_err(|error| error.slug()), Err("malformed"));
    }
}
