"""Draws recall against searches a second, of all that `vectors.py` compares.

    python -m benches.curve docs/recall.svg 10000 50000

Each setting of each contender answers the same queries in one thread, a few at a time in turns, so
that whatever else the machine does is shared by all. Numbers go to the standard output.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benches._texts import embedded
from benches.compare import nearest as peers

_QUERIES = 500
_TURN = 20
_WHO: dict[str, tuple[Any, str]] = {
    "dachi_fast Auto": (peers.Ours, "#c2185b"),
    "dachi_fast Hnsw": (peers.OurGraph, "#f48fb1"),
    "hnswlib": (peers.Hnswlib, "#1565c0"),
    "faiss HNSW": (peers.FaissHnsw, "#2e7d32"),
    "faiss flat": (peers.FaissFlat, "#9e9d24"),
    "usearch int8": (peers.Usearch, "#6d4c41"),
    "sqlite-vec": (peers.SqliteVec, "#757575"),
}
_LEAST = 0.8  # the left edge
_WIDTH, _HEIGHT, _LEFT, _TOP = 420, 300, 60, 40
_DECADES = (1.5, 5.0)  # searches a second, as powers of ten


class Point(NamedTuple):
    """One setting of one contender."""

    who: str
    effort: float
    recall: float
    us: float


def measured(n: int) -> list[Point]:
    """Gives what each setting of each contender finds and takes among n vectors."""
    made = embedded(n + _QUERIES)
    rows, queries = np.ascontiguousarray(made[:n]), made[n:]
    near = np.argpartition(-(queries @ rows.T), 10, axis=1)[:, :10]
    runs: dict[tuple[str, float], tuple[Any, list[float], list[int]]] = {}
    for who, (kind, _) in _WHO.items():
        start = time.perf_counter()
        try:
            peer = kind(rows)
        except (ImportError, AttributeError) as cause:
            print(f"{n} {who}: {cause}", flush=True)
            continue
        print(f"{n} {who}: built in {time.perf_counter() - start:.2f} s", flush=True)
        runs |= {(who, effort): (peer, [], []) for effort in peer.efforts}
    for at in range(0, _QUERIES, _TURN):
        for (_, effort), (peer, times, hits) in runs.items():
            peer.search(queries[at], effort)
            for query, truth in zip(queries[at : at + _TURN], near[at : at + _TURN], strict=True):
                start = time.perf_counter()
                found = peer.search(query, effort)
                times.append(time.perf_counter() - start)
                hits.append(len({*map(int, found)} & {*truth.tolist()}))
    return [
        Point(who, effort, float(np.mean(hits)) / 10, float(np.median(times)) * 1e6)
        for (who, effort), (_, times, hits) in runs.items()
    ]


def _place(recall: float, us: float) -> tuple[float, float]:
    low, high = _DECADES
    across = (recall - _LEAST) / (1 - _LEAST)
    up = (np.log10(1e6 / us) - low) / (high - low)
    return _LEFT + across * _WIDTH, _TOP + (1 - up) * _HEIGHT


def _panel(n: int, points: list[Point]) -> list[str]:
    """One diagram: recall to the right, searches a second upwards, by powers of ten."""
    out = [f'<text x="{_LEFT}" y="{_TOP - 14}" font-weight="bold">{n:,} vectors</text>']
    for recall in np.linspace(_LEAST, 1, 5):
        x, bottom = _place(recall, 10 ** (6 - _DECADES[0]))
        out.append(f'<path d="M{x:.1f} {_TOP}V{bottom:.1f}" stroke="#ddd"/>')
        text = f"{recall:.2f}"
        out.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{text}</text>')
    for power in (2, 3, 4, 5):
        _, y = _place(_LEAST, 10 ** (6 - power))
        out.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#ddd"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for who, (_, colour) in _WHO.items():
        own = sorted((p.recall, p.us) for p in points if p.who == who and p.recall >= _LEAST)
        places = [_place(recall, us) for recall, us in own]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        out.append(
            f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>' * bool(line)
        )
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return out


def drawn(panels: dict[int, list[Point]]) -> str:
    """Gives the picture: a diagram for each number of vectors, and who is which colour."""
    pitch = _HEIGHT + _TOP + 50
    body = [
        f'<g transform="translate(0 {at * pitch})">{"".join(_panel(n, points))}</g>'
        for at, (n, points) in enumerate(panels.items())
    ]
    for at, (who, (_, colour)) in enumerate(_WHO.items()):
        x, y = _LEFT + _WIDTH + 20, _TOP + 10 + at * 20
        body.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>')
        body.append(f'<text x="{x + 12}" y="{y}">{who}</text>')
    size = f'width="{_LEFT + _WIDTH + 160}" height="{pitch * len(panels)}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )
    title = "<title>Searches a second by recall@10, one thread</title>"
    return "\n".join(
        [head, title, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>\n"]
    )


def main(path: str, *sizes: str) -> None:
    panels = {}
    for n in map(int, sizes):
        panels[n] = measured(n)
        for point in panels[n]:
            print(
                f"{n} {point.who} {point.effort:g}: {point.recall:.4f} {point.us:.0f} us",
                flush=True,
            )
        Path(path).write_text(drawn(panels))


if __name__ == "__main__":
    main(*sys.argv[1:])
