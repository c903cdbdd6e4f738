"""Look first, then do: a correction is shown as it would be done before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Form, Request
from starlette.responses import Response

from reconcile.errors import ReconcileError
from reconcile.flows.attempt import Done
from reconcile.flows.steward import By
from reconcile.web.masking import Mask
from reconcile.web.pages.rendering import go, page
from reconcile.web.parts import Asking, Parts

#: Events that the page of a plan shows; it says how many there are.
EVENTS_MAX = 50

Step = Annotated[Literal["look", "do"], Form()]
Reason = Annotated[str, Form(max_length=1000)]
Said = Annotated[str, Form(max_length=512)]


@dataclass(frozen=True, slots=True)
class Plan:
    """A correction that somebody has in mind.

    Attributes:
        title: in words: "Assign the study to 100^^^A".
        back: where it was thought of.
        fields: of the form, so that it can be sent again as it is.
    """

    title: str
    back: str
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def planned(
    request: Request,
    parts: Parts,
    asking: Asking,
    mask: Mask,
    plan: Plan,
    reason: str,
    step: str,
    act: Callable[[By], Done],
) -> Response:
    """Show what a correction would change; or do it, and show what it has changed."""
    do = step == "do"
    try:
        done = act(By(asking.name, reason, dry_run=not do))
    except ReconcileError as fault:
        return _shown(request, parts, mask, plan, reason, None, fault)
    if do:
        return go(f"/happenings/{done.happening}", done="1", back=plan.back)
    return _shown(request, parts, mask, plan, reason, done, None)


def _shown(
    request: Request,
    parts: Parts,
    mask: Mask,
    plan: Plan,
    reason: str,
    done: Done | None,
    fault: ReconcileError | None,
) -> Response:
    with parts.database.read_only() as connection:
        events = mask.events(connection, done.events[:EVENTS_MAX] if done else ())
    return page(
        request,
        "planned.html",
        parts.clock(),
        status=fault.http_status if fault else 200,
        plan=plan,
        reason=reason,
        done=done,
        events=events,
        fault=fault,
    )
