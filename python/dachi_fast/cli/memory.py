"""Memories: stored, recalled by meaning, listed, forgotten, embedded anew."""

import dataclasses
import importlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dachi_fast.cli._options import Justification, Yes
from dachi_fast.cli._output import Column, Record
from dachi_fast.cli._progress import progress
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import counted, moment, whole
from dachi_fast.embed import HashingEmbedder, StaticEmbedder
from dachi_fast.errors import QueryError
from dachi_fast.memory import Memory, MemoryStore
from dachi_fast.memory._trust import HIDDEN, TIERS
from dachi_fast.store import Store
from dachi_fast.types import Embedder

_Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="Whose memory: an agent's name.")
]
_Embedder = Annotated[
    str,
    typer.Option(
        metavar="REFERENCE", help="static, hashing:DIMENSION, or MODULE:NAME of your own."
    ),
]
_Where = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=VALUE", help="Only where a field is this: text or JSON."),
]
_Id = Annotated[str, typer.Argument(help="Its id.", show_default=False, metavar="ID")]
_LIMIT = typer.Option("--limit", "-n", min=1, metavar="N", help="How many at most.")


def _state(memory: Record) -> str:
    words = ["quarantined"] if memory["quarantined"] else []
    words += ["superseded"] if memory["superseded_by"] else []
    return ", ".join(words)


_RECALLED = (
    Column("similarity", lambda m: _number(m["similarity"]), "r", "cyan"),
    Column("cosine", lambda m: _number(m["cosine"]), "r"),
    Column("trust", lambda m: m["trust"]),
    Column("source", lambda m: m["source"]),
    Column("age", lambda m: _age(m["age_s"]), "r"),
    Column("id", lambda m: m["id"]),
    Column("text", lambda m: m["text"]),
)
_LISTED = (
    Column("id", lambda m: m["id"], style="cyan"),
    Column("created", lambda m: m["created"][:19] + "Z"),
    Column("trust", lambda m: m["trust"]),
    Column("state", _state),
    Column("source", lambda m: m["source"]),
    Column("text", lambda m: m["text"]),
)
_CONSIDERED = (
    Column("rank", lambda c: str(c["rank"]), "r", "cyan"),
    Column("similarity", lambda c: _number(c["similarity"]), "r"),
    Column("cosine", lambda c: _number(c["cosine"]), "r"),
    Column("trust", lambda c: c["trust"]),
    Column("source", lambda c: c["source"]),
    Column("verdict", lambda c: c["verdict"]),
    Column("id", lambda c: c["id"]),
)


def remember(
    session: Session,
    text: Annotated[str, typer.Argument(help="What it is about.", show_default=False)],
    result: Annotated[
        str | None, typer.Option(metavar="JSON", help="What came of it; text that is no JSON, too.")
    ] = None,
    *,
    namespace: _Namespace = "default",
    source: Annotated[
        str, typer.Option(metavar="TEXT", help="Where it comes from.")
    ] = "command line",
    trust: Annotated[
        str, typer.Option(metavar="TIER", help=f"One of {', '.join(TIERS)}.")
    ] = "user",
    ttl_s: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Forget it after so long.")
    ] = None,
    embedder: _Embedder = "static",
    justification: Justification = "",
) -> None:
    """Store a memory; makes the store if there is none."""
    envelope = {"description": text}
    with session.open("write", make=True) as store, _refused():
        memory_id = _memory(store, namespace, embedder).sync.store_task(
            envelope,
            None if result is None else _value(result),
            source=source,
            trust=trust,  # type: ignore[arg-type]  # checked there
            ttl_s=ttl_s,
            justification=justification,
        )
    session.out.document({"id": memory_id, "namespace": namespace}, memory_id)


def recall(
    session: Session,
    query: Annotated[str, typer.Argument(help="What it should be about.", show_default=False)],
    limit: Annotated[int, _LIMIT] = 5,
    *,
    namespace: _Namespace = "default",
    min_similarity: Annotated[
        float | None, typer.Option(metavar="P", help="The least probability, 0 to 1.")
    ] = None,
    min_cosine: Annotated[
        float | None, typer.Option(metavar="C", help="The least cosine, -1 to 1.")
    ] = None,
    min_trust: Annotated[
        str, typer.Option(metavar="TIER", help="The lowest tier that is looked at.")
    ] = TIERS[-1],
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help=f"What is found, too: {', '.join(HIDDEN)}."),
    ] = None,
    where: _Where = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="List what was left out, too, and why.")
    ] = False,
    embedder: _Embedder = "static",
) -> None:
    """Find memories by meaning, the nearest first."""
    with session.open("audited") as store, _refused():
        found = _memory(store, namespace, embedder).sync.retrieve_similar_tasks(
            query,
            limit=limit,
            min_similarity=min_similarity,
            min_cosine=min_cosine,
            min_trust=min_trust,  # type: ignore[arg-type]  # checked there
            include=include or (),  # type: ignore[arg-type]
            where=_conditions(where),
            explain=explain,
        )
    if found.explanation is not None:
        considered = map(dataclasses.asdict, found.explanation.considered)
        session.out.listing(considered, _CONSIDERED, "nothing is remembered here")
    else:
        session.out.listing(map(_record, found), _RECALLED, "nothing like that is remembered")


