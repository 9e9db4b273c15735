"""Documents in transactions."""

from dachi_fast.transaction._lmdb import LmdbMemoryProvider as LmdbMemoryProvider
from dachi_fast.transaction._manager import TransactionManager as TransactionManager
from dachi_fast.transaction._transaction import SyncTransaction as SyncTransaction
from dachi_fast.transaction._transaction import Transaction as Transaction
