"""`reconcile what-if`: another configuration, tried on what came lately."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from reconcile.cli import wiring
from reconcile.cli.context import FINDING, AsJson, Config, Data, opened, say_json
from reconcile.cli.work_hl7 import hl7_door
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.what_if import Difference, Setting, Tried, Verdict, WhatIf
from reconcile.settings import Settings, load

_EVERY = 200


def what_if(
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="What is to be tried.")],
    days: Annotated[int, typer.Option(min=1, help="How far back.")] = 7,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell what another configuration would decide otherwise; nothing is changed.

    --config is the one in force. Exits 1 where something differs.
    """
    tried, outcomes = Tried(), Counter[str]()
    with opened(config, data) as archive:
        before = archive.parts.settings
        after = load(new, data or before.data_dir, os.environ)
        for line in changed(before, after):
            typer.echo(f"changed: {line}", err=as_json)
        parts = archive.parts
        other = wiring.Parts(after, parts.database, parts.storage, wiring.rules(after))
        flow = WhatIf(archive.database, _setting(parts), _setting(other), _progress)
        for each in flow.differences(wiring.now() - timedelta(days=days), tried):
            outcomes[f"{each.was.outcome} -> {each.would_be.outcome}"] += 1
            say_json(each) if as_json else _say(each)
    typer.echo(_sum(tried, outcomes), err=as_json)
    if tried.differ:
        raise typer.Exit(FINDING)


def _setting(parts: wiring.Parts) -> Setting:
    recording = parts.store("what-if").recording
    kept = KeptArrivals(recording, wiring.sources(parts.settings))
    return Setting(kept, hl7_door(parts).again)


def changed(before: Settings, after: Settings) -> Iterator[str]:
    """Keys that decisions depend on and that differ, such as `domain A gate`."""
    for table in ("archive", "holds", "rejection", "domain", "source", "feed"):
        was, now = (_rows(getattr(each, table)) for each in (before, after))
        for name in sorted({*was, *now}):
            one, other = was.get(name, {}), now.get(name, {})
            for key in sorted({*one, *other}):
                if one.get(key) != other.get(key):
                    where = " ".join(filter(None, (table, name, key)))
                    yield f"{where}: {one.get(key)!r} -> {other.get(key)!r}"


def _rows(said: Any) -> dict[str, dict[str, Any]]:
    """Rows of a table of the configuration, by what they are called."""
    if not isinstance(said, tuple):
        return {"": said.model_dump(mode="json")}
    found = [each.model_dump(mode="json") for each in said]
    names = ("name", "ae_title", "application", "facility")
    return {" ".join(str(r[n]) for n in names if r.get(n)): r for r in found}


def _progress(tried: Tried) -> None:
    done = tried.series + tried.messages
    if done % _EVERY == 0:
        typer.echo(f"{done} tried, {tried.differ} differ", err=True)


def _say(found: Difference) -> None:
    what = f"message {found.message_id}"
    if found.study_instance_uid:
        what = f"study {found.study_instance_uid} series {found.series_instance_uid}"
    typer.echo(what)
    for title, verdict in (("was", found.was), ("would be", found.would_be)):
        typer.echo(f"  {title}: {_verdict(verdict)}")
        for sentence in verdict.why:
            typer.echo(f"    {sentence}")


def _verdict(said: Verdict) -> str:
    whose = f" of {', '.join(said.patient)}" if said.patient else ""
    flagged = f", flagged {', '.join(said.reviews)}" if said.reviews else ""
    return f"{said.outcome}{whose}{flagged}"


def _sum(tried: Tried, outcomes: Counter[str]) -> str:
    counts = ", ".join(f"{n} {what}" for what, n in outcomes.most_common())
    unread = f", {tried.unread} headers could not be read" if tried.unread else ""
    told = f"{tried.series} series and {tried.messages} messages tried"
    return f"{told}, {tried.differ} differ{f': {counts}' if counts else ''}{unread}"
