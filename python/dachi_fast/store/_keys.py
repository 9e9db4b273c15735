"""Keys of an open store: rotated, moved to another provider, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dachi_fast.errors import KeyringError
from dachi_fast.store._handle import Handle, check_text
from dachi_fast.store._records import Forgotten

if TYPE_CHECKING:
    from dachi_fast.types import KeyProvider


class Keys(Handle):
    """Keys of an open store: rotated, moved to another provider, destroyed."""

    _purpose: bytes  # what a provider binds this store's root key to

    def rotate_now(self, *, justification: str = "") -> None:
        """Begins a new epoch: what is saved from now on is sealed under a new key.

        A store does so by itself, at a time drawn from 1 to 7 days after the last one, with the
        first save after it. What was saved before is read with its old key. The key provider is
        not asked.

        Args:
            justification: why, for the ledger.

        Raises:
            IntegrityError: what lies on disk is not what was saved there.
            StoreFull: there is no room.
            StoreClosed: the store was closed.

        Example:
            >>> from dachi_fast import KeyFile, Store
            >>> with Store.open("rotated.store", keys=KeyFile("rotated.key")) as store:
            ...     store.rotate_now(justification="a laptop was lost")
            ...     store.ledger(limit=1)[0].operation
            'rotate'
        """
        check_text(justification)
        self._core.rotate(justification)

    def rewrap(self, keys: KeyProvider, *, justification: str = "") -> None:
        """Moves the store to another key provider; nothing that was saved is written again.

        A fresh root key is sealed by the new provider, and proved to open, before anything is
        replaced. From then on only the new provider opens the store. The old one keeps its key: it
        opens old copies of ``keys.sealed``, and is yours to destroy.

        Args:
            keys: the new provider. The one the store was opened with replaces its key, if it can.
            justification: why, for the ledger.

        Raises:
            KeyringError: the provider fails, or does not give back what it sealed; the store stays
                with the old one.
            IntegrityError: what lies on disk is not what was saved there.
            StoreFull: there is no room.
            StoreClosed: the store was closed.

        Example:
            >>> from dachi_fast import KeyFile, Passphrase, Store
            >>> with Store.open("moved.store", keys=KeyFile("moved.key")) as store:
            ...     store.rewrap(Passphrase("correct horse battery staple"))
            >>> Store.open("moved.store", keys=Passphrase("correct horse battery staple")).close()
        """
        check_text(justification)
        self._core.rewrap(keys, self._purpose, justification)

    def forget(
        self,
        name: str,
        *,
        forks: Literal["refuse", "forget"] = "refuse",
        justification: str = "",
    ) -> Forgotten:
        """Destroys the key of a name: nothing ever saved under it can be read again.

        All versions go, in this file and in every copy of it, because they are sealed under a key
        that is no more. The ledger keeps its entries, without what they said, and still verifies.
        A copy of the store from before *with* its old ``keys.sealed`` stays readable to who also
        has the old key of the provider: `KeyFile` and `KeyringKey` destroy it, other providers
        cannot (``Forgotten.key_replaced``).

        Args:
            name: the name.
            forks: what becomes of other names that share its key, because one was forked from the
                other. ``"refuse"``: an error that names them, and nothing is forgotten.
                ``"forget"``: they are forgotten with it.
            justification: why; stays readable in the ledger, so it should not tell what was
                forgotten.

        Returns:
            What was forgotten.

        Raises:
            UnknownName: nothing was saved under the name.
            StoreError: it has forks (``has-forks``), and they were not to be forgotten.
            KeyringError: the provider fails. If before anything was forgotten, nothing changed; if
                after, a note says so, and the next open tries again to destroy the old key.
            IntegrityError: what lies on disk is not what was saved there.
            StoreFull: there is no room.
            StoreClosed: the store was closed.

        Complexity:
            Reads the inner records of all versions once, to delete them.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Secret(BaseModule):
            ...     text: str = Attr(default="something private")
            >>> with Store.open("forget.store", keys=KeyFile("forget.key")) as store:
            ...     _ = store.save(Secret(), "secret")
            ...     store.forget("secret", justification="request 4711")
            ...     store.names()
            Forgotten(names=('secret',), key_replaced=True)
            []
        """
        check_text(name, justification)
        try:
            names, replaced = self._core.forget(name, forks == "forget", justification)
        except KeyringError as error:
            if name not in self._core.names():
                error.add_note(
                    f"{name!r} is forgotten, but the provider still has the key that opens old "
                    f"copies of keys.sealed; opening the store tries again"
                )
                self._untrack([name])
            raise
        self._untrack(names)
        return Forgotten(tuple(names), key_replaced=replaced)

    def _untrack(self, names: list[str]) -> None:
        for _, held in self._bases.values():
            for name in names:
                held.pop(name, None)
