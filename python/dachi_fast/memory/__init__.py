"""Memory by meaning."""

from dachi_fast.memory._options import MemoryOptions as MemoryOptions
from dachi_fast.memory._options import NewTask as NewTask
from dachi_fast.memory._records import Considered as Considered
from dachi_fast.memory._records import Explanation as Explanation
from dachi_fast.memory._records import Memory as Memory
from dachi_fast.memory._records import Recall as Recall
from dachi_fast.memory._records import Recalled as Recalled
from dachi_fast.memory._store import MemoryStore as MemoryStore
from dachi_fast.memory._sync import SyncMemory as SyncMemory
from dachi_fast.memory._trust import SourceLimit as SourceLimit
from dachi_fast.memory._trust import Trust as Trust
