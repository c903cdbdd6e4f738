"""What a spreadsheet is given, cell by cell."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.flows.exporting import _line, escaped, unescaped

CELLS = st.text(st.sampled_from("'=;,|+-@ \t\r\n\"aÄ＝\\^"), max_size=12)


@pytest.mark.parametrize(
    "said",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", '"=1', "\n=1", "＝1", "'=1", "a;=1"],
)
def test_nothing_that_was_typed_is_a_formula(said: str) -> None:
    """
    What a spreadsheet could take for a formula, also behind the separator of another
    country, begins with an apostrophe.
    """
    cell = escaped(said)
    for separator in ";|\t\r\n,":
        for part in cell.split(separator):
            bare = part.lstrip(' "')
            assert not bare or bare[0] not in "=+-@＝＋－＠", (said, cell)


@pytest.mark.parametrize("said", ["DOE^JANE", "1.2.840.10008", "100", "A'B", "a=b", ""])
def test_ordinary_values_stand_as_they_are(said: str) -> None:
    """
    A value that no spreadsheet takes for a formula is not touched.
    """
    assert escaped(said) == said


@given(CELLS)
def test_escaping_is_undone_exactly(said: str) -> None:
    """
    Whoever takes the apostrophes away again has the value.
    """
    assert unescaped(escaped(said)) == said


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_a_line_is_read_by_any_reader(cells: list[str]) -> None:
    """
    Quotes, separators and line breaks in a value do not end its cell.
    """
    (read,) = csv.reader(io.StringIO(_line(tuple(cells)), newline=""), strict=True)
    assert [unescaped(cell) for cell in read] == cells
