"""What a store can prove: its ledger and every record."""

from __future__ import annotations

from collections.abc import Callable

from dachi_fast.store._handle import MOST, Handle
from dachi_fast.store._records import LedgerEntry, Report


class Evidence(Handle):
    """What a store can prove: its ledger and every record."""

    def ledger(self, *, limit: int = 100) -> list[LedgerEntry]:
        """Gives the newest entries of the ledger, newest first, each proved by the hash chain.

        Args:
            limit: how many at most.

        Raises:
            IntegrityError: an entry was edited, removed or put elsewhere.
            StoreClosed: the store was closed.
        """
        nothing = (None, None, None, None, None)
        rows = self._core.ledger(min(max(limit, 0), MOST))
        return [LedgerEntry(*row[:6], *(row[6] or nothing)) for row in rows]

    def verify(self, *, progress: Callable[[int], object] | None = None) -> Report:
        """Proves every record, version and ledger entry.

        Args:
            progress: called now and then with the number of records proved so far. Ctrl-C ends the
                run.

        Returns:
            What was proved.

        Raises:
            IntegrityError: something is not what was written there; says what and where.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the store; what versions share is proved once.
        """
        return Report(*self._core.verify(progress))
