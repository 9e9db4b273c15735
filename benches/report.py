"""Writes the tables of `README.md` from what pytest-benchmark measured.

    python benches/report.py benches/README.md target/bench/*.json

Each JSON file is one pass over the benches. A cell's time is the median of the passes' medians.
"""

from __future__ import annotations

import datetime
import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGIN = "<!-- tables: written by report.py -->"
END = "<!-- end of tables -->"
_SECTIONS = {
    "walk": "Walk and encode",
    "codec": "Codec",
    "attribute": "Attributes",
    "memory": "Memory",
    "save": "Save",
    "append": "Append to a history",
    "commits": "Concurrent saves",
    "load": "Load",
    "open": "Open and load",
    "versions": "Versions",
    "verify": "Full verification",
    "check": "Structure check",
    "backup": "Backups",
    "from_spec": "From spec and state",
    "transaction": "Transactions",
    "ledger": "Ledger",
    "keys": "Keys",
    "act": "Behaviour trees",
    "learning": "Learning",
    "vectors": "Search by nearness",
    "vector_sets": "Vectors of documents",
    "memories": "Memories",
    "embed": "Embedding",
    "imports": "Import",
}
_ELSEWHERE = {"attribute"}  # what is measured under other Pythons too


@dataclass
class Row:
    """One contender in one workload, over all passes."""

    info: dict[str, Any]
    medians: list[float] = field(default_factory=list)
    quartiles: list[tuple[float, float]] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # to the base, where rounds were paired
    rounds: int = 0
    figures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by what they count

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.medians)

    def ratio(self, base: float | None) -> float | None:
        """How many times the base's median, None without a base."""
        if self.ratios:
            return statistics.median(self.ratios)
        return None if base is None else self.median / base

    @property
    def spread(self) -> str:
        """The middle half of the rounds, over all passes."""
        low = statistics.median(q1 for q1, _ in self.quartiles)
        high = statistics.median(q3 for _, q3 in self.quartiles)
        return f"{shown(low, self.median)} .. {shown(high, self.median)}"


Table = dict[str, dict[str, Row]]  # workload -> who -> row


def shown(seconds: float, like: float | None = None) -> str:
    """A time with three digits, in the unit that suits `like`."""
    measure = seconds if like is None else like
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if measure >= factor or unit == "us":
            value = seconds / factor
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            return f"{value:,.{digits}f} {unit}"
    raise AssertionError


def collect(passes: Iterable[dict[str, Any]], main_python: str) -> dict[str, Table]:
    """Gives section -> table."""
    sections: dict[str, Table] = {name: {} for name in _SECTIONS}
    for one in passes:
        python = one["machine_info"]["python_version"]
        for bench in one["benchmarks"]:
            section = Path(bench["fullname"].partition("::")[0]).stem
            info, stats = bench["extra_info"], bench["stats"]
            workload = info["workload"]
            if python != main_python:
                workload += f", CPython {python}"
            rows = sections[section].setdefault(workload, {})
            row = rows.setdefault(info["who"], Row(info))
            row.medians.append(stats["median"])
            row.quartiles.append((stats["q1"], stats["q3"]))
            row.rounds += stats["rounds"]
            if "ratio" in info:
                row.ratios.append(info["ratio"])
            for figure in info.get("figures", ()):
                row.figures.setdefault(figure["what"], []).append(figure)
    return sections


def judged(row: Row, ratio: float | None) -> tuple[str, str]:
    """Gives a row's goal and whether it is reached."""
    info = row.info
    if ratio is not None and info["at_least"] is not None:
        return f">= {info['at_least']:g}x", _verdict(ratio >= info["at_least"])
    if ratio is not None and info["at_most"] is not None:
        return f"<= {info['at_most']:g}x", _verdict(ratio <= info["at_most"])
    if info["at_most_ms"] is not None:
        return f"<= {info['at_most_ms']:g} ms", _verdict(row.median * 1e3 <= info["at_most_ms"])
    return "", ""


def _verdict(reached: bool) -> str:
    return "yes" if reached else "**no**"


def figures(row: Row) -> list[str]:
    """A line for each number that is no time; over passes its median."""
    lines = []
    for what, found in row.figures.items():
        value = statistics.median(one["value"] for one in found)
        unit, low, high = found[0]["unit"], found[0]["at_least"], found[0]["at_most"]
        goal, verdict = "", ""
        if low is not None:
            goal, verdict = f">= {low:,g} {unit}", _verdict(value >= low)
        elif high is not None:
            goal, verdict = f"<= {high:,g} {unit}", _verdict(value <= high)
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        cells = ["", f"- {what}", f"{value:,.{digits}f} {unit}", "", "", goal, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def table(section: Table) -> list[str]:
    """One markdown table."""
    lines = ["| workload | who | median | middle half | ratio | goal | reached |"]
    lines.append("|---|---|---:|---:|---:|---:|---|")
    for workload, rows in section.items():
        base = next((row.median for row in rows.values() if row.info["base"]), None)
        first = workload
        for who, row in rows.items():
            ratio = row.ratio(base)
            goal, verdict = judged(row, ratio)
            times = "" if ratio is None else f"{ratio:.2f}"
            name = f"**{who}**" if who.startswith("dachi_fast") else who
            if "note" in row.info:
                name += f" ({row.info['note']})"
            cells = [first, name, shown(row.median), row.spread, times, goal, verdict]
            lines.append(f"| {' | '.join(cells)} |")
            lines += figures(row)
            first = ""
    return lines


def machine(one: dict[str, Any], passes: int) -> list[str]:
    """Where and on what it was measured."""
    info = one["machine_info"]
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    cpu = info.get("cpu", {}).get("brand_raw", info["processor"])
    day = datetime.datetime.fromisoformat(one["datetime"]).date()
    commit = _commit(one)
    measured = (
        f"Measured {day} at commit {commit} in {passes} pass{'es' * (passes > 1)}, on "
        f"{info['cores']} cores of {cpu}, "
        f"{info['system']} {info['release']}, CPython {info['python_version']}; the disk takes "
        f"{info['sync_ms']:.2f} ms to sync a page; load when it began {info['load']:.1f}."
    )
    return [measured, "", f"Versions: {versions}."]


def report(passes: list[dict[str, Any]]) -> str:
    """The text between the markers."""
    full = [p for p in passes if not _sections(p) <= _ELSEWHERE] or passes
    main_python = full[0]["machine_info"]["python_version"]
    # A pass may have been measured a file at a time.
    counts = Counter(section for one in full for section in _sections(one))
    lines = machine(full[0], max(counts.values()))
    for section, rows in collect(passes, main_python).items():
        if rows:
            lines += ["", f"### {_SECTIONS[section]}", ""]
            own = {_commit(p) for p in passes if section in _sections(p)}
            if own != {_commit(full[0])}:
                lines += [f"At commit {', '.join(sorted(own))}.", ""]
            lines += table(rows)
    return "\n".join(lines)


def _commit(one: dict[str, Any]) -> str:
    return str(one["commit_info"].get("id", "unknown"))[:10]


def _sections(one: dict[str, Any]) -> set[str]:
    return {Path(bench["fullname"].partition("::")[0]).stem for bench in one["benchmarks"]}


def main(readme: Path, files: list[Path]) -> None:
    """Replaces the tables in a README."""
    passes = [json.loads(file.read_text("utf-8")) for file in files]
    text = readme.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{readme} has no place for the tables: {BEGIN} ... {END}")
    readme.write_text(f"{before}{BEGIN}\n{report(passes)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
