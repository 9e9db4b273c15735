//! One key under another: what file, passphrase and environment providers need.

use super::Key;
use crate::error::{Error, Result};
use crate::seal::{Committed, Context, Epochs, NodeId, Place, Scratch, Sealer, kind};

const SALT: &[u8; 32] = b"dachi_fast wrapped by a provider";

fn sealer(kek: &Key, purpose: &[u8]) -> Sealer {
    // The purpose is bound through the associated data, by its hash.
    let digest = blake3::hash(purpose);
    let mut store = [0u8; 16];
    store.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    let epochs = std::sync::Arc::new(Epochs::fixed(SALT));
    Sealer::new(Context { store, namespace: [0; 16] }, epochs, kek.bytes())
}

const PLACE: Place = Place { kind: kind::WRAPPED, id: NodeId([0; 16]) };

/// Seals `key` under `kek` for `purpose`; a different purpose does not open it.
pub fn wrap(kek: &Key, key: &Key, purpose: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let sealer = sealer(kek, purpose);
    sealer.seal(&mut Scratch::default(), PLACE, Committed::Yes, key.bytes(), &mut out)?;
    Ok(out)
}

/// Opens what [`wrap`] gave; `wrong-key` under another `kek`.
pub fn unwrap(kek: &Key, wrapped: &[u8], purpose: &[u8]) -> Result<Key> {
    let opened =
        sealer(kek, purpose).open(&mut Scratch::default(), PLACE, Committed::Yes, wrapped)?;
    let opened = zeroize::Zeroizing::new(opened);
    let bytes = opened.as_slice().try_into();
    bytes.map(Key::new).map_err(|_| Error::new("malformed", "a wrapped key has a wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_under_its_key_and_for_its_purpose() {
        let (kek, other) = (Key::new([1; 32]), Key::new([2; 32]));
        let key = Key::new([3; 32]);
        let wrapped = wrap(&kek, &key, b"root of a").unwrap_or_default();
        assert_eq!(unwrap(&kek, &wrapped, b"root of a").ok(), Some(key));
        assert_eq!(
            unwrap(&other, &wrapped, b"root of a").err().map(|e| e.slug()),
            Some("wrong-key")
        );
        assert_eq!(unwrap(&kek, &wrapped, b"root of b").err().map(|e| e.slug()), Some("tampered"));
    }
}
