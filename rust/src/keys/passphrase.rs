//! One key under a passphrase.
//!
//! Layout: version u8 (1), memory u32 (KiB), passes u32, lanes u32, salt (16), then what
//! [`super::wrap`] gives under the key that Argon2id makes of passphrase and salt.

use super::{Key, unwrap, wrap};
use crate::error::{Error, Result};
use crate::seal::{Cost, random, stretch};
use crate::wire::{Put, Take};

const VERSION: u8 = 1;

fn kek(passphrase: &[u8], salt: &[u8; 16], cost: Cost) -> Result<Key> {
    stretch(passphrase, salt, cost).map(|bytes| Key::new(*bytes))
}

/// Seals `key` under a passphrase, with a fresh salt.
pub fn wrap_with_passphrase(
    passphrase: &[u8],
    key: &Key,
    purpose: &[u8],
    cost: Cost,
) -> Result<Vec<u8>> {
    let salt = random::<16>()?;
    let mut out = vec![VERSION];
    out.put_u32(cost.memory_kib);
    out.put_u32(cost.passes);
    out.put_u32(cost.lanes);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&wrap(&kek(passphrase, &salt, cost)?, key, purpose)?);
    Ok(out)
}

/// Opens what [`wrap_with_passphrase`] gave; `wrong-key` under another passphrase.
pub fn unwrap_with_passphrase(passphrase: &[u8], wrapped: &[u8], purpose: &[u8]) -> Result<Key> {
    let mut take = Take::new(wrapped);
    if take.u8()? != VERSION {
        return Err(Error::new("malformed", "this is no key that a passphrase wrapped"));
    }
    let cost = Cost { memory_kib: take.u32()?, passes: take.u32()?, lanes: take.u32()? };
    let kek = kek(passphrase, &take.array()?, cost)?;
    unwrap(&kek, take.rest(), purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    #[test]
    fn every_changed_bit_of_a_wrapped_key_is_refused() {
        let key = Key::new([3; 32]);
        let wrapped = wrap_with_passphrase(b"open", &key, b"a", CHEAP).unwrap_or_default();
        assert_eq!(unwrap_with_passphrase(b"open", &wrapped, b"a").ok(), Some(key));
        for at in 0..wrapped.len() {
            let mut edited = wrapped.clone();
            if let Some(byte) = edited.get_mut(at) {
                *byte ^= 1;
            }
            assert!(unwrap_with_passphrase(b"open", &edited, b"a").is_err(), "byte {at}");
            let cut = wrapped.get(..at).unwrap_or_default();
            assert!(unwrap_with_passphrase(b"open", cut, b"a").is_err(), "cut at {at}");
        }
    }
}
