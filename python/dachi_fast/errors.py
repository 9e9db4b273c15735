"""Every exception of dachi_fast and its slug.

All derive from `DachiError`. ``code`` is a stable slug that programs may compare, ``context`` holds
data about the failure and never a secret. Each class also derives from the builtin that a reader
would catch without knowing this module. ``docs/errors.md`` lists cause and remedy of every slug.

This module imports nothing from the package: the compiled core imports it.
"""

from __future__ import annotations


class DachiError(Exception):
    """Base of every error raised by dachi_fast.

    Args:
        code: stable slug, for instance ``"tampered"``.
        message: lower case; what, where, what to do.
        **context: data about the failure (paths, names, numbers), never secrets.
    """

    code: str
    message: str
    context: dict[str, object]

    def __init__(self, code: str, message: str, **context: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.context = context

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.code, self.message, self.context)


def _rebuilt(
    cls: type[DachiError], code: str, message: str, context: dict[str, object]
) -> DachiError:
    return cls(code, message, **context)


class SpecError(DachiError, ValueError):
    """A blueprint cannot be declared, read or built; ``context["path"]`` says where."""


class StateError(DachiError):
    """A state cannot be written, read or loaded; ``context["path"]`` says where."""


class StateKeyError(StateError, KeyError):
    """A strict load met missing or extra keys; ``context`` lists ``missing`` and ``extra``."""


class StateTypeError(StateError, TypeError):
    """A value's type is not one that state can hold."""


class StateValueError(StateError, ValueError):
    """A value cannot be held in state although its type could be (cycle, depth, size)."""


class DeclarationError(SpecError, TypeError):
    """A class declares a field in a way that cannot work; the message says what to write."""


class FixedError(StateError, RuntimeError):
    """A fixed parameter was written."""


class MigrationError(DachiError, ValueError):
    """A saved state does not fit the class it is loaded into; nothing was changed."""


class SchemaWarning(DachiError, UserWarning):
    """A load has left out what no class has any more: a warning."""


class LearningError(DachiError, ValueError):
    """A learner was given what it cannot learn from; nothing was changed."""


class UnlearnIncomplete(LearningError):
    """What a source taught cannot be taken back whole; nothing was changed."""


class IntegrityError(DachiError):
    """What lies on disk is not what was written there; ``context`` says what and where."""


class Tampered(IntegrityError):
    """Bytes at rest were altered: authentication or a hash failed."""


class Missing(IntegrityError, LookupError):
    """Something that the authenticated head leads to is not there."""


class WrongContext(IntegrityError):
    """A genuine record lies where another one belongs."""


class RolledBack(IntegrityError):
    """The store is older than, or not a continuation of, what was witnessed."""


class Malformed(IntegrityError, ValueError):
    """Bytes that do not follow the format."""


class ProofError(IntegrityError, ValueError):
    """A proof, checkpoint or export does not show what it claims to."""


class KeyringError(DachiError):
    """A key cannot be had, is wrong, or may not be used."""


class KeysBehind(KeyringError, RuntimeWarning):
    """What is due to happen to the store's keys fails for now: a warning."""


class KeyAccessError(KeyringError, PermissionError):
    """A key exists but its protection is too weak or it cannot be read."""


class KeyServiceError(KeyringError, ConnectionError):
    """The service that keeps a key cannot be reached, or failed."""


class StoreError(DachiError):
    """The store cannot do what was asked."""


class StoreLocked(StoreError, TimeoutError):
    """Another process or handle holds the store."""


class StoreFull(StoreError, OSError):
    """There is no room on the disk; nothing acknowledged was lost."""


class StoreClosed(StoreError, ValueError):
    """The handle was closed, or belongs to the process before a fork."""


class SnapshotExpired(StoreError, TimeoutError):
    """What a read needs was deleted meanwhile: it took too long, or was overtaken by a forget."""


class NotAStore(StoreError, ValueError):
    """The path holds something that is not a store."""


class StoreIO(StoreError, OSError):
    """The operating system refused a file operation."""


class StoreReadOnly(StoreError, PermissionError):
    """The store was opened to be read only."""


class ReadsLost(StoreError, UserWarning):
    """A store was closed on a full disk with reads that are not in its ledger: a warning."""


class WitnessMissing(StoreError, UserWarning):
    """A witness knows nothing of a store with commits: a warning, or raised where asked for."""


class WitnessUnwritten(StoreError, UserWarning):
    """A witness could not be told of a commit, which is on disk: a warning, once a handle."""


class FormatTooNew(StoreError, ValueError):
    """The store was written by a newer dachi_fast."""


class UnknownName(StoreError, KeyError):
    """Nothing was saved under this name or version."""


class AlreadyExists(StoreError, ValueError):
    """The name or tag is taken."""


class UnknownEntry(StoreError, LookupError):
    """The ledger has no entry of this number, or never had this size."""


class TransactionError(DachiError):
    """A transaction cannot go on."""


class Conflict(TransactionError):
    """Somebody else changed what this save builds on."""


