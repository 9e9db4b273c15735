//! Distances over many rows at once, on whatever instructions this machine has.
//!
//! Every path gives the same bits. Integer sums are exact. A float sum is the same everywhere
//! because its order is fixed: sixteen lanes, lane `i` adds components `i`, `i + 16`, ... by one
//! multiplication and one addition (never fused: not every machine can), then the lanes are added
//! in halves. Rows are whole lines of 64 bytes, zeros behind the last component.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use std::sync::OnceLock;

/// Sixteen components.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Floats(pub [f32; 16]);

/// 64 components of eight bits: `value + 128` in a row, the value's own bits in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Bytes(pub [u8; 64]);

/// A query in eight bits.
#[derive(Debug, Clone, Copy)]
pub struct Quantised<'a> {
    /// Its values.
    pub bytes: &'a [Bytes],
    /// What each product is too large by: 128 times their sum.
    pub bias: i32,
    /// What a value of one stands for.
    pub scale: f32,
}

impl Quantised<'_> {
    /// The key of a row.
    pub fn key(self, product: i32, scale: f32, bias: f32) -> f32 {
        // Both are far from the ends of their range; a check would keep four from being done at once.
        product.wrapping_sub(self.bias) as f32 * (self.scale * scale) + bias
    }
}

/// Rows of a block.
pub const BLOCK: usize = 32;

/// Sixteen signs of each row of a block: first the bytes of components 0 to 7, the lowest bit first,
/// of the rows 0, 16, 1, 17, ..., then those of the components 8 to 15. So sums of bytes at even
/// places are of the first sixteen rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Bits(pub [u8; 64]);

/// What a query says of sixteen signs: for each four of them, the lowest bit first, a sum for each of
/// the sixteen ways they may be, at most 28. One after the other, each twice: signs 0 to 3 and 8 to 11,
/// then 4 to 7 and 12 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Sums(pub [[u8; 64]; 2]);

impl Floats {
    /// Sixteen zeros.
    pub const ZERO: Floats = Floats([0.0; 16]);
}

impl Bytes {
    /// 64 zeros of a row.
    pub const ZERO_ROW: Bytes = Bytes([128; 64]);
    /// 64 zeros of a query.
    pub const ZERO_QUERY: Bytes = Bytes([0; 64]);
}

/// What makes keys of the sums of a block's rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Numbers {
    /// What a row's sum is multiplied by.
    pub factors: [f32; BLOCK],
    /// What is added to it.
    pub biases: [f32; BLOCK],
}

impl Numbers {
    /// Of rows that are not there: farther than all others.
    pub const NONE: Numbers = Numbers { factors: [0.0; BLOCK], biases: [f32::NEG_INFINITY; BLOCK] };
}

impl Bits {
    /// No bit set.
    pub const ZERO: Bits = Bits([0; 64]);

    /// Where the byte of a row of the block is, of its first eight components.
    pub fn place(row: usize) -> usize {
        row % 16 * 2 + row / 16
    }
}

impl Sums {
    /// Sums of nothing.
    pub const ZERO: Sums = Sums([[0; 64]; 2]);
}

/// How sums become keys: `(2 * sum + offset) * scale * factor + bias`.
#[derive(Debug, Clone, Copy)]
pub struct Weigh {
    /// Added to twice a sum.
    pub offset: i32,
    /// What one stands for.
    pub scale: f32,
    /// Keys that are not above it are of no use.
    pub floor: f32,
}

/// Sums the lanes in halves: the one order of every path.
fn folded(lanes: [f32; 16]) -> f32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    let [a, b, c, d, e, f, g, h] = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
    let [a, b, c, d] = [a + e, b + f, c + g, d + h];
    (a + c) + (b + d)
}

