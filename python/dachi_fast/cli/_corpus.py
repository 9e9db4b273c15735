"""The demo's text: sentences from the documentation of this Python's own standard library."""

from __future__ import annotations

import importlib
import inspect
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

# Well documented in every Python since 3.11, part of Debian's smallest Python, quick to import,
# without effects when imported. No dots: the names become names of modules in the agent.
MODULES = (
    *("argparse", "ast", "asyncio", "builtins", "codecs", "collections", "configparser", "decimal"),
    *("difflib", "doctest", "enum", "functools", "inspect", "io", "ipaddress", "json", "logging"),
    *("mailbox", "math", "os", "pathlib", "re", "shutil", "smtplib", "socketserver", "statistics"),
    *("subprocess", "tarfile", "threading", "typing", "unittest", "zipfile"),
)
_MOST_OF_ONE = 75  # sentences of one module, so that no module alone makes a good guess
_FEWEST = 1_000  # sentences in all; every supported Python has over 2,000
_HELD_OUT = 0.15  # of all; one sentence is about 0.3 % of these
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_WORD = re.compile(r"[A-Za-z]{2,}")


class NoDocumentation(Exception):
    """This Python carries too little of its documentation."""


@dataclass(frozen=True)
class Corpus:
    """Sentences with the name of the module that they document, as (text, label).

    Attributes:
        labels: the modules, ascending.
        stream: what the agent learns, in this order.
        held_out: what it is asked and never learns.
    """

    labels: list[str]
    stream: list[tuple[str, str]]
    held_out: list[tuple[str, str]]


def read_corpus(seed: int) -> Corpus:
    """Gives this machine's sentences in an order that the seed decides.

    Args:
        seed: equal seeds give equal corpora on one machine.

    Raises:
        NoDocumentation: Python runs without docstrings (``-OO``).
    """
    found = {name: list(dict.fromkeys(_sentences_of(name))) for name in MODULES}
    # What two modules say alike documents neither.
    known = Counter(text for texts in found.values() for text in texts)
    draw = random.Random(seed)  # noqa: S311 -- a repeatable order, no secret
    sentences = []
    for name, texts in found.items():
        own = [text for text in texts if known[text] == 1]
        sentences += [(text, name) for text in draw.sample(own, min(len(own), _MOST_OF_ONE))]
    if len(sentences) < _FEWEST:
        raise NoDocumentation(
            f"only {len(sentences)} sentences of documentation found in this Python; "
            f"run it without -OO and PYTHONOPTIMIZE=2"
        )
    draw.shuffle(sentences)
    asked = int(len(sentences) * _HELD_OUT)
    return Corpus(sorted(MODULES), sentences[asked:], sentences[:asked])


def _sentences_of(name: str) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some old names warn when touched
        module = importlib.import_module(name)
        texts = list(_docstrings(module))
    for text in texts:
        for paragraph in re.split(r"\n\s*\n", text):
            lines = [line.strip() for line in paragraph.splitlines()]
            prose = " ".join(line for line in lines if not line.startswith((">>>", "...")))
            for sentence in _SENTENCE_END.split(" ".join(prose.split())):
                if 5 <= len(_WORD.findall(sentence)) <= 60:
                    yield sentence


def _docstrings(module: ModuleType) -> Iterator[str]:
    """Yields the docstrings of a module, of what it defines, and of the members of its classes."""
    seen: set[int] = set()
    todo: list[object] = [module]
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        text = getattr(thing, "__doc__", None)
        if isinstance(text, str):
            yield inspect.cleandoc(text)
        if isinstance(thing, ModuleType | type):
            members = sorted(vars(thing).items(), reverse=True)
            todo += [_unwrapped(member) for _, member in members if _defined_by(member, module)]


def _unwrapped(member: object) -> object:
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


def _defined_by(member: object, module: ModuleType) -> bool:
    if isinstance(member, property | staticmethod | classmethod) or (
        inspect.ismethoddescriptor(member) or inspect.isgetsetdescriptor(member)
    ):
        return True  # found in a class that the module defines
    if not isinstance(member, type) and not inspect.isroutine(member):
        return False
    # Functions made in C have no `__module__`, or that of their accelerator: `_io`, `_decimal`.
    home = str(getattr(member, "__module__", None) or module.__name__).lstrip("_")
    return home == module.__name__ or home.startswith(f"{module.__name__}.")
