//! Argon2id (RFC 9106): a key from a secret that people can remember.

use crate::error::{Error, Result};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes, which a machine of many cores may fill side by side.
    pub lanes: u32,
}

impl Cost {
    /// Within what is a protection and still ends: a wrapped key is read before it is
    /// authenticated, so whoever wrote it must not choose how much memory and time it takes.
    pub fn checked(self) -> Result<Self> {
        let fits = (1..=16).contains(&self.lanes)
            && (1..=64).contains(&self.passes)
            && (8 * self.lanes..=1 << 20).contains(&self.memory_kib);
        if fits {
            return Ok(self);
        }
        Err(Error::new(
            "malformed",
            "a cost of Argon2id is out of bounds: 1 to 16 lanes, 1 to 64 passes, at most 1 GiB of \
             memory and at least 8 KiB a lane",
        ))
    }
}

/// 32 bytes from `secret` and `salt`.
pub fn stretch(secret: &[u8], salt: &[u8; 16], cost: Cost) -> Result<Zeroizing<[u8; 32]>> {
    let cost = cost.checked()?;
    let failed = |_| Error::new("store", "Argon2id failed; is there enough memory?");
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret, salt, &mut *out)
        .map_err(failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_hold() {
        // As the reference implementation in C computes it (phc-winner-argon2, through
        // argon2-cffi: `hash_secret_raw(..., 3, 256, 2, 32, Type.ID)`).
        let cost = Cost { memory_kib: 256, passes: 3, lanes: 2 };
        let out = stretch(b"password", b"somesaltsomesalt", cost);
        let hex: Option<String> =
            out.ok().map(|out| out.iter().map(|byte| format!("{byte:02x}")).collect());
        assert_eq!(
            hex.as_deref(),
            Some("4405b9089a2a4a7add167d11d63f8ec41c2408e1d8e45e02b85bf4ac98102e51")
        );
    }

    #[test]
    fn costs_out_of_bounds_are_refused() {
        for (memory_kib, passes, lanes) in [
            (7, 1, 1),
            (8, 1, 2),
            ((1 << 20) + 1, 1, 1),
            (8, 0, 1),
            (8, 65, 1),
            (8, 1, 0),
            (u32::MAX, 1, 17),
        ] {
            let refused = Cost { memory_kib, passes, lanes }.checked().map_err(|e| e.slug());
            assert_eq!(refused, Err("malformed"));
        }
    }
}
