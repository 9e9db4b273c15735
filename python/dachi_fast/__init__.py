"""Memory for AI agents that learn."""

import typing as _typing
from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec

# Modules at once, so that every kind that comes with the package is registered. Without the
# compiled core, `dachi_fast.reader` still works.
if _typing.TYPE_CHECKING or _find_spec("dachi_fast._core") is not None:
    from dachi_fast.act import BT as BT
    from dachi_fast.act import Action as Action
    from dachi_fast.act import AsLongAs as AsLongAs
    from dachi_fast.act import AsyncProcess as AsyncProcess
    from dachi_fast.act import BranchState as BranchState
    from dachi_fast.act import Condition as Condition
    from dachi_fast.act import CountLimit as CountLimit
    from dachi_fast.act import Fallback as Fallback
    from dachi_fast.act import FixedTimer as FixedTimer
    from dachi_fast.act import Multi as Multi
    from dachi_fast.act import Not as Not
    from dachi_fast.act import Parallel as Parallel
    from dachi_fast.act import PreemptCond as PreemptCond
    from dachi_fast.act import Process as Process
    from dachi_fast.act import RandomTimer as RandomTimer
    from dachi_fast.act import Selector as Selector
    from dachi_fast.act import Sequence as Sequence
    from dachi_fast.act import State as State
    from dachi_fast.act import StateMachine as StateMachine
    from dachi_fast.act import Task as Task
    from dachi_fast.act import TaskState as TaskState
    from dachi_fast.act import TaskStatus as TaskStatus
    from dachi_fast.act import Until as Until
    from dachi_fast.act import WaitCondition as WaitCondition
    from dachi_fast.adapt import AdaptModule as AdaptModule
    from dachi_fast.containers import ModuleDict as ModuleDict
    from dachi_fast.containers import ModuleList as ModuleList
    from dachi_fast.errors import DachiError as DachiError
    from dachi_fast.learning import BaseAgent as BaseAgent
    from dachi_fast.learning import Decision as Decision
    from dachi_fast.learning import EpsilonGreedy as EpsilonGreedy
    from dachi_fast.learning import Experience as Experience
    from dachi_fast.learning import Learner as Learner
    from dachi_fast.learning import LinTS as LinTS
    from dachi_fast.learning import LinUCB as LinUCB
    from dachi_fast.learning import NeuralLearningMixin as NeuralLearningMixin
    from dachi_fast.learning import SoftmaxPolicy as SoftmaxPolicy
    from dachi_fast.module import Attr as Attr
    from dachi_fast.module import BaseModule as BaseModule
    from dachi_fast.module import Param as Param
    from dachi_fast.module import Shared as Shared
    from dachi_fast.module import shared_name as shared_name
    from dachi_fast.spec import Registry as Registry
    from dachi_fast.spec import registry as registry

