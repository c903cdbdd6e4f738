"""`reconcile audit statistics`, `hold statistics`: counts for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from reconcile.cli.audit import app as audit
from reconcile.cli.context import AsJson, Config, Data, nothing_found, opened, say_json
from reconcile.cli.holds import app as hold
from reconcile.flows import statistics

Since = Annotated[str, typer.Option("--from", help="Time, inclusive.")]
Until = Annotated[str, typer.Option("--to", help="Time, exclusive.")]


def _now() -> datetime:
    return datetime.now(UTC)


@audit.command("statistics")
def count_coercions(
    by: Annotated[
        list[str] | None,
        typer.Option(help="source, rule, cause, week, attribute; several times."),
    ] = None,
    since: Since = "",
    until: Until = "",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Count coercions of the last 90 days, or between two times."""
    said = {"from": since, "to": until}
    with opened(config, data) as archive, archive.database.read_only() as connection:
        _say(statistics.coerced(connection, by or ["source"], said, _now()), as_json)


@hold.command("statistics")
def count_holds(
    by: Annotated[
        list[str] | None, typer.Option(help="kind, code, source, age; several times.")
    ] = None,
    since: Since = "",
    until: Until = "",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Count what waits for a person, and what did."""
    said = {"from": since, "to": until}
    with opened(config, data) as archive, archive.database.read_only() as connection:
        _say(statistics.held(connection, by or ["code"], said, _now()), as_json)


def _say(rows: Sequence[Any], as_json: bool) -> None:
    for row in rows:
        say_json(row) if as_json else typer.echo(_line(row))
    if not rows:
        raise nothing_found("there is nothing to be counted")


def _line(row: Any) -> str:
    """Names that were asked for, then counts that are not zero."""
    said = {field.name: getattr(row, field.name) for field in fields(row)}
    keys = [str(v) or "-" for v in said.values() if not isinstance(v, int | float)]
    counts = [f"{n} {v}" for n, v in said.items() if isinstance(v, int | float)]
    return "  ".join([*(k for k in keys if k != "None"), *counts])
