"""No situation is forgotten."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.rows import ROWS, ROWS_COUNT
from tests.scenarios.table import named_by_row, page, verdict

DOCS = Path(__file__).parents[2] / "docs"


def test_every_row_is_in_the_table() -> None:
    """All 88, each once, in order."""
    assert list(ROWS) == list(range(1, ROWS_COUNT + 1))


def test_every_row_is_run_or_says_what_it_waits_for() -> None:
    """A row that is shown as a whole has its test; one without says why."""
    run_here = set(named_by_row())
    waiting = {number for number, row in ROWS.items() if row.waits}
    assert set(ROWS) - waiting <= run_here
    assert set(ROWS) - run_here <= waiting


def test_every_test_is_of_a_row() -> None:
    """A number that is no row is a slip."""
    assert set(named_by_row()) <= set(ROWS)


def test_the_page_is_made_of_the_rows() -> None:
    """And a deviation names a decision that is there."""
    assert (DOCS / "reference" / "scenarios.md").read_text(encoding="utf-8") == page()
    for row in ROWS.values():
        assert not row.argued or (DOCS / "adr" / row.argued).is_file()


def test_a_verdict_is_what_became_of_the_tests() -> None:
    """One failure fails the row; a skipped test is not passed over."""
    done, later = ROWS[1], ROWS[62]
    assert verdict(done, ["a", "b"], {"a": "passed", "b": "passed"}) == "pass"
    assert verdict(done, ["a", "b"], {"a": "passed", "b": "failed"}) == "FAIL"
    assert verdict(done, ["a"], {}) == "FAIL"
    assert verdict(done, ["a", "b"], {"a": "passed", "b": "skipped"}).startswith("pass, w")
    assert verdict(later, [], {}) == f"waits for {later.waits}"