if _typing.TYPE_CHECKING:
    from dachi_fast.archive import Archive as Archive
    from dachi_fast.archive import Backup as Backup
    from dachi_fast.archive import BackupReport as BackupReport
    from dachi_fast.archive import DrillReport as DrillReport
    from dachi_fast.checkpoint import Checkpoint as Checkpoint
    from dachi_fast.embed import Calibration as Calibration
    from dachi_fast.embed import CallableEmbedder as CallableEmbedder
    from dachi_fast.embed import HashingEmbedder as HashingEmbedder
    from dachi_fast.embed import StaticEmbedder as StaticEmbedder
    from dachi_fast.embed import calibrate as calibrate
    from dachi_fast.keys import AwsKms as AwsKms
    from dachi_fast.keys import EnvKey as EnvKey
    from dachi_fast.keys import KeyFile as KeyFile
    from dachi_fast.keys import KeyringKey as KeyringKey
    from dachi_fast.keys import Passphrase as Passphrase
    from dachi_fast.ledger import ConsistencyProof as ConsistencyProof
    from dachi_fast.ledger import InclusionProof as InclusionProof
    from dachi_fast.ledger import SignedCheckpoint as SignedCheckpoint
    from dachi_fast.memory import Memory as Memory
    from dachi_fast.memory import MemoryStore as MemoryStore
    from dachi_fast.memory import Recall as Recall
    from dachi_fast.memory import Recalled as Recalled
    from dachi_fast.memory import SourceLimit as SourceLimit
    from dachi_fast.memory import SyncMemory as SyncMemory
    from dachi_fast.migrate import MigrationReport as MigrationReport
    from dachi_fast.migrate import migration as migration
    from dachi_fast.opaque import Opaque as Opaque
    from dachi_fast.param_set import ParamSet as ParamSet
    from dachi_fast.retention import Retained as Retained
    from dachi_fast.retention import RetentionPolicy as RetentionPolicy
    from dachi_fast.retention import RetentionReport as RetentionReport
    from dachi_fast.spec import SpecLimits as SpecLimits
    from dachi_fast.spec import dry_run as dry_run
    from dachi_fast.spec import json_schema as json_schema
    from dachi_fast.spec._evolved import Carried as Carried
    from dachi_fast.spec._spec import BaseSpec as BaseSpec
    from dachi_fast.store import ABSENT as ABSENT
    from dachi_fast.store import Autosave as Autosave
    from dachi_fast.store import Change as Change
    from dachi_fast.store import Forgotten as Forgotten
    from dachi_fast.store import LedgerEntry as LedgerEntry
    from dachi_fast.store import Limits as Limits
    from dachi_fast.store import NameStats as NameStats
    from dachi_fast.store import Pending as Pending
    from dachi_fast.store import Pruned as Pruned
    from dachi_fast.store import Purged as Purged
    from dachi_fast.store import Report as Report
    from dachi_fast.store import Stats as Stats
    from dachi_fast.store import Store as Store
    from dachi_fast.store import Upgraded as Upgraded
    from dachi_fast.store import Version as Version
    from dachi_fast.store import default_store as default_store
    from dachi_fast.transaction import LmdbMemoryProvider as LmdbMemoryProvider
    from dachi_fast.transaction import SyncTransaction as SyncTransaction
    from dachi_fast.transaction import Transaction as Transaction
    from dachi_fast.transaction import TransactionManager as TransactionManager
    from dachi_fast.types import Document as Document
    from dachi_fast.witness import FileWitness as FileWitness

# The same for the interpreter, when first asked for: a program that only builds modules needs no
# store, and the first pydantic class of a process takes longer than all else together.
_LATE = {
    "ABSENT": "store",
    "Archive": "archive",
    "Autosave": "store",
    "AwsKms": "keys",
    "Backup": "archive",
    "BackupReport": "archive",
    "BaseSpec": "spec._spec",
    "Calibration": "embed",
    "CallableEmbedder": "embed",
    "Carried": "spec._evolved",
    "Change": "store",
    "Checkpoint": "checkpoint",
    "ConsistencyProof": "ledger",
    "Document": "types",
    "DrillReport": "archive",
    "EnvKey": "keys",
    "FileWitness": "witness",
    "Forgotten": "store",
    "HashingEmbedder": "embed",
    "InclusionProof": "ledger",
    "KeyFile": "keys",
    "KeyringKey": "keys",
    "LedgerEntry": "store",
    "Limits": "store",
    "LmdbMemoryProvider": "transaction",
    "Memory": "memory",
    "MemoryStore": "memory",
    "MigrationReport": "migrate",
    "NameStats": "store",
    "Opaque": "opaque",
    "ParamSet": "param_set",
    "Passphrase": "keys",
    "Pending": "store",
    "Pruned": "store",
    "Purged": "store",
    "Recall": "memory",
    "Recalled": "memory",
    "Report": "store",
    "Retained": "retention",
    "RetentionPolicy": "retention",
    "RetentionReport": "retention",
    "SignedCheckpoint": "ledger",
    "SourceLimit": "memory",
    "SpecLimits": "spec",
    "StaticEmbedder": "embed",
    "Stats": "store",
    "Store": "store",
    "SyncMemory": "memory",
    "SyncTransaction": "transaction",
    "Transaction": "transaction",
    "TransactionManager": "transaction",
    "Upgraded": "store",
    "Version": "store",
    "calibrate": "embed",
    "default_store": "store",
    "dry_run": "spec",
    "json_schema": "spec",
    "migration": "migrate",
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(_import_module(f"dachi_fast.{_LATE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
