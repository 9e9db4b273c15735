//! SHA-256 and HMAC, for what others verify or must not guess.

use aws_lc_rs::{digest, hmac};

/// SHA-256 over parts behind one another.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    fixed(context.finish().as_ref())
}

/// HMAC-SHA-256 over parts behind one another.
pub fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    HmacKey::new(key).of(parts)
}

/// A key of HMAC-SHA-256 that is used often: its own two blocks are hashed once.
pub(super) struct HmacKey(hmac::Key);

impl HmacKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        HmacKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA-256 over parts behind one another.
    pub(super) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        fixed(context.sign().as_ref())
    }

    /// 32 bytes of HKDF-SHA256-Expand with this pseudorandom key (RFC 5869, section 2.3): so few
    /// are one block. The crate's own `Prk` would repeat the extraction each time.
    pub(super) fn expand(&self, info: [&[u8]; 3]) -> [u8; 32] {
        let [first, second, third] = info;
        self.of(&[first, second, third, &[1]])
    }
}

/// Whether two secrets are equal, in a time that does not depend on where they differ.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn fixed(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hkdf;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_answers_hold() {
        // FIPS 180-4 example and RFC 4231 test case 2.
        assert_eq!(
            hex(&sha256(&[b"a", b"bc"])),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut key = [0u8; 32];
        key.iter_mut().zip(b"Jefe").for_each(|(to, from)| *to = *from);
        assert_eq!(
            hex(&hmac(&key, &[b"what do ya want for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn expanding_is_hkdf() -> Result<(), aws_lc_rs::error::Unspecified> {
        struct Bytes32;
        impl hkdf::KeyType for Bytes32 {
            fn len(&self) -> usize {
                32
            }
        }
        let (salt, secret) = ([7u8; 32], [9u8; 32]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&secret);
        let info: [&[u8]; 3] = [b"kind", b"", b"of"];
        let mut known = [0u8; 32];
        prk.expand(&info, Bytes32)?.fill(&mut known)?;
        assert_eq!(HmacKey::new(&hmac(&salt, &[&secret])).expand(info), known);
        Ok(())
    }
}
