"""The list of patients of a migration, row by row through the flow of HL7 messages."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from reconcile.cli.context import Opened, say_json
from reconcile.cli.listing import Reject, rejecting
from reconcile.cli.lists import Format, Row, Table, table
from reconcile.cli.work_hl7 import feed, hl7_door
from reconcile.core.facts import Feed
from reconcile.db.database import rehearse
from reconcile.errors import WrongUse
from reconcile.flows.outcome import Asked, Outcome
from reconcile.flows.replay import ReplayFlow
from reconcile.hl7.door import BEFORE, Door
from reconcile.hl7.patient_list import FIELDS, REQUIRED, BadRow, PatientList

#: What a row comes to that was not acted on; the command then exits 1.
NOT_TAKEN = frozenset({"held", "refused"})

#: Who has a row acted on again that was held or refused when it was imported before.
AGAIN = Asked("import", "imported again")

#: Makes the message of a row, of its line and its values.
Speak = Callable[[int, Mapping[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class Options:
    """What is said of a list of patients beside how it is written.

    Attributes:
        feed: MSH-3 of the [[feed]] that says it; empty: the only one there is.
        domain: of IDs that name none.
        dates: how dates are written, for `strptime`.
        drawn_at: when it was drawn, in ISO 8601; empty: when the file was written.
        dry_run: only what would be done is asked for.
    """

    feed: str = ""
    domain: str = ""
    dates: str = ""
    drawn_at: str = ""
    dry_run: bool = False


def import_patients(
    archive: Opened,
    path: Path,
    how: Format,
    options: Options,
    rejects: Path | None,
    *,
    as_json: bool,
) -> Counter[str]:
    """Let every row of a list be told as a message; how many became what.

    All patients first, then who was merged into whom: rows may stand in any order.

    Raises:
        WrongUse: the list or the options cannot be understood.
        ServiceUnavailable: the rest is done when it is run again.
    """
    listed = table(path, how, FIELDS, REQUIRED)
    makes = speaking(archive, path, options)
    if listed.unused:
        typer.echo(f"not read: {', '.join(listed.unused)}", err=True)
    door = hl7_door(archive.parts)
    taking = _Taking(archive, door, makes, options.dry_run, as_json)
    with rejecting(listed, rejects) as reject:
        return taking.all(listed, reject)


def speaking(archive: Opened, path: Path, options: Options) -> PatientList:
    """What makes messages of a list.

    Raises:
        WrongUse: it is not said who speaks, or when.
    """
    said_by = _feed(archive, options.feed)
    at = _drawn_at(path, options.drawn_at, archive.parts.settings.serve.timezone)
    return PatientList(path.name, said_by, at, options.domain, options.dates)


@dataclass(frozen=True, slots=True)
class _Taking:
    """One list on its way in."""

    archive: Opened
    door: Door
    makes: PatientList
    dry_run: bool
    as_json: bool

    def all(self, listed: Table, reject: Reject) -> Counter[str]:
        """Take all rows."""
        counted: Counter[str] = Counter()
        number_of, merges = _measure(listed)
        with _progress(listed.rows(), number_of, "patients") as rows:
            for row in rows:
                self._one(row, self.makes.patient, reject, counted)
        if merges:
            with _progress(_merged(listed), merges, "merges") as rows:
                for row in rows:
                    self._one(row, self.makes.merge, reject, counted)
        if not self.dry_run:
            ReplayFlow(self.archive.database, self.door.again).release()
        return counted

    def _one(
        self,
        row: Row,
        speak: Speak,
        reject: Reject,
        counted: Counter[str],
    ) -> None:
        try:
            if row.wrong:
                raise BadRow(row.wrong)
            outcome = self._take(speak(row.line, row.values))
            before = outcome.effects == BEFORE
            state, why = BEFORE[0] if before else outcome.state, why_not(outcome)
        except BadRow as error:
            state, why = "refused", str(error)
        counted[state] += 1
        if state in NOT_TAKEN:
            reject(row, why)
        if self.as_json:
            say_json({"line": row.line, "became": state, "why": why})

    def _take(self, message: bytes) -> Outcome:
        """Act on it, on one that was held or refused again: its cause may be mended."""
        parts = self.archive.parts
        if not self.dry_run:
            return self.door.take(message, AGAIN)
        return rehearse(
            parts.database,
            lambda database: hl7_door(replace(parts, database=database)).take(
                message, AGAIN
            ),
        )


def why_not(outcome: Outcome) -> str:
    """Why a message was not acted on, without anything that it says."""
    if outcome.state not in NOT_TAKEN:
        return ""
    text = outcome.fault.text if outcome.fault else ""
    if not outcome.code:
        return text
    return f"{outcome.code}: {text}" if text else f"waits for a person: {outcome.code}"


def _measure(listed: Table) -> tuple[int, int]:
    """How many rows there are, and how many of them tell of a merge."""
    rows = merges = 0
    for row in listed.rows():
        rows += 1
        merges += bool(row.values.get("merged_into"))
    return rows, merges


def _merged(listed: Table) -> Iterator[Row]:
    return (row for row in listed.rows() if row.values.get("merged_into"))


def _progress(
    rows: Iterable[Row], number_of: int, label: str
) -> AbstractContextManager[Iterable[Row]]:
    return typer.progressbar(rows, length=number_of, label=label, file=sys.stderr)


def _feed(archive: Opened, name: str) -> Feed:
    """Who says what a list says: it has no more authority than its feed."""
    feeds = [feed(each) for each in archive.parts.settings.feed]
    named = [each for each in feeds if not name or each.application == name]
    if len(named) == 1:
        return named[0]
    if name and not named:
        raise WrongUse(f"no [[feed]] is named {name}")
    if not named:
        raise WrongUse("a list speaks as a [[feed]]: configure one")
    raise WrongUse("say with --feed which [[feed]] the list speaks as")


def _drawn_at(path: Path, said: str, timezone: str) -> datetime:
    if not said:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise WrongUse("--drawn-at is a time such as 2026-03-01T08:00") from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(timezone))
