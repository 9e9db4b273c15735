"""Providers whose key is missing, wrong, unreadable or out of reach say so, and how to go on."""

from __future__ import annotations

import base64
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import AwsKms, EnvKey, KeyringKey, Passphrase, Store
from dachi_fast._core import keys as core_keys
from dachi_fast.errors import (
    KeyAccessError,
    KeyringError,
    KeyServiceError,
    Malformed,
)

RAW = bytes(range(100, 132))
CONTEXT = b"test"


# --- environment variables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        RAW.hex(),
        RAW.hex().upper(),
        base64.b64encode(RAW).decode(),
        base64.b64encode(RAW).decode().rstrip("="),
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        f"  {RAW.hex()}\n",
    ],
)
def test_a_variable_holds_a_key_in_hex_or_base64(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_KEY", text)
    wrapped = EnvKey("AGENTS_KEY").wrap(b"k" * 32, CONTEXT)
    raw = b"\xff" * 32 if "_" in text else RAW
    assert core_keys.unwrap(raw, wrapped, CONTEXT) == b"k" * 32


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "ab" * 31,
        "ab" * 33,
        "zz" * 32,
        base64.b64encode(b"k" * 31).decode(),
        base64.b64encode(b"k" * 48).decode(),
        "k" * 43 + "!",
        "ü" * 64,
    ],
)
def test_a_variable_without_a_key_is_refused_without_showing_it(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_KEY", text)
    with pytest.raises(KeyringError) as caught:
        Store.open(tmp_path / "store", keys=EnvKey("AGENTS_KEY"))
    assert "AGENTS_KEY" in str(caught.value)
    assert text not in str(caught.value)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_a_variable_that_is_not_set_is_named(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTS_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("AGENTS_KEY", text)
    with pytest.raises(KeyringError, match="AGENTS_KEY is not set"):
        Store.open(tmp_path / "store", keys=EnvKey("AGENTS_KEY"))


# --- passphrases ----------------------------------------------------------------------------------


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(KeyringError, match="empty"):
        Passphrase("")


def test_a_passphrase_that_is_no_text_is_refused_without_quoting_it() -> None:
    with pytest.raises(KeyringError) as caught:
        Passphrase("sesame \ud800")
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_accents_may_be_composed_by_any_keyboard() -> None:
    wrapped = Passphrase("caf\u00e9", memory_kib=8, passes=1).wrap(b"k" * 32, CONTEXT)
    assert Passphrase("cafe\u0301").unwrap(wrapped, CONTEXT) == b"k" * 32


def test_the_cost_of_a_guess_is_kept_with_what_is_sealed() -> None:
    wrapped = Passphrase("sesame", memory_kib=8, passes=1).wrap(b"k" * 32, CONTEXT)
    assert wrapped[1:13] == bytes([8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    assert Passphrase("sesame", passes=9).unwrap(wrapped, CONTEXT) == b"k" * 32
    default = Passphrase("sesame").wrap(b"k" * 32, CONTEXT)
    assert default[1:13] == b"".join(n.to_bytes(4, "little") for n in (65_536, 3, 1))


@pytest.mark.parametrize(
    ("memory_kib", "passes", "lanes"),
    [(7, 1, 1), (2**20 + 1, 1, 1), (8, 0, 1), (8, 65, 1), (8, 1, 2), (2**32 - 1, 1, 17)],
)
def test_a_cost_out_of_bounds_is_refused_in_both_directions(
    memory_kib: int, passes: int, lanes: int
) -> None:
    provider = Passphrase("sesame", memory_kib=memory_kib, passes=passes, lanes=lanes)
    with pytest.raises(Malformed):
        provider.wrap(b"k" * 32, CONTEXT)
    wrapped = Passphrase("sesame", memory_kib=8, passes=1).wrap(b"k" * 32, CONTEXT)
    numbers = b"".join(number.to_bytes(4, "little") for number in (memory_kib, passes, lanes))
    with pytest.raises(Malformed):
        provider.unwrap(wrapped[:1] + numbers + wrapped[13:], CONTEXT)


# --- keyrings -------------------------------------------------------------------------------------


def test_a_keyring_that_is_out_of_reach_says_so() -> None:
    keyring: Any = pytest.importorskip("keyring")
    fail: Any = pytest.importorskip("keyring.backends.fail")
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        with pytest.raises(KeyServiceError) as caught:
            KeyringKey("service", "user").wrap(b"k" * 32, CONTEXT)
    finally:
        keyring.set_keyring(before)
    assert isinstance(caught.value, ConnectionError)


def test_a_state_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: a bare OSError out of a provider. Cause: only what the keyring raised was told as
    the protocol says. Fix: what the lock beside it raises is, too."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(KeyAccessError, match=r"keyring\.lock") as caught:
        KeyringKey("service", "user").wrap(b"k" * 32, CONTEXT)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("module", "provider", "extra"),
    [
        ("keyring", KeyringKey("service", "user"), "keyring"),
        ("botocore.exceptions", AwsKms("alias/agents"), "kms"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    module: str, provider: KeyringKey | AwsKms, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(KeyringError) as caught:
        provider.wrap(b"k" * 32, CONTEXT)
    assert f"dachi_fast[{extra}]" in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


# --- KMS ------------------------------------------------------------------------------------------


class _Answers:
    """A KMS client that refuses everything for one reason."""

    def __init__(self, code: str) -> None:
        self.code = code

    def encrypt(self, **_: object) -> None:
        exceptions: Any = pytest.importorskip("botocore.exceptions")
        raise exceptions.ClientError({"Error": {"Code": self.code, "Message": "no"}}, "Encrypt")


@pytest.mark.parametrize(
    ("code", "kind", "slug"),
    [
        ("DisabledException", KeyAccessError, "key-access"),
        ("AccessDeniedException", KeyAccessError, "key-access"),
        ("NotFoundException", KeyAccessError, "key-access"),
        ("IncorrectKeyException", KeyringError, "wrong-key"),
        ("InvalidCiphertextException", KeyringError, "wrong-key"),
        ("ThrottlingException", KeyServiceError, "key-service"),
    ],
)
def test_what_kms_refuses_becomes_an_error_of_ours(
    code: str, kind: type[KeyringError], slug: str
) -> None:
    with pytest.raises(kind) as caught:
        AwsKms("alias/agents", client=_Answers(code)).wrap(b"k" * 32, CONTEXT)
    assert caught.value.code == slug
    assert caught.value.context == {"key_id": "alias/agents", "reason": code}


def test_a_kms_that_is_down_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as unheard:  # bound, but nobody listens
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        keys = AwsKms("alias/agents", region="eu-central-1", endpoint_url=url)
        with pytest.raises(KeyServiceError) as caught:
            Store.open(tmp_path / "store", keys=keys)
    assert isinstance(caught.value, KeyringError)
    assert not (tmp_path / "store").exists()
