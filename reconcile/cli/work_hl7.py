"""The HL7 door over the flows of a message."""

from __future__ import annotations

import asyncio
import secrets
from zoneinfo import ZoneInfo

from reconcile.cli.tls import tls_context
from reconcile.cli.wiring import Parts, now, sources
from reconcile.cli.work import Work
from reconcile.core.facts import Feed
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.merge import MergeFlow
from reconcile.flows.message import MessageFlow
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.hl7.door import Door
from reconcile.hl7.server import serve


def run(work: Work) -> None:
    """Answer messages until the work is to stop."""
    asyncio.run(_serve(work))


async def _serve(work: Work) -> None:
    settings = work.parts.settings
    door, ended = hl7_door(work.parts), asyncio.Event()
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
    await asyncio.to_thread(work.stop.wait)
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
    )


def feed(said: object) -> Feed:
    """A [[feed]] as the core knows it."""
    return Feed(**{name: getattr(said, name) for name in Feed.__dataclass_fields__})
