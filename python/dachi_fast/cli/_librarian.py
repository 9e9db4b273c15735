"""The demo's agent: it learns which module of the standard library a sentence documents."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dachi_fast import Attr, BaseModule, Param

_WORD = re.compile(r"[a-z]+")


class Tokenizer(BaseModule):
    """Cuts text into words; it learns nothing, so all it has is blueprint.

    Args:
        shortest: words with fewer letters are skipped.
    """

    shortest: int = Param(default=2)

    def words(self, text: str) -> list[str]:
        """Gives the words of a text in lower case, in order."""
        return [word for word in _WORD.findall(text.lower()) if len(word) >= self.shortest]


class Shelf(BaseModule):
    """What was read about one module: how often which word.

    Each shelf is a leaf of its own in the store: a save writes those that changed.
    """

    sentences: int = Attr(default=0)
    words: int = Attr(default=0)
    counts: dict[str, int] = Attr(default_factory=dict)

    def put(self, words: Iterable[str]) -> None:
        """Counts one sentence."""
        self.sentences += 1
        for word in words:
            self.words += 1
            self.counts[word] = self.counts.get(word, 0) + 1

    def score(self, words: list[str], smoothing: float, vocabulary: int) -> float:
        """Gives the log probability that a sentence belongs here, up to a constant.

        Multinomial naive Bayes with additive smoothing (Manning, Raghavan, Schuetze: Introduction
        to Information Retrieval, section 13.2).
        """
        counts, log = self.counts, math.log
        known = sum(log(1 + counts[word] / smoothing) for word in words if word in counts)
        return (
            log(1 + self.sentences) + known - len(words) * log(self.words + smoothing * vocabulary)
        )


class Librarian(BaseModule):
    """Guesses the module that a sentence documents, is told, and remembers.

    Args:
        shelves: one for each module, under its name.
        tokenizer: cuts sentences into words.
        smoothing: what a word that was never seen counts.
        vocabulary: how many different words there may be.

    Attributes:
        guesses: int64, shape `(shelves, shelves)`: how often a sentence of the row was taken for
            one of the column, before it was learned.
        read: sentences learned.
    """

    shelves: dict[str, Shelf]
    tokenizer: Tokenizer
    smoothing: float = Param(default=0.1)
    vocabulary: int = Param(default=5_000)
    read: int = Attr(default=0)
    guesses: NDArray[np.int64] = Attr(default_factory=lambda: np.zeros((0, 0), np.int64))

    def __post_init__(self) -> None:
        """Makes room for a guess of each kind."""
        self.guesses = np.zeros((len(self.shelves), len(self.shelves)), np.int64)

    def guess(self, sentence: str) -> str:
        """Gives the name of the likeliest shelf."""
        words = self.tokenizer.words(sentence)
        scores = {
            name: shelf.score(words, self.smoothing, self.vocabulary)
            for name, shelf in self.shelves.items()
        }
        return max(scores, key=scores.__getitem__)

    def learn(self, sentence: str, label: str) -> None:
        """Guesses first, for the record, and then counts the sentence where it belongs."""
        names = list(self.shelves)
        self.guesses[names.index(label), names.index(self.guess(sentence))] += 1
        self.shelves[label].put(self.tokenizer.words(sentence))
        self.read += 1


def librarian(labels: Iterable[str]) -> Librarian:
    """Gives an agent that has read nothing."""
    return Librarian(shelves={label: Shelf() for label in labels}, tokenizer=Tokenizer())


def accuracy(agent: Librarian, sentences: Iterable[tuple[str, str]]) -> float:
    """Gives the share of sentences (text, label) guessed right; the agent learns nothing."""
    right = [agent.guess(text) == label for text, label in sentences]
    return sum(right) / len(right)


def differences(one: Librarian, other: Librarian) -> Iterator[str]:
    """Yields the paths at which two states differ in type or value: none for equal agents."""
    a, b = one.state_dict(), other.state_dict()
    yield from sorted(a.keys() ^ b.keys())
    for path in sorted(a.keys() & b.keys()):
        if not same(a[path], b[path]):
            yield path


def same(a: object, b: object) -> bool:
    """Gives whether two values of a state are equal in type and value."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b
