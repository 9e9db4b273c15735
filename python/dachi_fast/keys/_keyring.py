"""Keys in the operating system's keyring."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any

from dachi_fast._dirs import state_folder
from dachi_fast.errors import KeyAccessError, KeyringError, KeyServiceError
from dachi_fast.keys._table import Row, TableProvider, parsed, rendered


class KeyringKey(TableProvider):
    """Keys in one entry of the operating system's keyring (extra ``[keyring]``).

    The keyring package chooses the backend: Secret Service, KWallet, macOS Keychain, or one of your
    own (``keyring.set_keyring``). The entry holds one key for each store that was made with it;
    `Store.forget` replaces the store's.

    Args:
        service: the entry's service, as in ``keyring.get_password(service, user)``.
        user: the entry's user.

    Example:
        >>> from dachi_fast import KeyringKey
        >>> KeyringKey("dachi_fast", "agents")
        KeyringKey('dachi_fast', 'agents')
    """

    def __init__(self, service: str, user: str) -> None:
        self.service = service
        self.user = user

    def __repr__(self) -> str:
        return f"KeyringKey({self.service!r}, {self.user!r})"

    def _rows(self) -> list[Row]:
        text = self._asked("get_password")
        if text is None:
            raise self._error(
                "keyring", f"the keyring has no entry {self._where}; restore it from your backup"
            )
        return self._parsed(text)

    def _changed(self, change: Callable[[list[Row]], list[Row]]) -> list[Row]:
        lock = self._locked()
        try:
            text = self._asked("get_password")
            before = [] if text is None else self._parsed(text)
            after = change(before)
            if after != before:
                self._asked("set_password", rendered(after))
            return after
        finally:
            os.close(lock)

    def _locked(self) -> int:
        """Gives an open file; until it is closed no other process of ours changes a keyring.

        Keyrings have no transactions.
        """
        path = state_folder() / "keyring.lock"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as cause:
            what = f"cannot lock {path}, so that processes do not change the keyring at once"
            raise KeyAccessError("key-access", f"{what}: {cause}", path=str(path)) from cause
        return lock

    def _wrong(self, what: str) -> KeyringError:
        return self._error("wrong-key", f"the key in the keyring's entry {self._where} {what}")

    @property
    def _where(self) -> str:
        return f"{self.service!r}, {self.user!r}"

    def _asked(self, method: str, *more: str) -> Any:
        try:
            import keyring
            import keyring.errors
        except ImportError as cause:
            raise self._error(
                "keyring",
                "the keyring package is not installed; run: pip install 'dachi_fast[keyring]'",
            ) from cause
        try:
            return getattr(keyring, method)(self.service, self.user, *more)
        except keyring.errors.KeyringError as cause:
            raise KeyServiceError(
                "key-service",
                f"the keyring does not give or keep the entry {self._where}: {cause}",
                service=self.service,
                user=self.user,
            ) from cause

    def _parsed(self, text: str) -> list[Row]:
        rows = parsed(text)
        if rows is None:
            raise self._error("keyring", f"the keyring's entry {self._where} holds no keys of ours")
        return rows

    def _error(self, code: str, message: str) -> KeyringError:
        return KeyringError(code, message, service=self.service, user=self.user)
