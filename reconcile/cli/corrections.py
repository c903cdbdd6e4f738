"""`reconcile patient merge ...`, `study assign ...`, `audit undo`: corrections by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconcile.cli import wiring
from reconcile.cli.audit import app as audit
from reconcile.cli.context import (
    FINDING,
    AsJson,
    Config,
    Data,
    Opened,
    opened,
    say_json,
)
from reconcile.cli.lookup import patient, study
from reconcile.db.taken import Doings
from reconcile.flows.attempt import Done
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.regroup import Regroup
from reconcile.flows.steward import By, Steward
from reconcile.flows.steward_patients import StewardPatients
from reconcile.flows.undo import Undo
from reconcile.flows.undo_many import TakenBack, UndoMany, doings_of

Cx = Annotated[str, typer.Argument(metavar="ID^^^DOMAIN")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
StudyUid = Annotated[str, typer.Argument(metavar="STUDY-UID")]
Order = Annotated[str, typer.Argument(metavar="ACCESSION|ID")]


def _kept(archive: Opened) -> KeptArrivals:
    parts = archive.parts
    return KeptArrivals(parts.store("resolve").recording, wiring.sources(parts.settings))


def _say(done: Done, as_json: bool) -> None:
    if as_json:
        say_json(done)
        return
    for effect in done.effects:
        typer.echo(effect)
    would = "would be " if done.dry_run else ""
    typer.echo(f"{len(done.events)} coercion events {would}written")
    for uid in done.studies:
        typer.echo(f"  study {uid}")


@patient.command("merge")
def merge(
    surviving: Cx,
    prior: Cx,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let two patients be one, known as the first; it can be taken back."""
    with opened(config, data) as archive:
        flow = StewardPatients(_kept(archive))
        _say(flow.merge(surviving, prior, By("local", reason, dry_run)), as_json)


@patient.command("unmerge")
def unmerge(
    surviving: Cx,
    prior: Cx,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take back that two patients are one: each has again what came under their IDs."""
    with opened(config, data) as archive:
        flow = StewardPatients(_kept(archive))
        _say(flow.unmerge(surviving, prior, By("local", reason, dry_run)), as_json)


@patient.command("protect")
def protect(
    patient_id: Annotated[str, typer.Argument(metavar="ID^^^DOMAIN")],
    reason: Reason,
    off: Annotated[bool, typer.Option("--off", help="Let all see them again.")] = False,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a patient be seen only by who may see protected ones."""
    with opened(config, data) as archive:
        flow = StewardPatients(_kept(archive))
        by = By("local", reason, dry_run)
        _say(flow.protect(patient_id, by, protected=not off), as_json)


@patient.command("move")
def move(
    identifier: Cx,
    to: Cx,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let an identifier, with all that came under it, be another patient's."""
    with opened(config, data) as archive:
        flow = StewardPatients(_kept(archive))
        _say(flow.move(identifier, to, By("local", reason, dry_run)), as_json)


@patient.command("not-same")
def not_same(
    one: Cx,
    other: Cx,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Keep two patients apart, whoever says otherwise, until it is taken back."""
    with opened(config, data) as archive:
        flow = StewardPatients(_kept(archive))
        _say(flow.not_same(one, other, By("local", reason, dry_run)), as_json)


@study.command("assign")
def assign(
    uid: StudyUid,
    to: Cx,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a study be a patient's, with what comes later under the same headers."""
    with opened(config, data) as archive:
        flow = Steward(_kept(archive))
        _say(flow.assign(uid, to, By("local", reason, dry_run)), as_json)


@study.command("link-order")
def link_order(
    uid: StudyUid,
    order: Order,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Link a study to an order of its patient."""
    with opened(config, data) as archive:
        flow = Steward(_kept(archive))
        _say(flow.link_order(uid, order, By("local", reason, dry_run)), as_json)


@study.command("unlink-order")
def unlink_order(
    uid: StudyUid,
    order: Order,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Link a study to an order no longer."""
    with opened(config, data) as archive:
        flow = Steward(_kept(archive))
        _say(flow.unlink_order(uid, order, By("local", reason, dry_run)), as_json)


@study.command("split")
def split(
    uid: StudyUid,
    series: Annotated[list[str], typer.Argument(metavar="SERIES-UID...")],
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let some series of a study be a study of their own, under a new UID."""
    with opened(config, data) as archive:
        flow = Regroup(_kept(archive))
        _say(flow.split(uid, series, By("local", reason, dry_run)), as_json)


@study.command("move-series")
def move_series(
    series: Annotated[str, typer.Argument(metavar="SERIES-UID")],
    to: StudyUid,
    reason: Reason,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Let a series be of another study."""
    with opened(config, data) as archive:
        flow = Regroup(_kept(archive))
        _say(flow.move(series, to, By("local", reason, dry_run)), as_json)


@audit.command("undo")
def undo(
    reason: Reason,
    event: Annotated[str, typer.Argument(metavar="[EVENT|HAPPENING]")] = "",
    rule: Annotated[str, typer.Option(help="All that this rule, or its rungs, did.")] = "",
    source: Annotated[str, typer.Option(help="All that came of this AE or sender.")] = "",
    actor: Annotated[str, typer.Option(help="All that they did.")] = "",
    since: Annotated[str, typer.Option("--from", help="Time, inclusive.")] = "",
    until: Annotated[str, typer.Option("--to", help="Time, exclusive.")] = "",
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take back a happening, or that of an event, with all that rests on it.

    Or what a rule, a source or a person did between two times, the newest first; asked
    again the same, it goes on where it was stopped. Exits 1 where something is left.
    """
    with opened(config, data) as archive:
        kept, by = _kept(archive), By("local", reason, dry_run)
        if event:
            _say(Undo(kept).happening(event, by), as_json)
            return
        doings = doings_of(rule, source, actor, since, until)
        done = _undo_all(UndoMany(kept), doings, by)
    _say_taken(done, as_json)
    if done.left:
        raise typer.Exit(FINDING)


def _undo_all(flow: UndoMany, doings: Doings, by: By) -> TakenBack:
    """Until there is no more; as one answer."""
    first = found = flow.of(doings, by, progress=_progress)
    happenings = found.happenings
    while found.more:
        found = flow.of(doings, by, progress=_progress)
        happenings += found.happenings
    return replace(first, happenings=happenings, left=found.left, more=0)


def _progress(done: int) -> None:
    if done % 100 == 0:
        typer.echo(f"{done} happenings taken back", err=True)


def _say_taken(done: TakenBack, as_json: bool) -> None:
    """Without values, unless as JSON: they are patient data."""
    if as_json:
        say_json(done)
        return
    would = "would be " if done.dry_run else ""
    typer.echo(f"{done.happenings} happenings {would}taken back, {done.along} with them")
    if done.happening is not None:
        typer.echo(f"under {done.happening}")
    for each in done.left:
        typer.echo(f"left: {each.cause} {each.happening}: {each.why}")
    typer.echo(f"{done.studies} studies {would}given out otherwise")
    for each_study in done.changes:
        changed = " ".join(each_study.attributes)
        uid = each_study.study_instance_uid or "-"
        typer.echo(f"  {uid}  {each_study.instances} instances  {changed}")
