"""`reconcile check`: the independent checker, over stored instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from reconcile.cli.context import AsJson, Config, Data, opened, say_json
from reconcile.flows.check import CheckFlow, Verdict

Uids = Annotated[list[str] | None, typer.Argument(metavar="[UID]...")]


def check(
    uids: Uids = None, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Check that received, given out and events of instances explain each other.

    UIDs are of studies, series or instances, received or assigned; none: everything.
    """
    wrong = total = 0
    with opened(config, data) as archive:
        flow = CheckFlow(archive.database, archive.parts.storage)
        for verdict in _verdicts(flow, uids or [""]):
            total += 1
            wrong += not verdict.ok
            if as_json:
                say_json(verdict)
            elif not verdict.ok:
                typer.echo(_told(verdict))
    if not as_json:
        typer.echo(f"{total} instances checked, {wrong} not explained")
    if wrong:
        raise typer.Exit(1)


def _verdicts(flow: CheckFlow, uids: list[str]) -> Iterator[Verdict]:
    for uid in uids:
        yield from flow.instances(uid)


def _told(verdict: Verdict) -> str:
    rows = [f"{verdict.sop_instance_uid}  in study {verdict.study_instance_uid}"]
    rows += [f"  {f.code:<12}{f.attribute}: {f.message}" for f in verdict.findings]
    return "\n".join(rows)
