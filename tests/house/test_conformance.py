"""The tables of the conformance statements are made from the code, and are not stale."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconcile.cli.conformance_ihe import ACTORS, CLAIMED, IN_PART, NOT, TRANSACTIONS
from reconcile.cli.conformance_tables import TABLES, page
from reconcile.cli.main import app

PAGE = Path(__file__).parents[2] / "docs/conformance/tables.md"


def test_the_page_is_what_the_command_prints() -> None:
    """
    Stale: `reconcile conformance` goes below the introduction of the page.
    """
    printed = CliRunner().invoke(app, ["conformance"])
    assert printed.exit_code == 0, printed.output
    text = PAGE.read_text(encoding="utf-8")
    assert text[text.index("\n## ") + 1 :] == printed.stdout == page(list(TABLES))


@pytest.mark.parametrize("name", ["hl7.md", "ihe.md"])
def test_tables_inside_of_a_statement_are_what_is_printed(name: str) -> None:
    """
    Between `<!-- NAME -->` and `<!-- end -->` stands what the command prints of NAME.
    """
    known = {table.name: table for table in TABLES}
    text = (PAGE.parent / name).read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- ([a-z0-9-]+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert blocks
    for table, said in blocks:
        _, _, rows = page([known[table]]).partition("\n\n")
        assert said.strip() == rows.strip(), table


def test_what_is_claimed_of_ihe_is_shown() -> None:
    """
    Every test that a transaction names is there, and every claimed actor has its rows.
    """
    root = PAGE.parents[2]
    shown = {name for each in TRANSACTIONS for name in each.tests}
    assert [name for name in shown if not (root / name).is_file()] == []
    assert {each.claim for each in ACTORS} == {CLAIMED, IN_PART, NOT}
    assert all(each.said for each in ACTORS if each.claim != NOT)


def test_one_table_and_rows_for_programs() -> None:
    """
    By name; one JSON object a line; a name that is none is told.
    """
    run = CliRunner().invoke
    rows = run(app, ["conformance", "hl7-messages", "--json"]).stdout.splitlines()
    assert {
        "table": "hl7-messages",
        "message": "ADT^A40",
        "what becomes of it": "taken",
    } in map(json.loads, rows)
    assert run(app, ["conformance", "nothing"]).exit_code == 2
