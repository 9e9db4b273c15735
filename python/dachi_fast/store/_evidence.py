"""What a store can prove: every record."""

from __future__ import annotations

from collections.abc import Callable

from dachi_fast.store._handle import Handle
from dachi_fast.store._records import Report


class Evidence(Handle):
    """What a store can prove: every record."""

    def verify(self, *, progress: Callable[[int], object] | None = None) -> Report:
        """Proves every record, version and ledger entry.

        Args:
            progress: called now and then with the number of records proved so far. Ctrl-C ends the
                run.

        Returns:
            What was proved.

        Raises:
            IntegrityError: something is not what was written there; says what and where.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the store; what versions share is proved once.
        """
        return Report(*self._core.verify(progress))
