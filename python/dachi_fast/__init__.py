"""Memory for AI agents that learn."""

from typing import TYPE_CHECKING, Any

from dachi_fast.act import Action as Action
from dachi_fast.act import Condition as Condition
from dachi_fast.act import Fallback as Fallback
from dachi_fast.act import Multi as Multi
from dachi_fast.act import Parallel as Parallel
from dachi_fast.act import Selector as Selector
from dachi_fast.act import Sequence as Sequence
from dachi_fast.act import Task as Task
from dachi_fast.act import TaskStatus as TaskStatus
from dachi_fast.adapt import AdaptModule as AdaptModule
from dachi_fast.containers import ModuleList as ModuleList
from dachi_fast.errors import DachiError as DachiError
from dachi_fast.keys import KeyFile as KeyFile
from dachi_fast.ledger import Checkpoint as Checkpoint
from dachi_fast.ledger import ConsistencyProof as ConsistencyProof
from dachi_fast.ledger import InclusionProof as InclusionProof
from dachi_fast.module import Attr as Attr
from dachi_fast.module import BaseModule as BaseModule
from dachi_fast.module import Param as Param
from dachi_fast.module import Shared as Shared
from dachi_fast.module import shared_name as shared_name
from dachi_fast.spec._registry import Registry as Registry
from dachi_fast.spec._registry import registry as registry
from dachi_fast.store import ABSENT as ABSENT
from dachi_fast.store import Autosave as Autosave
from dachi_fast.store import Change as Change
from dachi_fast.store import Forgotten as Forgotten
from dachi_fast.store import LedgerEntry as LedgerEntry
from dachi_fast.store import Limits as Limits
from dachi_fast.store import NameStats as NameStats
from dachi_fast.store import Pending as Pending
from dachi_fast.store import Pruned as Pruned
from dachi_fast.store import Report as Report
from dachi_fast.store import Stats as Stats
from dachi_fast.store import Store as Store
from dachi_fast.store import Version as Version
from dachi_fast.store import default_store as default_store
from dachi_fast.witness import FileWitness as FileWitness

if TYPE_CHECKING:
    from dachi_fast.keys import AwsKms as AwsKms
    from dachi_fast.keys import EnvKey as EnvKey
    from dachi_fast.keys import KeyringKey as KeyringKey
    from dachi_fast.keys import Passphrase as Passphrase
    from dachi_fast.spec._spec import BaseSpec as BaseSpec


def __getattr__(name: str) -> Any:
    # The first pydantic class of a process takes two thirds of this package's import time: it is
    # made when a blueprint is first wanted. Of the key providers a process uses one.
    if name == "BaseSpec":
        home = "dachi_fast.spec._spec"
    elif name in {"AwsKms", "EnvKey", "KeyringKey", "Passphrase"}:
        home = "dachi_fast.keys"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), "AwsKms", "BaseSpec", "EnvKey", "KeyringKey", "Passphrase"})
