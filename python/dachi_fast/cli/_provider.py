"""Key providers as arguments name them: where a key is, never the key.

| reference | provider |
|---|---|
| ``file:PATH``, ``file`` | `KeyFile`, by default the user's |
| ``env:NAME`` | `EnvKey` |
| ``keyring:SERVICE/USER`` | `KeyringKey` |
| ``kms:KEY`` | `AwsKms`; the region is that of an ARN, else as boto3 finds it |
| ``passphrase`` | `Passphrase`, asked for, or a line of standard input |
"""

from __future__ import annotations

import getpass
import re
import sys
from typing import TYPE_CHECKING, Final

import typer

from dachi_fast.keys import KeyFile

if TYPE_CHECKING:
    from dachi_fast.types import KeyProvider

FORMS: Final = "file:PATH, env:NAME, keyring:SERVICE/USER, kms:KEY or passphrase"


def provider(reference: str | None, *, new: bool = False) -> KeyProvider:
    """Gives the provider that a reference names.

    Args:
        reference: as the table above; None for the user's key file.
        new: whether a passphrase is a new one, which is asked for twice.

    Raises:
        BadParameter: it names none. What was given is not repeated: it may be a secret.
    """
    if reference is None or reference == "file":
        return KeyFile()
    if reference == "passphrase":
        return _passphrase(new=new)
    scheme, _, place = reference.partition(":")
    if scheme == "file" and place:
        return KeyFile(place)
    # Longer, it looks like a key; environment variables are called shorter.
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", place):
        from dachi_fast.keys import EnvKey

        return EnvKey(place)
    if scheme == "keyring" and all(place.partition("/")):
        from dachi_fast.keys import KeyringKey

        service, _, user = place.rpartition("/")
        return KeyringKey(service, user)
    if scheme == "kms" and place:
        from dachi_fast.keys import AwsKms

        return AwsKms(place, region=_region(place))
    if scheme == "passphrase":
        what = "a passphrase is asked for, or read from standard input, never an argument"
        raise typer.BadParameter(f"{what}: write just 'passphrase', and choose another one")
    raise typer.BadParameter(f"say where the key is: {FORMS}")


def _region(key: str) -> str | None:
    parts = key.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else None


def _passphrase(*, new: bool) -> KeyProvider:
    from dachi_fast.keys import Passphrase

    if not sys.stdin.isatty():
        return Passphrase(sys.stdin.readline().rstrip("\r\n"))
    asked = getpass.getpass("New passphrase: " if new else "Passphrase: ", stream=sys.stderr)
    if new and getpass.getpass("Once more: ", stream=sys.stderr) != asked:
        raise typer.BadParameter("these are two different passphrases; nothing was changed")
    return Passphrase(asked)
