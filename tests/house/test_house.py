"""The rules of the house, as tests: style, types, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent

LINES_OF_A_MODULE_MAX = 400
# A module of nothing but tables is read as a table, not as a text.
LINES_OF_TABLES_MAX = 560
LINES_OF_A_FUNCTION_MAX = 50

MODULES = sorted((ROOT / "reconcile").rglob("*.py"))


def run(*command: str) -> None:
    done = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache"),
        ("ruff", "format", "--check", "--no-cache"),
        ("mypy", "--cache-dir=/dev/null"),
        ("lint-imports", "--no-cache"),
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_tool_finds_nothing(command: tuple[str, ...]) -> None:
    """Style, types, and imports that go downwards only."""
    run(*command)


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_core_knows_the_standard_library_only() -> None:
    """What decides needs no data set, no database and no network to be tested."""
    found = {
        name
        for module in (ROOT / "reconcile" / "core").rglob("*.py")
        for name in imports(module)
        if name.split(".")[0] not in sys.stdlib_module_names
    }
    allowed = ("reconcile.core", "reconcile.errors")
    assert {name for name in found if not name.startswith(allowed)} == set()


def test_revisions_import_nothing_of_ours() -> None:
    """A revision says for ever what it said on the day it was written."""
    revisions = (ROOT / "migrations" / "versions").glob("*.py")
    found = {name for each in revisions for name in imports(each)}
    assert {name for name in found if name.startswith("reconcile")} == set()


#: What a process makes for itself; its parent has loaded the module (docs/adr/0035).
OF_A_PROCESS = {"getpid", "urandom", "token_hex", "token_bytes", "token_urlsafe", "uuid4"}
OF_A_PROCESS |= {"randbits", "random", "randint", "uuid7", "Thread", "Timer", "start"}


def calls_while_loaded(node: ast.AST) -> Iterator[str]:
    """The last names of functions that are called when a module is loaded."""
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for below in ast.iter_child_nodes(node):
        if isinstance(below, later):
            continue
        if isinstance(below, ast.Call):
            called = below.func
            yield (
                called.attr
                if isinstance(called, ast.Attribute)
                else getattr(called, "id", "")
            )
        yield from calls_while_loaded(below)


def test_nothing_of_one_process_is_made_while_a_module_is_loaded() -> None:
    """All processes would have it: names of runs, random numbers, threads."""
    found = {
        (module.name, name)
        for module in MODULES
        for name in calls_while_loaded(ast.parse(module.read_text(encoding="utf-8")))
        if name in OF_A_PROCESS
    }
    assert found == set()
    old = ast.parse("_RUN = f'decide/{secrets.token_hex(4)}'")
    assert list(calls_while_loaded(old)) == ["token_hex"]


@pytest.mark.parametrize("module", MODULES, ids=lambda each: str(each.relative_to(ROOT)))
def test_modules_are_short_and_say_what_for(module: Path) -> None:
    """A module opens with what it is for, and fits into a head."""
    text = module.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "what is it for?"
    most = LINES_OF_TABLES_MAX if module.name == "tables.py" else LINES_OF_A_MODULE_MAX
    assert len(text.splitlines()) <= most
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, functions) and length(node) > LINES_OF_A_FUNCTION_MAX
    ]
    assert long == []


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    said = ast.get_docstring(function, clean=False)
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    return lines - (said.count("\n") + 1 if said else 0)