def listed(
    session: Session,
    limit: Annotated[int | None, _LIMIT] = None,
    *,
    namespace: _Namespace = "default",
    where: _Where = None,
) -> None:
    """List memories, the newest first, whatever their state."""
    with session.open("audited") as store, _refused():
        found = MemoryStore(store, namespace=namespace).sync.find(
            where=_conditions(where), limit=limit
        )
    session.out.listing(map(_record, found), _LISTED, "nothing is remembered here")


def show(session: Session, memory_id: _Id, namespace: _Namespace = "default") -> None:
    """Show all of a memory."""
    with session.open("audited") as store:
        record = _record(MemoryStore(store, namespace=namespace).sync.get(memory_id))
    session.out.document(record, *whole(record))


def forget(
    session: Session,
    memory_id: _Id,
    *,
    namespace: _Namespace = "default",
    justification: Justification = "",
    yes: Yes = False,
) -> None:
    """Delete a memory."""
    with session.open("write") as store:
        memory = MemoryStore(store, namespace=namespace).sync
        text = memory.get(memory_id).text
        session.confirm(f"forget {text!r}?", yes=yes)
        memory.forget(memory_id, justification=justification)
    session.out.document({"id": memory_id}, f"forgotten: {text}")


def release(
    session: Session,
    memory_id: _Id,
    *,
    namespace: _Namespace = "default",
    justification: Justification = "",
) -> None:
    """Let a quarantined memory be recalled."""
    with session.open("write") as store:
        memory = MemoryStore(store, namespace=namespace).sync
        memory.release(memory_id, justification=justification)
    session.out.document({"id": memory_id, "quarantined": False}, f"released: {memory_id}")


def quarantine(
    session: Session,
    memory_id: _Id,
    *,
    namespace: _Namespace = "default",
    justification: Justification = "",
) -> None:
    """Leave a memory out of recall until it is released."""
    with session.open("write") as store:
        memory = MemoryStore(store, namespace=namespace).sync
        memory.quarantine(memory_id, justification=justification)
    session.out.document({"id": memory_id, "quarantined": True}, f"quarantined: {memory_id}")


def reembed(
    session: Session,
    to: Annotated[
        str,
        typer.Argument(
            help="static, hashing:DIMENSION, or MODULE:NAME of your own.",
            metavar="REFERENCE",
            show_default=False,
        ),
    ],
    namespace: _Namespace = "default",
) -> None:
    """Move a namespace's memories to another embedder; what was interrupted goes on."""
    embedder = _embedder(to)
    with session.open("write") as store, progress("embedding") as advance:
        made = MemoryStore(store, namespace=namespace).sync.reembed(embedder, progress=advance)
    record = {"namespace": namespace, "embedder": embedder.name, "vectors": made}
    vectors = counted(made, "vector was", "vectors were")
    session.out.document(record, f"{namespace}: {vectors} made with {embedder.name}")


def _memory(store: Store, namespace: str, embedder: str) -> MemoryStore:
    return MemoryStore(store, namespace=namespace, embedder=_embedder(embedder))


def _embedder(reference: str) -> Embedder:
    """Gives the embedder that a reference names."""
    name, _, rest = reference.partition(":")
    try:
        if reference == "static":
            return StaticEmbedder()
        if name == "hashing":
            return HashingEmbedder(int(rest))
        found = getattr(importlib.import_module(name), rest)
        made = found() if isinstance(found, type) else found
    except Exception as error:  # whatever the user's code raises
        what = f"{reference!r} is no embedder: {type(error).__name__}: {error}"
        raise typer.BadParameter(what) from error
    if not isinstance(made, Embedder):
        raise typer.BadParameter(f"{reference!r} is no embedder: it is a {type(made).__name__}")
    return made


class _refused:  # noqa: N801 -- a block
    """Tells what a value of an option cannot be as the shell's user knows it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        if isinstance(raised, QueryError) or type(raised) is ValueError:
            raise typer.BadParameter(str(raised)) from raised


def _conditions(where: Sequence[str] | None) -> dict[str, Any]:
    wanted = {}
    for condition in where or ():
        field, equals, value = condition.partition("=")
        if not equals:
            raise typer.BadParameter(f"{condition!r} is no condition: write FIELD=VALUE")
        wanted[field] = _value(value)
    return wanted


def _value(text: str) -> Any:
    """Gives what JSON says, and text that is none as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _record(memory: Memory) -> Record:
    """Gives a memory as JSON shows it."""
    record = {field.name: getattr(memory, field.name) for field in dataclasses.fields(memory)}
    expires = memory.expires
    record["created"] = moment(memory.created)
    record["expires"] = None if expires is None else moment(expires)
    return record if "also" not in record else {**record, "also": list(record["also"])}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _age(seconds: float) -> str:
    """Gives a time that has passed for people.

    Example:
        >>> _age(59), _age(7_300), _age(864_000)
        ('59 s', '2 h', '10 d')
    """
    for unit, most, length in (("s", 60, 1), ("min", 3_600, 60), ("h", 86_400, 3_600)):
        if seconds < most:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds // 86_400:,.0f} d"
