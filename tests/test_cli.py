"""The front of the commands, with and without the extra that brings typer and rich."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from dachi_fast import cli
from dachi_fast.cli.demo import DemoOptions, parse
from dachi_fast.errors import NotAStore

needs_typer = pytest.mark.skipif(
    importlib.util.find_spec("typer") is None, reason="the extra `cli` is not installed"
)


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("typer", "rich"):
        monkeypatch.setitem(sys.modules, name, None)


def test_the_demo_reads_all_its_options() -> None:
    given = parse(["--json", "--seed", "7", "--keep", "here"])
    assert given == DemoOptions(output="json", seed=7, keep=Path("here"))


def test_the_demo_is_plain_where_output_is_no_terminal() -> None:
    assert parse([]) == DemoOptions(output="plain", seed=None, keep=None)


@pytest.mark.parametrize("option", ["--plain", "--no-color"])
def test_the_demo_is_plain_on_a_terminal_when_asked(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert parse([option]).output == "plain"


@needs_typer
def test_the_demo_is_rich_on_a_terminal_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert parse([]).output == "rich"
    monkeypatch.setenv("NO_COLOR", "1")
    assert parse([]).output == "plain"


@pytest.mark.usefixtures("without_extras")
def test_the_demo_is_plain_on_a_terminal_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert parse([]).output == "plain"


@pytest.mark.parametrize("typer", ["with", "without"])
def test_a_wrong_option_of_the_demo_is_named(
    typer: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if typer == "without":
        request.getfixturevalue("without_extras")
    assert cli.main(["demo", "--sed", "x"]) == 2
    assert "--sed" in capsys.readouterr().err


@pytest.mark.usefixtures("without_extras")
def test_another_command_without_typer_says_what_to_install(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["history", "agents.store"]) == 2
    assert capsys.readouterr().err == (
        "dachi-fast: 'history' needs the commands: pip install 'dachi_fast[cli]'\n"
    )


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_without_typer_names_demo(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 0
    assert "dachi-fast demo" in capsys.readouterr().out


@needs_typer
def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["histroy"]) == 2
    assert "histroy" in capsys.readouterr().err


@needs_typer
def test_help_lists_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out


@needs_typer
def test_an_error_of_ours_is_one_line_with_its_slug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise NotAStore("not-a-store", "a.txt is a file; give the path of a store")

    monkeypatch.setattr(cli.demo, "main", fail)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "dachi-fast: a.txt is a file; give the path of a store [not-a-store]\n"
    )


@pytest.mark.parametrize("typer", ["with", "without"])
def test_the_version_is_that_of_the_package(
    typer: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if typer == "without":
        request.getfixturevalue("without_extras")
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dachi-fast 0.")


def test_the_package_runs_as_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dachi_fast", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("dachi-fast 0.")
