"""The table of peers and services names every test of this folder."""

from __future__ import annotations

from tests.interop.table import TABLE, written


def test_every_test_stands_in_one_row() -> None:
    named = [name for tried in TABLE for name in tried.tests]
    assert len(named) == len(set(named))
    assert set(named) == written() - {"test_every_test_stands_in_one_row"}
