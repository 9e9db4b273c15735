"""A store, opened to be read (docs/format.md, section 13)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dachi_fast.errors import Missing, Tampered, UnknownName, WitnessMissing
from dachi_fast.reader import _documents, _head, _ledger, _maps, _records, _vectors, _witness
from dachi_fast.reader._envelope import NOBODY, Opener
from dachi_fast.reader._folder import KEYS_FILE, Folder
from dachi_fast.reader._keyring import unlocked
from dachi_fast.reader._nodes import Nodes
from dachi_fast.reader._values import decoded
from dachi_fast.reader._wire import Take, utf8

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    from dachi_fast.reader._documents import Document
    from dachi_fast.reader._keys import Key
    from dachi_fast.reader._records import Version
    from dachi_fast.reader._vectors import Space, Vector

_RESERVED = "\0"


@dataclass(frozen=True)
class Report:
    """What was proved.

    Attributes:
        names: each a branch of some namespace.
        versions: of all names.
        documents: of all namespaces, those that have expired included.
        entries: of the ledger.
        nodes: that these consist of.
        unused_nodes: that nothing refers to any more.
    """

    names: int
    versions: int
    documents: int
    entries: int
    nodes: int
    unused_nodes: int


@dataclass(frozen=True)
class _Branch:
    nodes: Nodes
    map: _maps.Node | None
    number: int

    @cached_property
    def versions(self) -> list[Version]:
        """All of them, oldest first."""
        prefix = b"v" + self.number.to_bytes(8, "big")
        found = []
        for key, record in _maps.prefixed(self.nodes, self.map, prefix):
            version = _records.version_of(record)
            if version.number != _records.number_of(key):
                raise Tampered("tampered", "a version has another number than its place says")
            found.append(version)
        return found


def _unknown(name: str) -> UnknownName:
    what = f"nothing was saved under the name {name!r}"
    return UnknownName("unknown-name", what, name=name)


def _prove(nodes: Nodes, version: Version) -> None:
    version.blueprint.read(nodes)
    version.classes.read(nodes)
    for _, value in _maps.entries(nodes, version.state):
        value.read(nodes)


class StoreReader:
    """A store, opened to be read by nothing but docs/format.md; it writes nothing at all.

    Nobody else may have the store open meanwhile. Everything that is given was proved up to the
    head; the head is proved against a witness if one is given.

    Args:
        path: the store's folder.
        key: what unwraps its root key: `KeyFile`, `EnvKey` or `Passphrase`.
        witness: folder of the file witness; None: whatever lies in the folder is taken for the
            newest.

    Raises:
        NotAStore: there is no store.
        StoreLocked: somebody has it open.
        FormatTooNew: it is of a newer format.
        KeyringError: the key is another one.
        IntegrityError: it was edited, is incomplete, or older than its witness has seen.
        OSError: no permission, or the disk failed.

    A witness that knows nothing of the store is a warning (`WitnessMissing`).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: Key,
        witness: str | os.PathLike[str] | None = None,
    ) -> None:
        self._folder = Folder(Path(path))
        try:
            self._open(key, witness)
        except BaseException:
            self.close()
            raise

    def _open(self, key: Key, witness: str | os.PathLike[str] | None) -> None:
        self._keyring = unlocked(self._folder.path / KEYS_FILE, key)
        record = self._folder.head()
        if record is None:
            raise Missing("missing", f"{self._folder.path} holds keys and no head")
        self._met: set[bytes] = set()
        self.head = _head.opened(record, self._keyring)
        self._top = self._nodes(self._keyring.store_opener())
        if witness is None:
            return
        seen = _witness.newest(Path(witness), self._keyring)
        if seen is None:
            what = f"the witness in {witness} knows nothing of this store: it tells no older copy"
            warnings.warn(WitnessMissing("witness-missing", what), stacklevel=3)
        else:
            _witness.check(self.head, seen, self._chain(seen.entries))

    def close(self) -> None:
        """Lets go of the folder."""
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def names(self) -> list[str]:
        """Gives the names that something was saved under, ascending."""
        found = self._names.items()
        return sorted(n for n, branch in found if not n.startswith(_RESERVED) and branch.versions)

    def document_names(self) -> list[str]:
        """Gives the names whose namespaces hold documents, ascending."""
        return sorted(name for name in self._names if self.documents(name))

    def documents(self, name: str) -> list[Document]:
        """Gives the documents of a name's namespace, by memory type and then as they were stored.

        Those that have expired are among them until they are pruned. Values are those of `state`.

        Raises:
            UnknownName: nothing was saved or stored under it.
        """
        branch = self._branch(name)
        return _documents.documents(branch.nodes, branch.map)

    def indexes(self, name: str) -> dict[str, list[list[str]]]:
        """Gives the fields of the indexes that were declared, by memory type.

        Raises:
            UnknownName: nothing was saved or stored under it.
        """
        branch = self._branch(name)
        return _documents.indexes(branch.nodes, branch.map)

    def spaces(self, name: str) -> dict[str, Space]:
        """Gives the spaces that documents of a name's namespace have vectors in, by name.

        Raises:
            UnknownName: nothing was saved or stored under it.
        """
        branch = self._branch(name)
        return _vectors.spaces(branch.nodes, branch.map)

    def vectors(self, name: str, space: str) -> list[Vector]:
        """Gives the vectors of a space, ascending by document.

        Raises:
            UnknownName: nothing was saved or stored under the name, or there is no such space.
        """
        branch, spaces = self._branch(name), self.spaces(name)
        if space not in spaces:
            what = f"{name!r} has no space {space!r}"
            raise UnknownName("unknown-space", what, name=name, space=space)
        return _vectors.vectors(branch.nodes, branch.map, space, spaces[space])

    def shared_names(self) -> list[str]:
        """Gives the names under which Shared values of classes were saved, ascending."""
        return sorted(name for name in self._names if name.startswith(_RESERVED))

    def versions(self, name: str) -> list[Version]:
        """Gives the versions of a name, oldest first.

        Raises:
            UnknownName: nothing was saved under it.
        """
        versions = self._branch(name).versions
        if not versions:
            raise _unknown(name)
        return versions

    def version(self, name: str, which: int | str | None = None) -> Version:
        """Gives a version: by number, by tag, or the newest.

        Raises:
            UnknownName: there is none.
        """
        versions = self.versions(name)
        if which is None:
            return versions[-1]
        for version in versions:
            if which == version.number or which in version.tags:
                return version
        what = f"{name!r} has no version {which!r}"
        raise UnknownName("unknown-version", what, name=name, version=which)

    def state(self, name: str, which: int | str | None = None) -> dict[str, Any]:
        """Gives what a version holds: dot path -> value, ascending by path.

        Values of numpy's are `Array` and `Scalar`, those of classes are `Opaque`; all others are
        what was saved.

        Raises:
            UnknownName: there is no such version.
        """
        nodes, version = self._branch(name).nodes, self.version(name, which)
        return {
            utf8(path): decoded(value.read(nodes))
            for path, value in _maps.entries(nodes, version.state)
        }

    def blueprint(self, name: str, which: int | str | None = None) -> Any:
        """Gives the kinds and the structure of the modules that a version was saved from.

        Raises:
            UnknownName: there is no such version.
        """
        nodes, version = self._branch(name).nodes, self.version(name, which)
        return decoded(version.blueprint.read(nodes))

    def classes(self, name: str, which: int | str | None = None) -> Any:
        """Gives what the classes of a version were: kind -> schema versions and fields.

        Raises:
            UnknownName: there is no such version.
        """
        nodes, version = self._branch(name).nodes, self.version(name, which)
        table = version.classes.read(nodes)
        return decoded(table) if table else {}

    def ledger(self) -> Iterator[str]:
        """Gives the entries, oldest first, as the lines of an export that discloses details.

        That they are all of them is proved with the last.
        """
        return (entry.line for entry in self._entries())

    def verify(self) -> Report:
        """Proves every name, version, document, node and ledger entry."""
        self._met.clear()
        names, versions = self._branches(), 0
        proved = set()  # what versions share, once
        for branch in names.values():
            versions += len(branch.versions)
            for version in branch.versions:
                content = (version.state, version.blueprint, version.classes)
                if content not in proved:
                    proved.add(content)
                    _prove(branch.nodes, version)
        self._check_names(names)
        namespaces = {branch.nodes.namespace: branch for branch in names.values()}
        documents = sum(_documents.proved(b.nodes, b.map) for b in namespaces.values())
        entries = sum(1 for _ in self._entries())
        ids = set(self._folder.node_ids())
        unused = sum(1 for node_id in ids - self._met if not node_id.startswith(b"\xfe" * 8))
        return Report(len(names), versions, documents, entries, len(self._met), unused)

    def _nodes(self, opener: Opener) -> Nodes:
        return Nodes(self._folder.node, opener, self._met)

    def _opener(self, namespace: bytes) -> Opener:
        is_own = namespace == NOBODY
        return self._keyring.store_opener() if is_own else self._keyring.opener(namespace)

    def _entries(self) -> Iterator[_ledger.Entry]:
        return _ledger.read(self._top, self.head, self._opener)

    def _chain(self, count: int) -> bytes | None:
        """Gives the hash of the last of the first `count` entries, proved; None if it has fewer."""
        chain = [_ledger.GENESIS, *(entry.digest for entry in self._entries())]
        return chain[count] if count < len(chain) else None

    def _top_entries(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return _maps.prefixed(self._top, self.head.top, prefix)

    @cached_property
    def _names(self) -> dict[str, _Branch]:
        return self._branches()

    def _branches(self) -> dict[str, _Branch]:
        """Gives all names with what they lead to."""
        found = {}
        for namespace, record in self._top_entries(b"r"):
            opener = self._keyring.opener(namespace)
            root, nodes = _records.namespace_map(opener, namespace, record), self._nodes(opener)
            for key, name in _maps.prefixed(nodes, root, b"b"):
                found[utf8(name)] = _Branch(nodes, root, _records.number_of(key))
        return found

    def _branch(self, name: str) -> _Branch:
        found = self._names.get(name)
        if found is None:
            raise _unknown(name)
        return found

    def _check_names(self, names: dict[str, _Branch]) -> None:
        """Every name is led to, and by nothing else."""
        led = dict(self._top_entries(b"n"))
        due = {_records.name_key(self._keyring.store_key, name)[1:] for name in names}
        if led.keys() != due:
            raise Tampered("tampered", "the store's names are not those of its branches")
        for name, branch in names.items():
            take = Take(led[_records.name_key(self._keyring.store_key, name)[1:]])
            if (take.raw(16), take.u64()) != (branch.nodes.namespace, branch.number):
                raise Tampered("tampered", "a name leads to another branch", name=name)
            take.done()
