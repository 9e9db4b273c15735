"""Who may name whom, how long files are, what every error owes its reader."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dachi_fast
from dachi_fast import errors, keys
from tests.children import environment

ROOT = Path(__file__).resolve().parent.parent
RUST = ROOT / "rust" / "src"
PACKAGE = ROOT / "python" / "dachi_fast"

# Each layer knows only what stands before it (docs/decisions/2026-11-22-layers.md).
LAYERS = (
    "wire",
    "embed",
    "codec",
    "state",
    "seal",
    "keys",
    "engine",
    "tree",
    "ledger",
    "witness",
    "vector",
    "store",
    "learn",
    "py",
)
EVERYBODYS = frozenset({"error"})

# A crate, how it is recognised, and the only places that may name it.
OWNED_CRATES = {
    "LMDB": (r"\b(heed\w*|lmdb_\w+|mdb_\w+)\b", {"engine/lmdb"}),
    "zstd": (r"\bzstd\w*\b", {"seal"}),
    "cryptography": (r"\baws_lc_rs\b", {"seal"}),
    "Python": (r"\b(pyo3\w*|numpy)\b", {"py"}),
}
# A class may run what its own source spells, as dataclasses do: its annotations, and the `__init__`
# made of its field names. Nothing that was read from a blueprint or a store reaches either.
RUNS_SOURCE_OF_CLASSES = frozenset(
    {("module/_annotations.py", "eval"), ("module/_declare.py", "exec")}
)
LONGEST, NINE_IN_TEN, MEDIAN, LONGEST_FUNCTION = 600, 400, 150, 60


def _rust_files() -> list[Path]:
    return sorted(RUST.rglob("*.rs"))


def _python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _code(path: Path) -> str:
    """Gives Rust text without comments, strings and characters."""
    text = re.sub(r"""b?'(\\.[^']*|[^\\'])'""", "' '", path.read_text())
    text = re.sub(r'r(#+)".*?"\1', '""', text, flags=re.DOTALL)
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def _module(path: Path) -> tuple[str, ...]:
    """Gives where a Rust file stands: `tree/node.rs` is `("tree", "node")`."""
    parts = path.relative_to(RUST).with_suffix("").parts
    return parts[:-1] if parts[-1] == "mod" else parts


def _named_from_root(path: Path) -> set[str]:
    """Gives the top-level modules that a file names, however it spells the way to the root."""
    code, depth = _code(path), len(_module(path))
    root = rf"(?:crate|(?:super::){{{depth - 1}}}super)::"
    single = re.findall(rf"\b{root}(?:r#)?(\w+)", code)
    grouped = []
    for start in re.finditer(rf"\b{root}\{{", code):
        grouped += _first_names(code[start.end() :])
    return {name for name in [*single, *grouped] if name in {*LAYERS, *EVERYBODYS}}


def _first_names(text: str) -> list[str]:
    """Gives the first name of each path in a `{a::b, c::{d, e}}` whose `{` was just read."""
    level, top = 1, ""
    for letter in text:
        level += {"{": 1, "}": -1}.get(letter, 0)
        if level == 0:
            break
        if level == 1:
            top += letter
    return [part.split("::")[0].strip() for part in top.split(",")]


def test_the_packages_list_nothing_of_their_own_making() -> None:
    """Symptom: `dir(dachi_fast)` showed `import_module`. Cause: it was imported under that name.
    Fix: under a private one."""
    for package in (dachi_fast, keys):
        shown = {name: getattr(package, name) for name in dir(package) if name[0] != "_"}
        for name, found in shown.items():
            home = found.__name__ if isinstance(found, ModuleType) else found.__module__
            assert home.split(".")[0] == "dachi_fast", name


def test_every_rust_file_belongs_to_a_layer() -> None:
    homeless = [
        str(path.relative_to(ROOT))
        for path in _rust_files()
        if _module(path)[0] not in {*LAYERS, *EVERYBODYS, "lib"}
    ]
    assert homeless == []


def test_a_layer_names_only_layers_before_it() -> None:
    wrong = []
    for path in _rust_files():
        layer = _module(path)[0]
        if layer == "lib":
            continue
        known = () if layer in EVERYBODYS else LAYERS[: LAYERS.index(layer) + 1]
        unknown = sorted(_named_from_root(path) - set(known) - EVERYBODYS)
        wrong += [f"{path.relative_to(ROOT)} names {named}" for named in unknown]
    assert wrong == []


@pytest.mark.parametrize("what", OWNED_CRATES)
def test_a_foreign_crate_is_named_only_where_it_is_wrapped(what: str) -> None:
    pattern, places = OWNED_CRATES[what]
    wrong = []
    for path in _rust_files():
        here = "/".join(_module(path))
        if not any(here == place or here.startswith(place + "/") for place in places):
            found = re.findall(pattern, _code(path))
            wrong += [f"{path.relative_to(ROOT)} names {name}" for name in found]
    assert wrong == []


@pytest.mark.parametrize("language", ["rust", "python"])
def test_files_stay_short(language: str) -> None:
    patterns = {
        "rust": ["rust/src/**/*.rs", "rust/tests/**/*.rs"],
        "python": ["python/**/*.py", "python/**/*.pyi", "tests/**/*.py", "benches/**/*.py"],
    }[language]
    lines = {
        str(path.relative_to(ROOT)): path.read_text().count("\n")
        for pattern in patterns
        for path in ROOT.glob(pattern)
    }
    sizes = sorted(lines.values())
    nine_in_ten = sizes[max(0, -(-len(sizes) * 9 // 10) - 1)]
    summary = f"{len(sizes)} files, median {statistics.median(sizes)}, 90 % <= {nine_in_ten}"
    assert [f"{name}: {size}" for name, size in lines.items() if size > LONGEST] == []
    assert nine_in_ten <= NINE_IN_TEN, summary
    assert statistics.median(sizes) <= MEDIAN, summary


def test_functions_stay_short() -> None:
    long = []
    for path in _python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if size > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {size} lines")
    assert long == []


def _raised_in_rust() -> dict[str, str]:
    """Gives every slug that the core raises, with a file that does."""
    found = {}
    for path in _rust_files():
        for slug in re.findall(r'\bError::new\(\s*"([^"]*)"', path.read_text()):
            found[slug] = str(path.relative_to(ROOT))
    return found


def _raised_in_python() -> dict[str, str]:
    """Gives every slug that Python code gives to an exception of errors.py, with a file."""
    found = {}
    for path in _python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                name = node.func.id if isinstance(node.func, ast.Name) else name
                kind, first = getattr(errors, name, None), node.args[0]
                ours = isinstance(kind, type) and issubclass(kind, errors.DachiError)
                if ours and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found[first.value] = str(path.relative_to(ROOT))
    return found


def _documented() -> list[tuple[str, str]]:
    """Gives slug and class of every row of docs/errors.md that also has a cause and a remedy."""
    text = (ROOT / "docs" / "errors.md").read_text()
    row = r"^\| `([a-z-]+)` \| `(\w+)` \| [^|]*\w[^|]* \| [^|]*\w[^|]* \|$"
    return [(slug, name) for slug, name in re.findall(row, text, re.MULTILINE)]


def test_every_slug_raised_in_rust_has_an_exception() -> None:
    assert _raised_in_rust(), "no slug found: did the way of raising change?"
    unknown = {s: where for s, where in _raised_in_rust().items() if s not in errors._BY_CODE}
    assert unknown == {}


def test_every_slug_is_documented_once_with_cause_and_remedy() -> None:
    documented = [slug for slug, _ in _documented()]
    known = {*errors._BY_CODE, *_raised_in_python()}
    assert sorted(known - set(documented)) == []
    assert sorted(set(documented) - known) == [], "documented, but nothing raises it"
    assert sorted(documented) == sorted(set(documented))


def test_documents_name_the_class_that_is_raised() -> None:
    names = {slug: kind.__name__ for slug, kind in errors._BY_CODE.items()}
    wrong = [f"{slug}: {name}" for slug, name in _documented() if names.get(slug, name) != name]
    assert wrong == []
    assert all(hasattr(errors, name) for _, name in _documented())


def test_errors_import_nothing_from_the_package() -> None:
    roots = {name.split(".")[0] for name in _imported(PACKAGE / "errors.py")}
    assert roots.isdisjoint({"dachi_fast", ""})  # the second is a relative import


def test_the_package_root_only_names_what_is_public() -> None:
    body = ast.parse((PACKAGE / "__init__.py").read_text()).body
    assert isinstance(body[0], ast.Expr)
    late = set()
    for node in body[1:]:
        if isinstance(node, ast.If):
            for named in node.body:
                assert isinstance(named, ast.ImportFrom), ast.unparse(named)
                for alias in named.names:
                    assert alias.asname == alias.name
                    home = importlib.import_module(str(named.module))
                    assert getattr(dachi_fast, alias.name) is getattr(home, alias.name)
                    if ast.unparse(node.test) == "_typing.TYPE_CHECKING":
                        late.add((alias.name, str(named.module)))
        elif isinstance(node, ast.ImportFrom):
            assert node.module in {"importlib", "importlib.util"}
        elif isinstance(node, ast.Import):
            assert [alias.name for alias in node.names] == ["typing"]
        elif isinstance(node, ast.FunctionDef):
            assert node.name in {"__getattr__", "__dir__"}
        else:
            assert ast.unparse(node).startswith("_LATE = ")
    assert late == {(name, f"dachi_fast.{home}") for name, home in dachi_fast._LATE.items()}
    assert set(dir(dachi_fast)) >= dachi_fast._LATE.keys()


def test_any_part_brings_all_kinds_of_the_package() -> None:
    found = _printed(
        "import dachi_fast.store, dachi_fast.spec as s; print(*s.registry.list_entries())"
    )
    assert {"Sequence", "ModuleList", "AdaptModule"} <= set(found)


def test_what_is_slow_to_import_is_imported_when_it_is_used() -> None:
    # asyncio, and the first pydantic class of a process, take longer than all else together.
    found = _printed("import numpy, pydantic, dachi_fast, sys; print(*sys.modules)")
    assert {"asyncio", "dachi_fast.spec._spec", "dachi_fast.store"}.isdisjoint(found)
    found = _printed("import numpy, pydantic, dachi_fast.store, sys; print(*sys.modules)")
    assert {"asyncio", "concurrent.futures", "dachi_fast.spec._spec"}.isdisjoint(found)


def test_a_save_and_its_load_make_no_class_of_pydantics(tmp_path: Path) -> None:
    code = f"""
import sys
from dachi_fast import Attr, BaseModule, KeyFile, Param, Store
class Agent(BaseModule):
    style: str = Param(default="calm")
    parts: list[BaseModule] = Param(default_factory=list)
    seen: dict[str, int] = Attr(default_factory=dict)
with Store.open({str(tmp_path / "store")!r}, keys=KeyFile({str(tmp_path / "key")!r})) as store:
    store.save(Agent(parts=[Agent()]), "agent")
    store.load("agent")
print(*sys.modules)
"""
    assert "dachi_fast.spec._spec" not in _printed(code)


def test_nothing_in_the_package_can_run_what_it_reads() -> None:
    unsafe_modules = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    unsafe_calls = {"eval", "exec", "compile", "__import__"}
    wrong = []
    for path in _python_files():
        where = path.relative_to(PACKAGE).as_posix()
        imported = {name.split(".")[0] for name in _imported(path)}
        wrong += [f"{where} imports {name}" for name in sorted(imported & unsafe_modules)]
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in unsafe_calls and (where, name) not in RUNS_SOURCE_OF_CLASSES:
                wrong.append(f"{where} names {name}")
    assert wrong == []


def _imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return names


def test_the_second_reader_needs_nothing_of_the_package_but_its_errors() -> None:
    missing = "import sys; sys.modules['dachi_fast._core'] = None; "
    found = _printed(missing + "import dachi_fast.reader.__main__; print(*sys.modules)")
    ours = {name for name in found if name.startswith("dachi_fast")}
    known = {"dachi_fast", "dachi_fast._core", "dachi_fast.errors", "dachi_fast.reader"}
    assert {name for name in ours if not name.startswith("dachi_fast.reader.")} == known
    assert {"numpy", "pydantic"}.isdisjoint(found)


def _printed(code: str) -> list[str]:
    """Runs code in a new process."""
    command = [sys.executable, "-c", code]
    # What is tested is not this folder's package, but the installed one.
    env = environment()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return done.stdout.split()
