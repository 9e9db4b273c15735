//! Ed25519 (RFC 8032), for what is shown to others.

use crate::error::{Error, Result};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Signs with a key that is kept as its seed.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// The signer of a seed.
    pub fn new(seed: &[u8; 32]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        pair.map(Signer).map_err(|_| Error::new("store", "the cipher library refused a seed"))
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        let mut public = [0u8; 32];
        public.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        public
    }

    /// The signature of a message: 64 bytes, always the same ones.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

/// Whether `signature` is that of `message` by the owner of `public_key`.
pub fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs.filter_map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()).collect()
    }

    #[test]
    fn the_known_answer_of_rfc_8032_holds() {
        // Section 7.1, test 2.
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let expected = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let seed: [u8; 32] = seed.try_into().unwrap_or_default();
        let signer = Signer::new(&seed);
        assert!(signer.is_ok());
        if let Ok(signer) = signer {
            assert_eq!(signer.public_key().as_slice(), public);
            assert_eq!(signer.sign(&[0x72]), expected);
        }
        assert!(is_signed(&public, &[0x72], &expected));
        assert!(!is_signed(&public, &[0x73], &expected));
    }
}
