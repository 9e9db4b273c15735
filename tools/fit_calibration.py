"""Fits what a cosine of the default embedder means, and measures how often it is wrong.

The texts are those of WordNet 3.0 (Debian package `wordnet-base`), which speak of everything: an
entry's definition and the phrases that show its use are about one thing, those of two entries are
not. Only texts of two to five words, as titles of tasks and questions are: longer ones share words
such as "the" and "that", and are nearer to each other whatever they say.

    python tools/fit_calibration.py [/usr/share/wordnet]

prints the two numbers of `StaticEmbedder.calibration`, fitted on every second entry, and the errors
on the other half, on longer texts, and on the docstrings of Python's standard library.
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from dachi_fast import Calibration, StaticEmbedder, calibrate
from dachi_fast.embed._calibration import _cosines

Groups = list[list[str]]
LIKELY = 0.8


def entries(folder: Path) -> Iterator[list[str]]:
    """Gives the texts of each entry: its definition, then its examples."""
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{kind}").read_text().splitlines():
            if not line.startswith("  "):  # the licence
                gloss = line.split(" | ", 1)[1].strip()
                definition = re.sub(r"\([^)]*\)", "", gloss.split('; "')[0])
                yield [definition.strip(), *re.findall(r'"([^"]+)"', gloss)]


def docstrings() -> Iterator[list[str]]:
    """Gives the sentences of each docstring of the standard library."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                yield [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text)]


def of_length(groups: Iterator[list[str]], fewest: int, most: int) -> Groups:
    """Gives groups with the texts of a number of words, if two or more are left."""
    kept = [
        list(dict.fromkeys(text for text in group if fewest <= len(text.split()) <= most))
        for group in groups
    ]
    return [group for group in kept if len(group) > 1]


def tell(what: str, calibration: Calibration, groups: Groups) -> None:
    """Prints how often a pair about one thing is missed, and how often another passes."""
    same, different = _cosines(StaticEmbedder(), groups)
    missed = (calibration.probability(same) < LIKELY).mean()
    passed = (calibration.probability(different) >= LIKELY).mean()
    print(f"{what:40} {len(same):7,} pairs of each: missed {missed:.1%}, passed {passed:.1%}")


def main() -> None:
    """Fits and measures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet")
    short = of_length(entries(folder), 2, 5)
    calibration = calibrate(StaticEmbedder(), short[::2])
    print(calibration, f"{LIKELY} is a cosine of {calibration.cosine(LIKELY):.3f}")
    tell("WordNet, 2-5 words, fitted to", calibration, short[::2])
    tell("WordNet, 2-5 words, others", calibration, short[1::2])
    tell("WordNet, 6-10 words", calibration, of_length(entries(folder), 6, 10))
    tell("WordNet, 11-20 words", calibration, of_length(entries(folder), 11, 20))
    tell("docstrings, 4-10 words", calibration, of_length(docstrings(), 4, 10))
    tell("docstrings, 11-30 words", calibration, of_length(docstrings(), 11, 30))


if __name__ == "__main__":
    main()
