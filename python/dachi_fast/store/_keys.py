"""Keys of an open store: rotated, moved to another provider, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dachi_fast.errors import KeyringError, UnknownName
from dachi_fast.store._handle import Handle, check_text, known
from dachi_fast.store._records import Forgotten, Purged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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

    def purge(
        self,
        name: str,
        *,
        versions: Iterable[int] = (),
        documents: Iterable[tuple[str, str]] = (),
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> Purged:
        """Destroys single versions and documents of a name, with the key they were sealed under.

        They cannot be read any more, in this file and in every copy of it, with the keys of now.
        The same goes for all that was deleted, updated or pruned before under this name: without
        versions and documents, `purge` destroys just that. What lives is sealed anew under a new
        key, and stays as it is; what other versions hold, too, lives.

        Others read and save meanwhile. A load or transaction that began before, and reads what was
        purged or where it was listed, raises `SnapshotExpired`. A process that dies leaves the rest
        to the next `purge`, `prune` or `compact`, of whatever name; until then, opening the store
        warns. Purges that come while another one works share what is done after it.

        Args:
            name: the name.
            versions: numbers. Those that were pruned before are destroyed, too, and not counted.
            documents: memory types and ids. Those that were deleted before likewise.
            justification: why; in the ledger, where it stays readable.
            progress: called with the number of records that are done and of all; from 0 again when
                something else changed keys meanwhile. It must not change the store. Ctrl-C ends the
                work, and so does what it raises: the next `purge` goes on from there.

        Returns:
            What was destroyed, and what that took.

        Raises:
            UnknownName: nothing was saved under the name, it never had such a version, or an id is
                none; nothing was changed.
            StoreError: a version is the newest, or tagged (``version-kept``); nothing was changed.
            KeyringError: the provider fails. What was to be purged is deleted, and its key is
                destroyed by the next purge.
            IntegrityError: what lies on disk is not what was saved there.
            StoreFull: there is no room; the same.
            StoreClosed: the store was closed.

        Complexity:
            Reads and writes all that lives under the name and its forks once, and reads the ledger.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Notes(BaseModule):
            ...     text: str = Attr(default="")
            >>> notes = Notes()
            >>> with Store.open("purge.store", keys=KeyFile("purge.key")) as store:
            ...     for notes.text in ("a secret", "nothing special"):
            ...         _ = store.save(notes, "notes")
            ...     purged = store.purge("notes", versions=[1], justification="request 4711")
            ...     [version.number for version in store.history("notes")]
            [2]
            >>> purged.versions, purged.key_replaced
            ((1,), True)
        """
        check_text(name, justification)
        numbers = sorted({int(known(version, name)) for version in versions})
        unwanted = [(kind, document_key(name, id_), None) for kind, id_ in documents]
        removals = [(name, numbers, unwanted)]
        rows, nodes, size_bytes, replaced = self._core.purge(removals, justification, progress)
        [(_, there, counts)] = rows
        return Purged(name, tuple(there), counts, nodes, size_bytes, replaced)

    def _untrack(self, names: list[str]) -> None:
        for _, held in self._bases.values():
            for name in names:
                held.pop(name, None)


def document_key(name: str, document_id: str) -> bytes:
    """Gives a document's id as the core knows it.

    Raises:
        UnknownName: it is none.
    """
    try:
        key = bytes.fromhex(document_id)
    except (TypeError, ValueError):
        key = b""
    if len(key) == 16 and key.hex() == document_id:
        return key
    what = f"{name!r} has no document {document_id!r}"
    raise UnknownName("unknown-document", what, name=name)