class Finished(TransactionError, ValueError):
    """The transaction was already committed or rolled back."""


class VectorError(DachiError, ValueError):
    """A vector, an id or a search that an index cannot take; nothing was changed."""


class QueryError(TransactionError, ValueError):
    """What `find` was asked is no question."""


class Superseded(TransactionError, ValueError):
    """Something else took a memory's place already."""


class TrustError(DachiError, PermissionError):
    """A memory may not be written, changed or read by whoever asks; nothing was."""


class NotGranted(TrustError):
    """The memory of a namespace is not for this principal."""


class Unsigned(TrustError):
    """A source that signs what it says did not sign this."""


class SourceLimitReached(TrustError):
    """A source has stored as many memories as it may in a time."""


class BackendError(DachiError):
    """An engine or service outside the process failed."""


class ArchiveError(BackendError):
    """An archive refuses, is none, or is not ours."""


class ArchiveUnavailable(ArchiveError, ConnectionError):
    """An archive cannot be reached, or failed; what is in it is as it was."""


class ArchiveAccess(ArchiveError, PermissionError):
    """An archive may not be used with the credentials that it was given."""


class NoBackup(ArchiveError, LookupError):
    """An archive has no backup, or not the one that was asked for."""


class EmbeddingError(DachiError):
    """A text cannot become a vector, or an embedder does not keep its word."""


class EmptyText(EmbeddingError, ValueError):
    """A text has nothing that could be embedded."""


class BadEmbedding(EmbeddingError, ValueError):
    """A function gave something else than the vectors that it should."""


class TextTooLong(EmbeddingError, ValueError):
    """A text is too long to be found by meaning."""


class EmbedderMismatch(EmbeddingError, ValueError):
    """A space holds vectors of another model or dimension."""


class CalibrationError(EmbeddingError, ValueError):
    """The texts given cannot tell what an embedder's cosines mean."""


_BY_CODE: dict[str, type[DachiError]] = {
    "tampered": Tampered,
    "missing": Missing,
    "wrong-context": WrongContext,
    "rolled-back": RolledBack,
    "malformed": Malformed,
    "proof": ProofError,
    "keyring": KeyringError,
    "wrong-key": KeyringError,
    "key-access": KeyAccessError,
    "keys-behind": KeysBehind,
    "key-service": KeyServiceError,
    "rotation-overdue": KeyringError,
    "store": StoreError,
    "locked": StoreLocked,
    "full": StoreFull,
    "closed": StoreClosed,
    "forked": StoreClosed,
    "snapshot-expired": SnapshotExpired,
    "not-a-store": NotAStore,
    "io": StoreIO,
    "read-only": StoreReadOnly,
    "reads-lost": ReadsLost,
    "witness": StoreIO,
    "witness-missing": WitnessMissing,
    "witness-unwritten": WitnessUnwritten,
    "format-too-new": FormatTooNew,
    "unknown-name": UnknownName,
    "unknown-version": UnknownName,
    "unknown-document": UnknownName,
    "unknown-space": UnknownName,
    "unknown-entry": UnknownEntry,
    "name": StoreError,
    "has-forks": StoreError,
    "version-kept": StoreError,
    "name-taken": AlreadyExists,
    "tag-taken": AlreadyExists,
    "archive": ArchiveError,
    "archive-access": ArchiveAccess,
    "archive-overtaken": ArchiveError,
    "archive-unavailable": ArchiveUnavailable,
    "no-backup": NoBackup,
    "path-taken": AlreadyExists,
    "conflict": Conflict,
    "finished": Finished,
    "nested": TransactionError,
    "query": QueryError,
    "schema-too-new": MigrationError,
    "schema-misfit": MigrationError,
    "migration-gap": MigrationError,
    "migration-failed": MigrationError,
    "fields-dropped": SchemaWarning,
    "unsupported-type": StateTypeError,
    "object-array": StateTypeError,
    "cycle": StateValueError,
    "too-deep": StateValueError,
    "too-large": StateValueError,
    "dotted-key": StateValueError,
    "duplicate-path": StateValueError,
    "item-in-raw-field": StateTypeError,
    "module-key": StateTypeError,
    "unset": StateError,
    "vector-setting": VectorError,
    "vector-dimension": VectorError,
    "vector-value": VectorError,
    "vector-zero": VectorError,
    "vector-memory": VectorError,
    "vector-graph": VectorError,
    "actions": LearningError,
    "context": LearningError,
    "decision": LearningError,
    "influence": LearningError,
    "learner-state": LearningError,
    "replay": LearningError,
    "reward": LearningError,
    "setting": LearningError,
    "source": LearningError,
    "unlearn": UnlearnIncomplete,
    "another-agent": MigrationError,
    "another-learner": MigrationError,
    "empty-text": EmptyText,
    "embedder-mismatch": EmbedderMismatch,
}


def from_code(code: str, message: str, context: dict[str, object]) -> DachiError:
    """Gives the exception that belongs to a slug of the compiled core."""
    return _BY_CODE.get(code, DachiError)(code, message, **context)
