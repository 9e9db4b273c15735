//! The classes of a version: what a save keeps of them beside their modules.
//!
//! A map, ascending by kind: `module:qualname` of each class in the tree -> `[versions, fields]`.
//! `versions` is a map from the kinds of those of its bases, and of itself, that declare a schema
//! version to that number; who declares none has version 1. `fields` is a list of `[name, role,
//! type]` in the order of declaration; roles are `param`, `attr`, `child`, `plain`, `initvar` and
//! `argument`, types are text for comparing. No class, no bytes.

use crate::codec::{Decoder, Encoder, Token};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Writes the rows of classes, which are encoded already, by kind.
pub fn encode(rows: &BTreeMap<&str, &[u8]>) -> Vec<u8> {
    let mut out = Encoder::default();
    out.map(rows.len());
    for (kind, row) in rows {
        out.text(kind);
        out.raw(row);
    }
    out.into_bytes()
}

/// A class that `theirs` has in a newer schema than `mine`, with both numbers: mine, theirs.
pub fn outgrown<'a>(mine: &[u8], theirs: &'a [u8]) -> Result<Option<(&'a str, u64, u64)>> {
    let mine = versions(mine)?;
    for (class, declared) in versions(theirs)? {
        let Some(known) = mine.get(class) else { continue };
        for (base, theirs) in declared {
            let mine = known.get(base).copied().unwrap_or(1);
            if mine < theirs {
                return Ok(Some((base, mine, theirs)));
            }
        }
    }
    Ok(None)
}

type Versions<'a> = BTreeMap<&'a str, u64>;

/// What the classes declare, by kind.
fn versions(table: &[u8]) -> Result<BTreeMap<&str, Versions<'_>>> {
    let mut found = BTreeMap::new();
    if table.is_empty() {
        return Ok(found);
    }
    let malformed = || Error::new("malformed", "a table of classes is not one");
    let mut input = Decoder::new(table);
    let Token::Map(classes) = input.token()? else { return Err(malformed()) };
    for _ in 0..classes {
        let (Token::Text(kind), Token::List(2)) = (input.token()?, input.token()?) else {
            return Err(malformed());
        };
        let Token::Map(bases) = input.token()? else { return Err(malformed()) };
        let mut declared = Versions::new();
        for _ in 0..bases {
            let (Token::Text(base), Token::Int(version)) = (input.token()?, input.token()?) else {
                return Err(malformed());
            };
            declared.insert(base, u64::try_from(version).map_err(|_| malformed())?);
        }
        input.skip()?;
        found.insert(kind, declared);
    }
    input.done()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &[(&str, i64)])]) -> Vec<u8> {
        let row = |declared: &&[(&str, i64)]| {
            let mut out = Encoder::default();
            out.list(2);
            out.map(declared.len());
            for (base, version) in declared.iter() {
                out.text(base);
                out.int(*version);
            }
            out.list(0);
            out.into_bytes()
        };
        let rows: Vec<_> = rows.iter().map(|(kind, declared)| (*kind, row(declared))).collect();
        encode(&rows.iter().map(|(kind, row)| (*kind, row.as_slice())).collect())
    }

    #[test]
    fn a_newer_schema_of_a_class_or_its_base_is_found() {
        let old = table(&[("m:A", &[("m:Base", 2)]), ("m:B", &[])]);
        let new = table(&[("m:A", &[("m:Base", 3)]), ("m:C", &[("m:C", 9)])]);
        assert_eq!(outgrown(&old, &new).ok(), Some(Some(("m:Base", 2, 3))));
        assert_eq!(outgrown(&new, &old).ok(), Some(None));
        assert_eq!(outgrown(&old, &old).ok(), Some(None));
        let declared = table(&[("m:B", &[("m:B", 2)])]);
        assert_eq!(outgrown(&old, &declared).ok(), Some(Some(("m:B", 1, 2))));
        assert_eq!(outgrown(&[], &new).ok(), Some(None));
    }

    #[test]
    fn what_is_no_table_is_malformed() {
        for bytes in [&[0x90u8][..], &[0x81, 0xa1, b'k', 0xc0], &[0x80, 0x80]] {
            assert_eq!(outgrown(bytes, &[]).map_err(|error| error.slug()), Err("malformed"));
        }
    }
}
