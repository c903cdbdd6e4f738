"""`reconcile doctor`: look for everything that can be wrong, and say what to do."""

from __future__ import annotations

import typer

from reconcile.cli.context import FINDING, AsJson, Config, Data, Opened, opened, say_json
from reconcile.cli.wiring import now
from reconcile.db import migrate, views_checks
from reconcile.flows.doctor import Doctor, Finding


def doctor(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Look for everything that can be wrong. Exits 1 when something is."""
    wrong = 0
    with opened(config, data) as archive:
        for finding in _findings(archive):
            wrong += 1
            say_json(finding) if as_json else typer.echo(_line(finding))
        if not as_json:
            _summary(archive, wrong)
    if wrong:
        raise typer.Exit(FINDING)


def _findings(archive: Opened) -> list[Finding]:
    advice = "run `reconcile db upgrade`"
    schema = [Finding("schema", what, advice) for what in migrate.check(archive.urls.owner)]
    if schema:
        return schema
    roles = []
    if not archive.database.run(views_checks.history_is_guarded):
        advice = "give the writer a role of its own: then the history is guarded by grants"
        roles = [Finding("one-role", "one URL for all: only triggers guard it", advice)]
    parts = archive.parts
    reports = bool(parts.settings.audit.repository)
    doctor = Doctor(parts.database, parts.storage, now, reports=reports)
    return [*roles, *doctor.findings()]


def _line(finding: Finding) -> str:
    return f"{finding.code}: {finding.subject}\n  {finding.advice}"


def _summary(archive: Opened, wrong: int) -> None:
    with archive.database.read_only() as connection:
        counts = views_checks.counts(connection)
        items = views_checks.open_items(connection)
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
    for each in items:
        typer.echo(f"open {each.kind} {each.code}: {each.count}")
    typer.echo("nothing is wrong" if not wrong else f"{wrong} findings")