/// The loops over rows, the same for every instruction set: a file has `dot`, `distance`, `product`
/// for a row and `signed` for a block, and this macro makes of them what is called, under the same features.
macro_rules! loops {
    ($(#[$features:meta])*) => {
        use crate::vector::kernel::{BLOCK, Bits, Bytes, Floats, GROUP, Numbers, Quantised, Sums, Weigh, ahead, filled};

        /// Inner products with the rows of `slots`.
        $(#[$features])*
        pub fn dots(query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
            out.extend(ahead(rows, query.len(), slots).map(|(row, next)| {
                next.iter().for_each(prefetch);
                dot(query, row)
            }));
        }

        /// Squared distances to the rows of `slots`.
        $(#[$features])*
        pub fn distances(query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
            out.extend(ahead(rows, query.len(), slots).map(|(row, next)| {
                next.iter().for_each(prefetch);
                distance(query, row)
            }));
        }

        /// Keys of each of `rows`, from inner products of values biased by 128.
        $(#[$features])*
        pub fn keys(
            query: Quantised<'_>,
            rows: &[Bytes],
            (scales, biases): (&[f32], &[f32]),
            out: &mut Vec<f32>,
        ) {
            let rows = rows.chunks(query.bytes.len().max(1) * GROUP);
            let count = scales.len().min(biases.len());
            let (scales, last) = scales.as_chunks::<GROUP>();
            let (biases, bias) = biases.as_chunks::<GROUP>();
            let (last, bias) = (filled(last), filled(bias));
            let numbers = scales.iter().chain([&last]).zip(biases.iter().chain([&bias]));
            let start = out.len();
            for (rows, (scales, biases)) in rows.zip(numbers) {
                let products = products(query.bytes, rows);
                let mut keys = [0.0; GROUP];
                for (key, (product, (&scale, &bias))) in
                    keys.iter_mut().zip(products.into_iter().zip(scales.iter().zip(biases)))
                {
                    *key = query.key(product, scale, bias);
                }
                out.extend_from_slice(&keys);
            }
            out.truncate(start + count);
        }

        /// Inner products with the rows of `slots`, of values biased by 128.
        $(#[$features])*
        pub fn some_products(query: &[Bytes], rows: &[Bytes], slots: &[u32], out: &mut Vec<i32>) {
            out.extend(ahead(rows, query.len(), slots).map(|(row, next)| {
                next.iter().for_each(prefetch);
                product(query, row)
            }));
        }

        /// Keys of the rows of the blocks that have one above the floor, from the sums of their signs.
        $(#[$features])*
        pub fn weighed(
            query: &[Sums],
            weigh: Weigh,
            (bits, numbers): (&[Bits], &[Numbers]),
            blocks: &[(u32, f32)],
            out: &mut Vec<(u32, [f32; BLOCK])>,
        ) {
            let Weigh { offset, scale, floor } = weigh;
            let (lines, none) = (query.len(), Numbers::NONE);
            let signs = |block: u32| {
                let start = block as usize * lines;
                bits.get(start..start + lines).unwrap_or(&[])
            };
            let next = blocks.iter().skip(1).map(|&(block, _)| signs(block));
            let next = next.chain(std::iter::repeat(&[][..]));
            for (&(block, base), next) in blocks.iter().zip(next) {
                next.iter().for_each(prefetch);
                let sums = signed(query, signs(block));
                let Numbers { factors, biases } = numbers.get(block as usize).unwrap_or(&none);
                let mut keys = [0.0; BLOCK];
                for (key, ((sum, factor), bias)) in
                    keys.iter_mut().zip(sums.iter().zip(factors).zip(biases))
                {
                    // At most 4,096 * 7, so far from overflow; a check would keep sixteen from
                    // being done at once.
                    let sum = i32::from(*sum).wrapping_mul(2).wrapping_add(offset);
                    *key = sum as f32 * (scale * factor) + bias + base;
                }
                if keys.iter().fold(false, |any, &key| any | (key > floor)) {
                    out.push((block, keys));
                }
            }
        }
    };
}
use loops;

/// Rows whose products are made before their keys.
const GROUP: usize = 16;
/// The rows of `slots`, each with one that is wanted a few later, if there is one.
#[inline]
fn ahead<'a, Line>(
    rows: &'a [Line],
    lines: usize,
    slots: &'a [u32],
) -> impl Iterator<Item = (&'a [Line], &'a [Line])> {
    let row = move |slot: u32| {
        let start = slot as usize * lines;
        rows.get(start..start + lines).unwrap_or(&[])
    };
    let next = slots.iter().skip(AHEAD).map(move |&slot| row(slot));
    slots.iter().map(move |&slot| row(slot)).zip(next.chain(std::iter::repeat(&[][..])))
}

/// Numbers of a group, the last of them zeros.
fn filled(numbers: &[f32]) -> [f32; GROUP] {
    let mut group = [0.0; GROUP];
    group.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from);
    group
}

/// Lines whose sums a byte holds: two of at most 28 each.
const LINES: usize = 4;
/// How many rows ahead one is fetched, where they lie scattered.
const AHEAD: usize = 4;

/// An instruction set. One that this machine lacks cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// Calls a function of the set's file.
macro_rules! dispatched {
    ($self:ident, $name:ident($($argument:expr),*)) => {
        match $self.0 {
            Set::Portable => portable::$name($($argument),*),
            // SAFETY: a `Kernel` of this set comes from `all` only, which looked for the features.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Set::Avx2 => unsafe { avx2::$name($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Set::Avx512 => unsafe { avx512::$name($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            #[allow(unsafe_code)]
            Set::Neon => unsafe { neon::$name($($argument),*) },
        }
    };
}

impl Kernel {
    /// Every one that this machine can run, the slowest first.
    pub fn all() -> Vec<Kernel> {
        let mut sets = vec![Kernel(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                sets.push(Kernel(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                sets.push(Kernel(Set::Avx512));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(Kernel(Set::Neon));
        }
        sets
    }

    /// The fastest one.
    pub fn best() -> Kernel {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Kernel::all().pop().unwrap_or(Kernel(Set::Portable)))
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "NEON",
        }
    }

    /// Adds to `out` the inner product of `query` with each of `slots`.
    pub fn dots(self, query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
        dispatched!(self, dots(query, rows, slots, out));
    }

    /// Adds to `out` the squared distance from `query` to each of `slots`.
    pub fn distances(self, query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
        dispatched!(self, distances(query, rows, slots, out));
    }

    /// Adds to `out` the key of each row that has a scale and a bias.
    pub fn keys(
        self,
        query: Quantised<'_>,
        rows: &[Bytes],
        numbers: (&[f32], &[f32]),
        out: &mut Vec<f32>,
    ) {
        dispatched!(self, keys(query, rows, numbers, out));
    }

    /// Adds to `out` the inner product of `query` with each of `slots`, plus 128 times the query's sum.
    pub fn some_products(self, query: &[Bytes], rows: &[Bytes], slots: &[u32], out: &mut Vec<i32>) {
        dispatched!(self, some_products(query, rows, slots, out));
    }

    /// Adds to `out` the keys that signs give, of each block that has one above the floor; with a
    /// block comes what its keys have besides.
    pub fn weighed(
        self,
        query: &[Sums],
        weigh: Weigh,
        rows: (&[Bits], &[Numbers]),
        blocks: &[(u32, f32)],
        out: &mut Vec<(u32, [f32; BLOCK])>,
    ) {
        dispatched!(self, weighed(query, weigh, rows, blocks, out));
    }
}

#[cfg(test)]
mod tests;
