"""The ledger of a store: listed, proved, signed, exported."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from dachi_fast._files import replacing
from dachi_fast.errors import DachiError, Tampered, UnknownEntry
from dachi_fast.ledger import (
    ConsistencyProof,
    InclusionProof,
    SignedCheckpoint,
    encoded,
    key_hash,
    verifier_key,
)
from dachi_fast.store._handle import MOST, Handle, check_text
from dachi_fast.store._records import LedgerEntry, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXPORT_FORMAT: Final = "dachi_fast ledger export 1"
_PAGE: Final = 1_000  # entries that are read at once: some 600 KB of lines


class Ledger(Handle):
    """The ledger of a store: listed, proved, signed, exported."""

    def ledger(self, *, limit: int = 100) -> list[LedgerEntry]:
        """Gives the newest entries of the ledger, newest first, each proved by the hash chain.

        Args:
            limit: how many at most.

        Raises:
            IntegrityError: an entry was edited, removed or put elsewhere.
            StoreClosed: the store was closed.
        """
        return [entry_of(row) for row in self._core.ledger(min(max(limit, 0), MOST))]

    @property
    def verifier_key(self) -> str:
        """What others check this store's checkpoints with; it opens nothing.

        Give it to them in a way that they trust, once: it stays the same for the store's life.
        """
        return verifier_key(self._origin, self._core.public_key())

    def checkpoint(self) -> SignedCheckpoint:
        """Gives size and root of the ledger, signed (C2SP tlog-checkpoint).

        Who keeps it can have it proved later that nothing was changed since.

        Raises:
            IntegrityError: what lies on disk is not what was written.
            StoreClosed: the store was closed.

        Example:
            >>> from dachi_fast import KeyFile, Store
            >>> with Store.open("signed.store", keys=KeyFile("signed.key")) as store:
            ...     checkpoint = store.checkpoint()
            ...     checkpoint.verify(store.verifier_key)
            >>> checkpoint.size
            1
        """
        size, root, _ = self._core.tree_head()
        return self._signed(size, root)

    def prove(self, seq: int) -> InclusionProof:
        """Proves that an entry is in the ledger.

        Args:
            seq: the entry's number, from 0.

        Returns:
            A proof that anybody with the verifier key can check, without the store.

        Raises:
            UnknownEntry: there is no such entry.
            IntegrityError: what lies on disk is not what was written.
            StoreClosed: the store was closed.

        Complexity:
            Logarithmic; the newest entries, at most 255, are read for one of them.
        """
        leaf, path, size, root = self._core.prove(_number(seq))
        return InclusionProof(leaf, seq, tuple(path), self._signed(size, root))

    def prove_consistency(self, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Proves that the ledger continues what it was: nothing was changed or taken out since.

        Args:
            old_size: how many entries it had then, for instance a checkpoint's size.
            new_size: how many later; None for now.

        Raises:
            UnknownEntry: it never had such a size, or `new_size` is below `old_size`.
            IntegrityError: what lies on disk is not what was written.
            StoreClosed: the store was closed.

        Complexity:
            Logarithmic.
        """
        if new_size is None:
            new_size = self._core.tree_head()[0]
        hashes = self._core.prove_consistency(_number(old_size), _number(new_size))
        heads = [self._core.tree_head(size) for size in (old_size, new_size)]
        old, new = (self._signed(size, root) for size, root, _ in heads)
        return ConsistencyProof(old, new, tuple(hashes))

    def export(
        self,
        target: str | os.PathLike[str] | IO[str],
        *,
        disclose: bool = True,
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> SignedCheckpoint:
        """Writes the ledger as JSON lines that an auditor can check with SHA-256 alone.

        A line of what it is, a line for each entry, a line with the signed checkpoint, which also
        covers every line before. ``examples/verify_export.py`` checks all of it without this
        package. The export is an entry of the ledger itself, the last one that it holds.

        Args:
            target: a path, replaced only once everything is written; or a file open for writing
                text.
            disclose: whether details go with it: agents, reasons, roots. Details of what was
                forgotten say ``"erased"`` in any case.
            justification: why, for the ledger.
            progress: called with the number of entries written and of all.

        Returns:
            The checkpoint in the last line.

        Raises:
            OSError: the target cannot be written; nothing takes the place of a path.
            StoreReadOnly: the store was opened to be read only.
            StoreFull: there is no room for the entry.
            IntegrityError: what lies on disk is not what was written.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the number of entries.
        """
        check_text(justification)
        self._core.note("export", "ledger", justification)
        if not isinstance(target, str | os.PathLike):
            return self._write_export(target, disclose, progress)
        with replacing(Path(target)) as file:
            return self._write_export(file, disclose, progress)

    def _write_export(
        self,
        file: IO[str],
        disclose: bool,  # noqa: FBT001 - given by name above
        progress: Callable[[int, int], object] | None,
    ) -> SignedCheckpoint:
        size, root, head_chain = self._core.tree_head()
        digest = hashlib.sha256()

        def write(lines: str) -> None:
            digest.update(lines.encode())
            file.write(lines)

        header = {
            "details": "disclosed" if disclose else "withheld",
            "entries": size,
            "format": EXPORT_FORMAT,
            "store": self._core.store_id.hex(),
            "verifier_key": self.verifier_key,
        }
        write(_line(header))
        chain = bytes(32)
        for start in range(0, size, _PAGE):
            count = min(_PAGE, size - start)
            lines, chain = self._core.ledger_lines(start, chain, count, disclose)
            write(lines)
            if progress is not None:
                progress(start + count, size)
        if chain != head_chain:
            raise Tampered("tampered", "the ledger is not the one that the head names")
        checkpoint = self._signed(size, root, f"export sha256:{digest.hexdigest()}")
        file.write(_line({"checkpoint": checkpoint.text}))
        return checkpoint

    def _signed(self, size: int, root: bytes, *extensions: str) -> SignedCheckpoint:
        """Gives a checkpoint as a note with the store's signature."""
        name = self._origin
        body = "\n".join([name, str(size), encoded(root), *extensions, ""])
        signature = key_hash(name, self._core.public_key()) + self._core.sign(body.encode())
        text = f"{body}\n\u2014 {name} {encoded(signature)}\n"
        return SignedCheckpoint(text, name, size, root, extensions)

    @property
    def _origin(self) -> str:
        return f"dachi_fast/{self._core.store_id.hex()}"

    def _finish(self) -> None:
        super()._finish()
        if self._seen is None or self.read_only:
            return
        # Beside the witness; a courtesy, as the witness itself: what is wrong with the store was
        # said to who used it, and the store can sign another one.
        with contextlib.suppress(DachiError, OSError):
            text = self.checkpoint().text
            with replacing(self._seen / f"{self._core.store_id.hex()}.checkpoint") as file:
                file.write(text)


def _line(members: Mapping[str, object]) -> str:
    """Gives a line of an export: RFC 8785, for what it holds here."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _number(number: int) -> int:
    """Gives a number that the ledger may know."""
    if 0 <= number < MOST:
        return number
    raise UnknownEntry("unknown-entry", f"the ledger has no entry or size {number}", seq=number)
