"""`python -m tests.scenarios.table`: every situation, and what becomes of it, as a table.

The tests of this folder are run, through the doors of a running archive, and their
results are told by row. Exits 1 where a test failed. `--page` runs nothing and prints
docs/reference/scenarios.md.

    pass      its tests hold
    waits     for a door or a page that is not there yet; "pass, waits": in part
    FAIL      a test of it does not hold
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.scenarios.rows import ROWS, Row
from tests.support.verdicts import Verdicts

FOLDER = Path(__file__).parent
_TEST = re.compile(r"^def (test_rows?_((?:\d\d_)+)\w+)", re.MULTILINE)
_HEAD = """# The situations from practice, one by one

88 situations with the result that the archive must give. Each that needs no later door is
run through the doors of a running archive (C-STORE, HL7 over MLLP, the HTTP API, C-FIND,
QIDO-RS and retrieved instances): `make scenarios` runs them all and prints a verdict for
each. This page is made from the same list: `python -m tests.scenarios.table --page`.

| # | situation | tests | waits for |
|---|---|---|---|
"""


def named_by_row() -> dict[int, list[str]]:
    """The tests of this folder by the rows that they are named by."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for path in sorted(FOLDER.glob("test_*.py")):
        for name, numbers in _TEST.findall(path.read_text(encoding="utf-8")):
            for number in rows_of(numbers):
                found[number].append(name)
    return found


def rows_of(numbers: str) -> list[int]:
    """`67_68_` as numbers."""
    return [int(number) for number in numbers.strip("_").split("_")]


def page() -> str:
    """docs/reference/scenarios.md."""
    named = named_by_row()
    lines = (
        f"| {number} | {row.what}{_argued(row)} | {len(named.get(number, ())) or ''} "
        f"| {row.waits} |"
        for number, row in ROWS.items()
    )
    return _HEAD + "\n".join(lines) + "\n"


def _argued(row: Row) -> str:
    return f" ([argued](../adr/{row.argued}))" if row.argued else ""


def verdict(row: Row, names: Iterable[str], results: Mapping[str, str]) -> str:
    """What is said of a row, given what became of its tests."""
    told = {results.get(name, "not run") for name in names}
    if told & {"failed", "not run"}:
        return "FAIL"
    waits = f"waits for {row.waits}" if row.waits else ""
    if "skipped" in told:
        waits = waits or "waits for a door that is not there"
    said = ["pass"] if "passed" in told else []
    return ", ".join([*said, waits] if waits else said)


def main(arguments: list[str]) -> int:
    """Run the rows and print the table; 1 where one fails."""
    if arguments == ["--page"]:
        print(page(), end="")
        return 0
    heard = Verdicts()
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    code = pytest.main([str(FOLDER), *quiet, *arguments], plugins=[heard])
    named = named_by_row()
    verdicts = {n: verdict(row, named[n], heard.of) for n, row in ROWS.items()}
    print(f"\n{'row':>3}  {'situation':44}  verdict")
    for number, row in ROWS.items():
        print(f"{number:3}  {row.what:44}  {verdicts[number]}")
        for name in named[number]:
            if heard.of.get(name) != "passed":
                print(f"{'':5}{heard.of.get(name, 'not run'):8} {name}")
    of_rows = {name for names in named.values() for name in names}
    for name in sorted(set(heard.of) - of_rows):
        if heard.of[name] == "failed":
            print(f"{'':5}failed   {name}")
    _print_totals(verdicts.values())
    return 1 if code or "FAIL" in verdicts.values() else 0


def _print_totals(verdicts: Iterable[str]) -> None:
    told = list(verdicts)
    passed = sum(each == "pass" for each in told)
    partly = sum(each.startswith("pass,") for each in told)
    failed = told.count("FAIL")
    waiting = len(told) - passed - partly - failed
    print(f"\n{len(told)} rows: {passed} pass, {partly} pass and wait for more, ", end="")
    print(f"{waiting} wait, {failed} fail")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUTF8", "1")
    sys.exit(main(sys.argv[1:]))
