"""Stores: agents saved, proved, restored, compared and rolled back."""

from dachi_fast.store._autosave import Autosave as Autosave
from dachi_fast.store._limits import Limits as Limits
from dachi_fast.store._pending import Pending as Pending
from dachi_fast.store._records import ABSENT as ABSENT
from dachi_fast.store._records import Change as Change
from dachi_fast.store._records import Forgotten as Forgotten
from dachi_fast.store._records import LedgerEntry as LedgerEntry
from dachi_fast.store._records import Pruned as Pruned
from dachi_fast.store._records import Purged as Purged
from dachi_fast.store._records import Report as Report
from dachi_fast.store._records import Version as Version
from dachi_fast.store._stats import NameStats as NameStats
from dachi_fast.store._stats import Stats as Stats
from dachi_fast.store._store import Store as Store
from dachi_fast.store._store import default_store as default_store
from dachi_fast.store._upgrade import Upgraded as Upgraded
