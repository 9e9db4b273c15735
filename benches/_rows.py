"""What a benchmark says of itself, for `report.py` to put into its table."""

from __future__ import annotations

from typing import Any


def describe(
    benchmark: Any,
    *,
    workload: str,
    who: str,
    base: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
    at_most_ms: float | None = None,
) -> None:
    """Notes the row of a benchmark.

    Args:
        benchmark: the fixture.
        workload: what is done, with its size; rows of one workload are compared.
        who: who does it.
        base: whether the ratios of this workload are to this row.
        at_least: the goal for this row's ratio, where the base is ours and this is a peer.
        at_most: the goal for this row's ratio, where the base is a peer and this is ours.
        at_most_ms: the goal for this row's median.
    """
    benchmark.group = workload
    benchmark.extra_info.update(
        workload=workload,
        who=who,
        base=base,
        at_least=at_least,
        at_most=at_most,
        at_most_ms=at_most_ms,
    )


def figure(
    benchmark: Any,
    what: str,
    value: float,
    unit: str = "",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Notes a number beside the time: its own line in the table, below the benchmark's.

    Args:
        benchmark: the fixture, described before.
        what: is counted.
        value: the number.
        unit: behind it, and behind the goal.
        at_least: the goal for it.
        at_most: likewise.
    """
    benchmark.extra_info.setdefault("figures", []).append(
        {"what": what, "value": value, "unit": unit, "at_least": at_least, "at_most": at_most}
    )
