"""One run of a command: its store, its keys and its output."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from dachi_fast._core import store as _core_store
from dachi_fast._dirs import data_folder
from dachi_fast.cli import _exit
from dachi_fast.cli._output import Output
from dachi_fast.cli._provider import provider
from dachi_fast.cli._text import safe
from dachi_fast.errors import NotAStore, StoreIO
from dachi_fast.store import Limits, Store
from dachi_fast.witness import FileWitness

if TYPE_CHECKING:
    from dachi_fast.types import KeyProvider

Access = Literal["read", "audited", "write"]


@dataclass(frozen=True)
class Session:
    """What the options that all commands share say.

    Attributes:
        store: the store's folder; None for the default store.
        keys: reference of a key provider; None for the user's key file.
        witness: a witness's folder, ``"none"``, or None for the default one.
        imports: packages whose classes are to be known.
        as_json: whether output is JSON.
    """

    store: Path | None
    keys: str | None
    witness: str | None
    imports: Sequence[str]
    as_json: bool = field(kw_only=True)

    @cached_property
    def out(self) -> Output:
        """What it prints to."""
        return Output(as_json=self.as_json)

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self.store or data_folder() / "default.store"

    @cached_property
    def provider(self) -> KeyProvider:
        """The key provider; a passphrase is asked for once."""
        return provider(self.keys)

    @property
    def seen_by(self) -> FileWitness | Literal["default"] | None:
        """The witness, as `Store.open` takes it."""
        if self.witness is None:
            return "default"
        return None if self.witness == "none" else FileWitness(self.witness)

    @contextmanager
    def open(
        self, access: Access, *, limits: Limits | None = None, make: bool = False
    ) -> Iterator[Store]:
        """Gives the store.

        Args:
            access: ``"read"``: what is read shows no agent's content, and is no entry of the
                ledger. ``"audited"``: what is read is one, unless the store cannot be written,
                which is said. ``"write"``: it will be changed.
            limits: which versions are kept; None for the usual ones.
            make: whether it is made, which is said, if it is not there.
        """
        if make and _core_store.probe(self.path) is None:
            self.out.note(f"makes a store in {self.path}")
        else:
            self.check()
        with self._opened(access, limits or Limits()) as store:
            yield store

    def _opened(self, access: Access, limits: Limits) -> Store:
        keys, witness = self.provider, self.seen_by
        if access != "read":
            try:
                return Store.open(self.path, keys=keys, witness=witness, limits=limits)
            except StoreIO as error:
                if access == "write" or error.code != "io":
                    raise
                self.out.note(
                    "the store cannot be written here: its ledger will not name this read"
                )
        return Store.open(self.path, keys=keys, witness=witness, limits=limits, read_only=True)

    def check(self) -> None:
        """Refuses a folder without a store: opening it would make one."""
        if _core_store.probe(self.path) is None:
            what = f"there is no store in {self.path}; name one with --store or $DACHI_FAST_STORE"
            raise NotAStore("not-a-store", what, path=str(self.path))

    def import_all(self) -> None:
        """Imports the packages that were named, also from the current folder."""
        if self.imports and os.getcwd() not in sys.path:  # noqa: PTH109 -- sys.path holds text
            sys.path.append(os.getcwd())  # noqa: PTH109 -- behind all others: it replaces none
        for name in self.imports:
            try:
                importlib.import_module(name)
            except Exception as error:  # whatever the user's code raises
                what = f"cannot import {name}: {type(error).__name__}: {error}"
                raise typer.BadParameter(what) from error

    def confirm(self, question: str, *, yes: bool) -> None:
        """Goes on only if the user says so.

        Raises:
            BadParameter: nobody can be asked.
            Exit: the answer is no.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise typer.BadParameter("this cannot be undone, and nobody can be asked: add --yes")
        print(f"{safe(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            print("dachi-fast: nothing was done", file=sys.stderr)
            raise typer.Exit(_exit.FAILED)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Says what the store warns of in one line each."""

        def show(message: Warning | str, *_: object) -> None:
            text = str(message)
            print(f"dachi-fast: warning: {safe(text)}", file=sys.stderr)

        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("always", RuntimeWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            yield
