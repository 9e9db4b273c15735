"""Checking what a ledger says of itself."""

def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Says whether an Ed25519 signature (RFC 8032) of a message is by the owner of a key."""
