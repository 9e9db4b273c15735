//! Values to msgpack and back, exactly and in one canonical form.
//!
//! Layout: msgpack (its specification of 2017) with the shortest form of every header, floats always
//! as float 64, and these extension types for what msgpack lacks. `ext32` is used for extensions
//! that hold other values, so that their length can be filled in afterwards.
//!
//! | code | value | payload |
//! |---|---|---|
//! | 1 | Ellipsis | empty |
//! | 2 | integer beyond 64 bits | two's complement, big endian, shortest |
//! | 3 | complex | two big-endian float 64 |
//! | 4 | text with lone surrogates | UTF-8 generalised to surrogates (WTF-8) |
//! | 5 | tuple | a msgpack array |
//! | 6, 7 | set, frozenset | a msgpack array, elements ascending by their bytes |
//! | 8 | numpy array | text dtype, u8 order (0 C, 1 Fortran), array shape, then the raw items |
//! | 9 | numpy scalar | text dtype, then the raw item |
//! | 10 | named type | text tag, then one value |
//!
//! Dict order is content; NaN keeps its bits.

mod decode;
mod encode;

pub use decode::{ArrayHead, Decoder, Token};
pub use encode::{Encoder, Mark};

/// How deep values may nest. Python's own recursion limit is 1,000; a nest this deep is a mistake
/// or an attack, and both encoder and decoder recurse.
pub const MAX_DEPTH: usize = 200;

/// Extension codes; see the table above.
pub mod ext {
    /// Ellipsis.
    pub const ELLIPSIS: u8 = 1;
    /// Integer beyond 64 bits.
    pub const BIG_INTEGER: u8 = 2;
    /// Complex number.
    pub const COMPLEX: u8 = 3;
    /// Text with lone surrogates.
    pub const SURROGATES: u8 = 4;
    /// Tuple.
    pub const TUPLE: u8 = 5;
    /// Set.
    pub const SET: u8 = 6;
    /// Frozen set.
    pub const FROZENSET: u8 = 7;
    /// numpy array.
    pub const ARRAY: u8 = 8;
    /// numpy scalar.
    pub const SCALAR: u8 = 9;
    /// Named type.
    pub const NAMED: u8 = 10;
}
