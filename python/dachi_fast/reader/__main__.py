"""Verifies a store and shows what it holds: ``python -m dachi_fast.reader STORE --key FILE``.

Exit code 0: everything that it prints is proved. 1: the store was refused, and why.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import DachiError, WitnessMissing
from dachi_fast.reader import Document, EnvKey, KeyFile, Passphrase, StoreReader, Version
from dachi_fast.reader._plain import plain

if TYPE_CHECKING:
    from dachi_fast.reader._keys import Key


def main(arguments: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: of the command line; None for the process's.

    Returns:
        The exit code.
    """
    given = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always", WitnessMissing)
        warnings.showwarning = _warn  # type: ignore[assignment]
        try:
            with StoreReader(given.store, key=_key(given), witness=given.witness) as store:
                show = _dump if given.json else _list
                show(store)
        except DachiError as error:
            print(f"{error.code}: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"io: {error}", file=sys.stderr)
            return 1
    return 0


def _warn(message: Warning | str, *_: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m dachi_fast.reader", description=__doc__)
    parser.add_argument("store", help="the store's folder")
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", metavar="FILE", help="the key file")
    key.add_argument("--key-env", metavar="NAME", help="an environment variable that holds the key")
    key.add_argument("--passphrase", action="store_true", help="ask for a passphrase")
    parser.add_argument("--witness", metavar="FOLDER", help="the folder of the file witness")
    parser.add_argument("--json", action="store_true", help="everything, states included")
    return parser


def _key(given: argparse.Namespace) -> Key:
    if given.key is not None:
        return KeyFile(given.key)
    if given.key_env is not None:
        return EnvKey(given.key_env)
    return Passphrase(getpass.getpass("passphrase: "))


def _list(store: StoreReader) -> None:
    report = store.verify()
    print(f"commit {store.head.commit}, {report.nodes} nodes, all proved")
    for name in [*store.names(), *store.shared_names()]:
        print(_printable(name))
        for version in store.versions(name):
            entries = version.state.entries if version.state else 0
            tags = "".join(f" #{tag}" for tag in version.tags)
            why = _printable(version.justification[:80])
            print(f"  {version.number}{tags}  {_time(version)}  {entries} values  {why}")
    for name in store.document_names():
        print(f"{_printable(name)}: {len(store.documents(name))} documents")
        for space, made in store.spaces(name).items():
            count, model = len(store.vectors(name, space)), _printable(made.model)
            print(f"  {_printable(space)}: {count} vectors of {made.dimension}, by {model}")
    print(f"{report.entries} ledger entries")


def _dump(store: StoreReader) -> None:
    report = store.verify()
    names = {
        name: [_version(store, name, version) for version in store.versions(name)]
        for name in [*store.names(), *store.shared_names()]
    }
    documents = {
        name: [_document(found) for found in store.documents(name)]
        for name in store.document_names()
    }
    ledger = [json.loads(line) for line in store.ledger()]
    dump = {"commit": store.head.commit, "nodes": report.nodes, "names": names}
    spaces = {name: _spaces(store, name) for name in documents}
    dump |= {"documents": documents, "spaces": spaces, "ledger": ledger}
    json.dump(dump, sys.stdout, allow_nan=False)
    print()


def _version(store: StoreReader, name: str, version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "created": _time(version),
        "base": version.base,
        "restores": version.restores,
        "source": version.source,
        "tags": version.tags,
        "justification": version.justification,
        "root": version.root,
        "blueprint": plain(store.blueprint(name, version.number)),
        "classes": plain(store.classes(name, version.number)),
        "state": {p: plain(v) for p, v in store.state(name, version.number).items()},
    }


def _document(document: Document) -> dict[str, Any]:
    return {
        "memory_type": document.memory_type,
        "id": document.id,
        "created": _time(document),
        "expires_ns": document.expires_ns,
        "value": plain(document.value),
    }


def _spaces(store: StoreReader, name: str) -> dict[str, Any]:
    return {
        space: {
            "model": made.model,
            "dimension": made.dimension,
            "vectors": [asdict(vector) for vector in store.vectors(name, space)],
        }
        for space, made in store.spaces(name).items()
    }


def _time(made: Version | Document) -> str:
    return datetime.fromtimestamp(made.created_ns // 1_000_000_000, UTC).isoformat()


def _printable(text: str) -> str:
    """Gives a text on one line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


if __name__ == "__main__":
    sys.exit(main())
