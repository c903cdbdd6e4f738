"""No situation is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

from tests.scenarios.rows import ROWS, ROWS_COUNT

_TEST = re.compile(r"^def test_rows?_((?:\d\d_)+)", re.MULTILINE)


def run_here() -> set[int]:
    """The numbers of the rows that a test of this folder is named by."""
    found: set[int] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for numbers in _TEST.findall(path.read_text(encoding="utf-8")):
            found |= {int(number) for number in numbers.strip("_").split("_")}
    return found


def test_every_row_is_in_the_table() -> None:
    """All 88, each once, in order."""
    assert list(ROWS) == list(range(1, ROWS_COUNT + 1))


def test_every_row_is_run_or_says_what_it_waits_for() -> None:
    """A row that is shown as a whole has its test; one without says why."""
    waiting = {number for number, row in ROWS.items() if row.waits}
    assert set(ROWS) - waiting <= run_here()
    assert set(ROWS) - run_here() <= waiting


def test_every_test_is_of_a_row() -> None:
    """A number that is no row is a slip."""
    assert run_here() <= set(ROWS)
