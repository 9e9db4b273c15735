"""A second reader of stores, written from docs/format.md alone (extra ``[reader]``).

It shares no code with the rest of the package and does not need the compiled core: what you saved
outlives both. It reads; it never writes.

Example:
    >>> from dachi_fast import BaseModule, Store
    >>> from dachi_fast import KeyFile as OwnKeyFile
    >>> with Store.open("read.store", keys=OwnKeyFile("read.key")) as store:
    ...     _ = store.save(BaseModule(), "assistant")
    >>> from dachi_fast.reader import KeyFile, StoreReader
    >>> with StoreReader("read.store", key=KeyFile("read.key")) as store:
    ...     store.names()
    ['assistant']
"""

from dachi_fast.reader._documents import Document as Document
from dachi_fast.reader._keys import EnvKey as EnvKey
from dachi_fast.reader._keys import KeyFile as KeyFile
from dachi_fast.reader._keys import Passphrase as Passphrase
from dachi_fast.reader._records import Version as Version
from dachi_fast.reader._store import Report as Report
from dachi_fast.reader._store import StoreReader as StoreReader
from dachi_fast.reader._values import Array as Array
from dachi_fast.reader._values import Opaque as Opaque
from dachi_fast.reader._values import Scalar as Scalar
from dachi_fast.reader._vectors import Space as Space
from dachi_fast.reader._vectors import Vector as Vector
