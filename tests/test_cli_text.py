"""Values and names as terminals and programs get them; references of keys."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("typer")

import typer

from dachi_fast import AwsKms, EnvKey, KeyFile, KeyringKey, Opaque
from dachi_fast.cli._provider import provider
from dachi_fast.cli._text import plain, safe, short, size
from dachi_fast.opaque import opaque
from dachi_fast.values import lower
from tests import samples
from tests.strategies import values


@given(st.text())
def test_safe_text_is_printable_and_says_what_it_was(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert shown == text or any(not c.isprintable() for c in text)


def test_text_that_is_printable_stays_as_it_is() -> None:
    assert safe("a/b é 名 🙂") == "a/b é 名 🙂"
    assert safe("\x1b[2J\u202e\udc80") == "\\x1b[2J\\u202e\\udc80"


@given(values)
def test_every_value_is_json_and_a_short_line(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False)
    assert text.isascii()
    assert len(short(value)) <= 160
    assert "\n" not in short(value)


def _array(dtype: str, shape: list[int]) -> dict[str, Any]:
    return {"$type": "ndarray", "dtype": dtype, "shape": shape}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("inf"), {"$type": "float", "text": "inf"}),
        (b"\xff", {"$type": "bytes", "base64": "/w=="}),
        ((1, [2]), {"$type": "tuple", "items": [1, [2]]}),
        ({1: 2}, {"$type": "dict", "items": [[1, 2]]}),
        ({"$type": 1}, {"$type": "dict", "items": [["$type", 1]]}),
        (1 + 2j, {"$type": "complex", "text": "(1+2j)"}),
        (..., {"$type": "ellipsis", "text": "Ellipsis"}),
        (np.array([1, 2]), {**_array("int64", [2]), "items": [1, 2]}),
        (np.array([np.nan]), {**_array("float64", [1]), "items": [plain(math.nan)]}),
        (np.array([1j]), {**_array("complex128", [1]), "items": [plain(1j)]}),
        (np.float32(0.5), {"$type": "float32", "dtype": "float32", "text": "0.5"}),
        (samples.Mood.TENSE, {"$type": "tests.samples:Mood", "fields": {"name": "TENSE"}}),
        (Opaque("m:A", {"x": b""}), {"$type": "m:A", "fields": {"x": plain(b"")}}),
    ],
)
def test_what_json_lacks_says_its_type(value: object, written: object) -> None:
    assert plain(value) == written


@pytest.mark.parametrize(
    "value", [samples.Point(1, (2,)), samples.Mood.CALM, samples.Right.READ | samples.Right.WRITE]
)
def test_a_value_is_the_same_json_whether_its_class_is_known_or_not(value: Any) -> None:
    lowered = lower(value)
    assert lowered is not None
    assert plain(opaque(*lowered)) == plain(value)


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (0, 999, 1000, 999_949, 999_950, 10**12, 10**16)] == [
        *("0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.0 TB", "10000.0 TB"),
    ]


# --- keys -----------------------------------------------------------------------------------------


def test_a_reference_names_where_a_key_is() -> None:
    assert repr(provider(None)) == repr(provider("file")) == repr(KeyFile())
    assert repr(provider("file:a:b/c")) == repr(KeyFile("a:b/c"))
    assert repr(provider("env:AGENTS_KEY")) == repr(EnvKey("AGENTS_KEY"))
    assert repr(provider("keyring:my/service/me")) == repr(KeyringKey("my/service", "me"))
    assert repr(provider("kms:alias/agents")) == repr(AwsKms("alias/agents"))


def test_the_region_of_a_kms_key_is_that_of_its_arn() -> None:
    arn = "arn:aws:kms:eu-central-1:1:key/2"
    found = provider(f"kms:{arn}")
    assert isinstance(found, AwsKms)
    assert (found.key_id, found._region) == (arn, "eu-central-1")


SECRETS = [
    "hunter2hunter2",
    "passphrase:hunter2hunter2",
    "ab" * 32,
    "env:" + "ab" * 32,
    "env:hunter2-hunter2",
    "keyring:hunter2hunter2",
    "",
    "file:",
    "kms:",
    "env:",
]


@pytest.mark.parametrize("reference", SECRETS)
def test_what_names_no_place_is_refused_and_not_repeated(
    reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        provider(reference)
    assert "hunter2" not in str(refused.value)
    assert "ab" * 32 not in str(refused.value)
    from dachi_fast import cli

    assert cli.main(["rewrap", "--to", reference]) in {2, 3}
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert "ab" * 32 not in said.out + said.err


def test_a_new_passphrase_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: next(typed))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(typer.BadParameter, match="two different"):
        provider("passphrase", new=True)
