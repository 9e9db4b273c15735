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

/// 64 components of a query, whole numbers of four bits: the first bits of all, the second, the
/// third, and the fourth, which counts -8.
pub type Planes = [u64; 4];

/// The same word, of 64 signs, of eight rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Words(pub [u64; 8]);

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

impl Words {
    /// No bit set.
    pub const ZERO: Words = Words([0; 8]);
}

/// Sums the lanes in halves: the one order of every path.
fn folded(lanes: [f32; 16]) -> f32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    let [a, b, c, d, e, f, g, h] = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
    let [a, b, c, d] = [a + e, b + f, c + g, d + h];
    (a + c) + (b + d)
}

/// The loops over rows, the same for every instruction set: a file has `dot`, `distance`, `product`
/// for a row and `set` for a block, and this macro makes of them what is called, under the same features.
macro_rules! loops {
    ($(#[$features:meta])*) => {
        use crate::vector::kernel::{AHEAD, Bytes, Floats, Planes, Words};

        /// Inner products with the rows of `slots`.
        $(#[$features])*
        pub fn dots(query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
            let lines = query.len();
            out.extend(slots.iter().map(|&slot| {
                let start = slot as usize * lines;
                dot(query, rows.get(start..start + lines).unwrap_or(&[]))
            }));
        }

        /// Squared distances to the rows of `slots`.
        $(#[$features])*
        pub fn distances(query: &[Floats], rows: &[Floats], slots: &[u32], out: &mut Vec<f32>) {
            let lines = query.len();
            out.extend(slots.iter().map(|&slot| {
                let start = slot as usize * lines;
                distance(query, rows.get(start..start + lines).unwrap_or(&[]))
            }));
        }

        /// Inner products with each of `rows`, of values biased by 128.
        $(#[$features])*
        pub fn products(query: &[Bytes], rows: &[Bytes], out: &mut Vec<i32>) {
            out.extend(rows.chunks_exact(query.len().max(1)).map(|row| product(query, row)));
        }

        /// Inner products with the rows of `slots`, of values biased by 128.
        $(#[$features])*
        pub fn some_products(query: &[Bytes], rows: &[Bytes], slots: &[u32], out: &mut Vec<i32>) {
            let lines = query.len();
            let row = |slot: u32| {
                let start = slot as usize * lines;
                rows.get(start..start + lines).unwrap_or(&[])
            };
            let ahead = slots.iter().skip(AHEAD).map(Some).chain(std::iter::repeat(None));
            out.extend(slots.iter().zip(ahead).map(|(&slot, next)| {
                if let Some(&next) = next {
                    row(next).iter().for_each(prefetch);
                }
                product(query, row(slot))
            }));
        }

        /// Sums of what a query has where bits are set, for the rows of each block.
        $(#[$features])*
        pub fn sums(query: &[Planes], blocks: &[Words], out: &mut Vec<i32>) {
            for block in blocks.chunks_exact(query.len().max(1)) {
                out.extend(set(query, block));
            }
        }
    };
}
use loops;

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

/// What four counts of bits are worth.
fn weighed([ones, twos, fours, eights]: [i32; 4]) -> i32 {
    ones + 2 * twos + 4 * fours - 8 * eights
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
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                sets.push(Kernel(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vpopcntdq")
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

    /// Adds to `out` the inner product of `query` with each row, plus 128 times the query's sum.
    pub fn products(self, query: &[Bytes], rows: &[Bytes], out: &mut Vec<i32>) {
        dispatched!(self, products(query, rows, out));
    }

    /// Likewise with each of `slots`.
    pub fn some_products(self, query: &[Bytes], rows: &[Bytes], slots: &[u32], out: &mut Vec<i32>) {
        dispatched!(self, some_products(query, rows, slots, out));
    }

    /// Adds to `out` the sum of what `query` has where a row has a bit, for each row of each block.
    pub fn sums(self, query: &[Planes], blocks: &[Words], out: &mut Vec<i32>) {
        dispatched!(self, sums(query, blocks, out));
    }
}

#[cfg(test)]
mod tests;
