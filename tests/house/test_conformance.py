"""The tables of the conformance statements are made from the code, and are not stale."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

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
