"""Every example runs, every link leads somewhere, every command that is named exists."""

from __future__ import annotations
import __future__

import ast
import doctest
import importlib
import io
import re
import shlex
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import cli, registry

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "dachi_fast"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benches").rglob("*.md")]
)
SOURCES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])

# An example that cannot run says why on the line above it: <!-- not run: reason -->
_BLOCK = re.compile(
    r"^(?P<marker><!-- not run: (?P<reason>[^>]+) -->\n)?```python[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One ```python block of a page."""

    line: int
    code: str
    not_run: str | None


def _blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["code"], found["reason"])
        for found in _BLOCK.finditer(text)
    ]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _module_name(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _docstrings(source: Path) -> list[tuple[str, str, int]]:
    """Gives name, text and line of every docstring with an example, of code and of stubs."""
    found = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and ">>>" in text:
                found.append((getattr(node, "name", source.stem), text, node.body[0].lineno))
    return found


@pytest.fixture(autouse=True)
def _no_kinds_of_examples() -> Iterator[None]:
    """Forgets the classes of examples: they are called like those of tests and of other pages."""
    yield
    for entered in registry._kinds.values():
        for kind in [kind for kind in entered if kind.startswith("example:")]:
            del entered[kind]


def _fresh_names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Gives the names of a new module: annotations of classes are looked up in a real one."""
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__dict__


def _public_to_reader(module: types.ModuleType) -> dict[str, Any]:
    """Gives what stands in the file of a docstring, less its `from __future__` lines."""
    future = type(__future__.annotations)
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and not isinstance(value, future)
    }


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page)], ids=_name)
def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = _blocks(page)
    run = [block for block in blocks if block.not_run is None]
    if not run:
        pytest.skip("; ".join(str(block.not_run) for block in blocks))
    monkeypatch.chdir(tmp_path)
    names = _fresh_names(monkeypatch)
    for block in run:
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, str(page), "exec", dont_inherit=True), names)


# A ```python block, or a ```console block with commands and what they print.
_STEP = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if "$ dachi-fast " in page.read_text()])
def test_the_commands_of_a_page_print_what_it_says(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("typer")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    names = _fresh_names(monkeypatch)
    same, options = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for language, text in _STEP.findall(page.read_text()):
        if language == "python":
            exec(compile(text, str(page), "exec", dont_inherit=True), names)
            continue
        for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            program, *arguments = shlex.split(command)
            if program == "export":
                monkeypatch.setenv(*arguments[0].split("=", 1))
                continue
            assert program == "dachi-fast"
            cli.main(arguments)
            said = capsys.readouterr()
            assert same.check_output(expected, said.out + said.err, options), (command, said)


@pytest.mark.parametrize("source", [source for source in SOURCES if _docstrings(source)], ids=_name)
def test_the_examples_in_docstrings_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(_module_name(source))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=options)
    for name, text, line in _docstrings(source):
        names = _fresh_names(monkeypatch)
        names.update(_public_to_reader(module))
        test = doctest.DocTestParser().get_doctest(text, names, name, _name(source), line)
        runner.run(test, out=report.write)
    assert runner.failures == 0, report.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and heading not in _headings(file)):
            dead.append(target)
    assert dead == []


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_knows_the_targets_that_a_page_names(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert sorted(named - targets) == []
