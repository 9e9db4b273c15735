"""What is too old, destroyed."""

import dataclasses
import datetime
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dachi_fast.cli._options import PerhapsName, Yes
from dachi_fast.cli._output import Column
from dachi_fast.cli._progress import progress
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import counted
from dachi_fast.retention import RetentionPolicy, RetentionReport
from dachi_fast.store import Store

Policy = dict[str, RetentionPolicy]

_KEYS: Final = {"hot_days", "warm_days", "purge_days"}
_COLUMNS: Final = (
    Column("name", lambda r: r["name"], style="cyan"),
    Column("type", lambda r: r["memory_type"]),
    *(
        Column(tier, lambda r, tier=tier: str(r[tier]), "r")  # type: ignore[misc]
        for tier in ("hot", "warm", "cold", "purged", "kept")
    ),
)


def retain(
    session: Session,
    name: PerhapsName = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be purged.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML or JSON: ages in days by memory type."),
    ] = None,
    purge_days: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Purge what is older.")
    ] = None,
    memory_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this; may be repeated. [default: all]"),
    ] = None,
    justification: Annotated[
        str, typer.Option("--justification", "-m", metavar="TEXT", help="Why, for the ledger.")
    ] = "retention",
    yes: Yes = False,
) -> None:
    """Destroy what is too old with its key; the newest and tagged versions stay."""
    policies = _policies(policy, purge_days, memory_type)
    with session.open("read" if dry_run else "write") as store:
        report = store.retain(policies, name=name, dry_run=True)
        if not dry_run:
            if report.purged:
                what = counted(report.purged, "entry", "entries")
                session.confirm(f"destroy {what} for good?", yes=yes)
            report = _retain(store, policies, name, justification)
    records = [dataclasses.asdict(row) for row in report.rows]
    session.out.listing(records, _COLUMNS, "nothing to retain")


def _retain(store: Store, policies: Policy, name: str | None, why: str) -> RetentionReport:
    with progress("sealing anew") as advance:
        return store.retain(policies, name=name, justification=why, progress=advance)


def _policies(file: Path | None, purge_days: float | None, types: list[str] | None) -> Policy:
    if file is not None:
        if purge_days is not None or types:
            raise typer.BadParameter("a policy file says it all: leave out --purge-days and --type")
        return _read(file)
    if purge_days is None:
        raise typer.BadParameter("say how old what is kept may be: --purge-days, or --policy FILE")
    return dict.fromkeys(types or ["*"], _policy({"purge_days": purge_days}))


def _read(file: Path) -> Policy:
    try:
        text = file.read_text("utf-8")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
        return {kind: _policy(ages) for kind, ages in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, OverflowError) as error:
        raise typer.BadParameter(f"{file} holds no policy: {error}") from error


def _policy(ages: dict[str, Any]) -> RetentionPolicy:
    """Gives a policy of ages in days; those that are not given are the defaults, as far as fits."""
    if unknown := ages.keys() - _KEYS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {sorted(_KEYS)}")
    default, purge = RetentionPolicy(), ages.get("purge_days", 365)
    most = None if purge in {None, "never"} else datetime.timedelta(days=purge)
    warm = _age(ages, "warm_days", default.warm, most)
    return RetentionPolicy(hot=_age(ages, "hot_days", default.hot, warm), warm=warm, purge=most)


def _age(
    ages: dict[str, Any], key: str, default: datetime.timedelta, most: datetime.timedelta | None
) -> datetime.timedelta:
    if key in ages:
        return datetime.timedelta(days=ages[key])
    return default if most is None else min(default, most)
