"""What holds for every key provider; each one adds only how it is made."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import (
    AwsKms,
    EnvKey,
    KeyFile,
    KeyringKey,
    Passphrase,
    Store,
)
from dachi_fast.errors import DachiError, IntegrityError, KeyringError
from dachi_fast.types import KeyProvider, ReplaceableKeyProvider
from tests.stores import Counter

# Gives a provider whose key no other one has.
Make = Callable[[], KeyProvider]
KEY = bytes(range(32))
CONTEXT = b"dachi_fast root key of store \x00\xffab"


class KeyProviderContract:
    """Base of one class for each provider, which defines `make`."""

    refusals = frozenset({"wrong-key"})

    def test_a_key_comes_back_for_the_same_purpose_only(self, make: Make) -> None:
        provider = make()
        wrapped = provider.wrap(KEY, CONTEXT)
        assert KEY not in wrapped
        assert len(wrapped) <= 64 << 10
        assert provider.unwrap(wrapped, CONTEXT) == KEY
        with pytest.raises((KeyringError, IntegrityError)):
            provider.unwrap(wrapped, CONTEXT + b"c")

    def test_sealing_twice_gives_different_bytes(self, make: Make) -> None:
        provider = make()
        assert provider.wrap(KEY, CONTEXT) != provider.wrap(KEY, CONTEXT)

    def test_another_providers_key_does_not_open_it(self, make: Make) -> None:
        one, other = make(), make()
        other.wrap(KEY, CONTEXT)
        with pytest.raises(KeyringError) as caught:
            other.unwrap(one.wrap(KEY, CONTEXT), CONTEXT)
        assert caught.value.code in self.refusals

    def test_no_edit_of_what_is_sealed_is_believed(self, make: Make) -> None:
        provider = make()
        wrapped = provider.wrap(KEY, CONTEXT)
        spots = {0, 1, len(wrapped) // 3, len(wrapped) // 2, len(wrapped) - 1}
        edits = [wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :] for at in spots]
        edits += [wrapped[:at] for at in (1, 30, len(wrapped) - 1)]
        for edit in edits:
            with pytest.raises(DachiError):
                provider.unwrap(edit, CONTEXT)

    def test_what_it_shows_of_itself_holds_no_secret(self, make: Make) -> None:
        provider = make()
        wrapped = provider.wrap(KEY, CONTEXT)
        secrets = _secrets(provider)
        assert secrets
        with pytest.raises(DachiError) as caught:
            provider.unwrap(wrapped, b"another purpose")
        error: BaseException | None = caught.value
        shown = [repr(provider), str(provider)]
        while error is not None:
            shown += [str(error), repr(error), repr(getattr(error, "context", ""))]
            error = error.__cause__
        assert not [secret for secret in secrets if any(secret in text for text in shown)]

    def test_a_store_opens_again_with_it_and_with_nothing_else(
        self, make: Make, tmp_path: Path
    ) -> None:
        provider, other = make(), make()
        with Store.open(tmp_path / "store", keys=provider) as store:
            counter = Counter()
            counter.count = 7
            store.save(counter, "counter")
        with pytest.raises(KeyringError):
            Store.open(tmp_path / "store", keys=other)
        with Store.open(tmp_path / "store", keys=provider) as store:
            loaded = store.load("counter")
            assert isinstance(loaded, Counter)
            assert loaded.count == 7

    def test_it_follows_the_protocol(self, make: Make) -> None:
        assert isinstance(make(), KeyProvider)


class ReplaceableContract(KeyProviderContract):
    """What holds besides for a provider that can replace its key."""

    def test_the_old_key_opens_until_it_is_retired(self, make: Make) -> None:
        provider = make()
        assert isinstance(provider, ReplaceableKeyProvider)
        old = provider.wrap(KEY, CONTEXT)
        new = provider.rotate(KEY, CONTEXT)
        assert provider.unwrap(old, CONTEXT) == provider.unwrap(new, CONTEXT) == KEY
        provider.retire(new, CONTEXT)
        assert provider.unwrap(new, CONTEXT) == KEY
        with pytest.raises(KeyringError):
            provider.unwrap(old, CONTEXT)

    def test_retiring_touches_no_other_purpose(self, make: Make) -> None:
        provider = make()
        assert isinstance(provider, ReplaceableKeyProvider)
        other = provider.wrap(KEY, b"another store")
        provider.wrap(KEY, CONTEXT)
        new = provider.rotate(KEY, CONTEXT)
        provider.retire(new, CONTEXT)
        assert provider.unwrap(other, b"another store") == KEY

    def test_it_retires_nothing_for_a_key_it_cannot_open(self, make: Make) -> None:
        provider, other = make(), make()
        assert isinstance(provider, ReplaceableKeyProvider)
        held = provider.wrap(KEY, CONTEXT)
        with pytest.raises(KeyringError):
            provider.retire(other.wrap(KEY, CONTEXT), CONTEXT)
        assert provider.unwrap(held, CONTEXT) == KEY

    def test_it_can_be_replaced_many_times(self, make: Make) -> None:
        provider = make()
        assert isinstance(provider, ReplaceableKeyProvider)
        sealed = [provider.wrap(KEY, CONTEXT)]
        sealed += [provider.rotate(KEY, CONTEXT) for _ in range(5)]
        provider.retire(sealed[2], CONTEXT)
        assert provider.unwrap(sealed[2], CONTEXT) == KEY
        for gone in sealed[:2] + sealed[3:]:
            with pytest.raises(KeyringError):
                provider.unwrap(gone, CONTEXT)


def _secrets(provider: KeyProvider) -> list[str]:
    """Gives the texts that a provider must not show."""
    match provider:
        case KeyFile():
            lines = provider.path.read_text().splitlines()[1:]
            return [line.split()[1] for line in lines]
        case EnvKey():
            return [os.environ[provider.name]]
        case Passphrase():
            return [provider._secret.decode()]
        case KeyringKey():
            import keyring

            text = keyring.get_password(provider.service, provider.user)
            return [line.split()[1] for line in (text or "").splitlines()[1:]]
    return [KEY.hex(), repr(KEY)]


class TestKeyFile(ReplaceableContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        numbers = itertools.count()
        return lambda: KeyFile(tmp_path / f"key {next(numbers)}")


class TestPassphrase(KeyProviderContract):
    @pytest.fixture
    def make(self) -> Make:
        numbers = itertools.count()
        return lambda: Passphrase(f"open sesame {next(numbers)}", memory_kib=64, passes=1)


class TestEnvKey(KeyProviderContract):
    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch) -> Make:
        numbers = itertools.count()

        def one() -> EnvKey:
            name = f"AGENTS_KEY_{next(numbers)}"
            monkeypatch.setenv(name, os.urandom(32).hex())
            return EnvKey(name)

        return one


@pytest.fixture
def _keyring() -> Iterator[None]:
    """A keyring of this test's own, as the keyring package documents how to write one."""
    keyring = pytest.importorskip("keyring")
    backend: Any = pytest.importorskip("keyring.backend")

    class InMemory(backend.KeyringBackend):  # type: ignore[misc]
        priority = 1

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    yield
    keyring.set_keyring(before)


class TestKeyringKey(ReplaceableContract):
    @pytest.fixture
    def make(self, _keyring: None) -> Make:
        numbers = itertools.count()
        return lambda: KeyringKey("dachi_fast tests", f"user {next(numbers)}")


@pytest.fixture(scope="module")
def kms_url() -> Iterator[str]:
    """A KMS on this machine."""
    moto: Any = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestAwsKms(KeyProviderContract):
    # The KMS here says "access denied" where AWS says "incorrect key".
    refusals = frozenset({"wrong-key", "key-access"})

    @pytest.fixture
    def make(self, kms_url: str, monkeypatch: pytest.MonkeyPatch) -> Make:
        boto3: Any = pytest.importorskip("boto3")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        where = {"region_name": "eu-central-1", "endpoint_url": kms_url}
        client = boto3.client("kms", **where)

        def one() -> AwsKms:
            key_id = client.create_key()["KeyMetadata"]["KeyId"]
            return AwsKms(key_id, region="eu-central-1", endpoint_url=kms_url)

        return one
