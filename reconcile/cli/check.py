"""`reconcile check`: the independent checker, over what is stored and what it refers to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from reconcile.cli.context import AsJson, Config, Data, opened, say_json
from reconcile.errors import WrongUse
from reconcile.flows.check import CheckFlow, Verdict
from reconcile.flows.dangling import Dangling, dangling

Uids = Annotated[list[str] | None, typer.Argument(metavar="[UID]...")]


def check(
    uids: Uids = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    references: Annotated[
        bool, typer.Option(help="Check what instances refer to instead.")
    ] = False,
    closed: Annotated[
        bool, typer.Option(help="With --references: all of it must be here.")
    ] = False,
) -> None:
    """Check that received, given out and events of instances explain each other.

    UIDs are of studies, series or instances, received or assigned; none: everything.
    With --references: that what they refer to is given out under the UIDs that they use.
    """
    if closed and not references:
        raise WrongUse("--closed goes with --references")
    with opened(config, data) as archive:
        flow = CheckFlow(archive.database, archive.parts.storage)
        if references:
            _references(flow, uids or [""], closed, as_json)
        else:
            _explanations(flow, uids or [""], as_json)


def _explanations(flow: CheckFlow, uids: list[str], as_json: bool) -> None:
    wrong = total = 0
    for verdict in _told_each((v for uid in uids for v in flow.instances(uid)), as_json):
        total += 1
        wrong += not verdict.ok
    if not as_json:
        typer.echo(f"{total} instances checked, {wrong} not explained")
    if wrong:
        raise typer.Exit(1)


def _references(flow: CheckFlow, uids: list[str], closed: bool, as_json: bool) -> None:
    wrong = total = named = absent = 0
    each = (found for uid in uids for found in dangling(flow, uid, closed=closed))
    for found in _told_each(each, as_json):
        total += 1
        wrong += not found.ok
        named += found.references
        absent += found.absent
    if not as_json:
        typer.echo(
            f"{total} instances checked, {named} references, {absent} to what is not here;"
            f" {wrong} instances with findings"
        )
    if wrong:
        raise typer.Exit(1)


T = TypeVar("T", Verdict, Dangling)


def _told_each(found: Iterable[T], as_json: bool) -> Iterator[T]:
    """Each as it is told: in JSON all, else those in which something was found."""
    for each in found:
        if as_json:
            say_json(each)
        elif not each.ok:
            typer.echo(_told(each))
        yield each


def _told(verdict: Verdict | Dangling) -> str:
    rows = [f"{verdict.sop_instance_uid}  in study {verdict.study_instance_uid}"]
    rows += [f"  {f.code:<12}{f.attribute}: {f.message}" for f in verdict.findings]
    return "\n".join(rows)
