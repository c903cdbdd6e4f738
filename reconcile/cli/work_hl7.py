"""The HL7 door over the flows of a message."""

from __future__ import annotations

import asyncio
import logging
import secrets
from zoneinfo import ZoneInfo

from reconcile.cli.tls import tls_context
from reconcile.cli.wiring import Parts, now, sources
from reconcile.cli.work import Work
from reconcile.core.facts import Feed
from reconcile.errors import ServiceUnavailable
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.merge import MergeFlow
from reconcile.flows.message import MessageFlow
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.flows.replay import ReplayFlow
from reconcile.hl7.door import Door
from reconcile.hl7.feed import Bound
from reconcile.hl7.server import serve

log = logging.getLogger(__name__)

#: How often messages are looked for whose waiting another process has ended, and died.
RELEASE_SECONDS = 30


def run(work: Work) -> None:
    """Act on what a crash left behind, and answer messages until the work is to stop."""
    door = hl7_door(work.parts)
    _sweep(ReplayFlow(work.parts.database, door.again))
    asyncio.run(_serve(work, door))


def _sweep(flow: ReplayFlow) -> None:
    try:
        done = flow.sweep()
    except ServiceUnavailable as error:
        log.warning("messages that were left behind are not acted on yet: %s", error)
    else:
        if done:
            log.info("messages that were left behind: %d acted on", done)


def _wait(work: Work, flow: ReplayFlow) -> None:
    while not work.stop.wait(RELEASE_SECONDS):
        flow.release_after()


async def _serve(work: Work, door: Door) -> None:
    settings, ended = work.parts.settings, asyncio.Event()
    flow = ReplayFlow(work.parts.database, door.again)
    doors = [
        serve(
            [opened],
            door.handle,
            stop=ended,
            refuse=door.refuse,
            ssl=tls_context(settings, name),
            message_bytes_max=settings.limits.message_bytes,
            connections_max=settings.limits.max_hl7_connections,
        )
        for name, opened in work.sockets.items()
    ]
    running = asyncio.gather(*doors)
    work.say_ready()
    await asyncio.to_thread(_wait, work, flow)
    ended.set()
    await running


def hl7_door(parts: Parts) -> Door:
    """What answers a message."""
    kept = KeptArrivals(parts.store().recording, sources(parts.settings))
    flow = MessageFlow(parts.database, parts.rules, now, kept)
    patients = PatientFlow(flow)
    return Door(
        [feed(each) for each in parts.settings.feed],
        flow,
        patients,
        OrderFlow(flow, patients),
        MergeFlow(flow, patients),
        timezone=ZoneInfo(parts.settings.serve.timezone),
        clock=now,
        new_control_id=lambda: secrets.token_hex(10),
        bound={
            feed(each): Bound(each.address, each.certificate)
            for each in parts.settings.feed
        },
    )


def feed(said: object) -> Feed:
    """A [[feed]] as the core knows it."""
    return Feed(**{name: getattr(said, name) for name in Feed.__dataclass_fields__})
