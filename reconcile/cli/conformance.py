"""`reconcile conformance`: what is spoken, as tables."""

from __future__ import annotations

from typing import Annotated

import typer

from reconcile.cli.context import AsJson, reported, say_json
from reconcile.errors import WrongUse


def conformance(
    names: Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the tables of the conformance statements: Markdown, or one row a line."""
    from reconcile.cli.conformance_tables import TABLES, page  # loads every door

    known = {table.name: table for table in TABLES}
    with reported():
        for name in names or ():
            if name not in known:
                raise WrongUse(f"{name} is none of: {', '.join(known)}")
    chosen = [known[name] for name in names or known]
    if not as_json:
        typer.echo(page(chosen), nl=False)
        return
    for table in chosen:
        for row in table.rows():
            said = dict(zip(table.columns, row, strict=True))
            say_json({"table": table.name, **said})
