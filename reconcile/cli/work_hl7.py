"""The HL7 door over the flows of a message."""

from __future__ import annotations

import asyncio
import secrets
from zoneinfo import ZoneInfo

from reconcile.cli.tls import tls_context
from reconcile.cli.wiring import Parts, now
from reconcile.cli.work import Work
from reconcile.core.facts import Feed
from reconcile.core.merge import IdentityCommand
from reconcile.flows.message import MessageFlow, Outcome, Received
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.hl7.door import UNSUPPORTED, Door
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


class NotYet:
    """Refuses and lists what a message says of who is who: no flow acts on it here."""

    def __init__(self, messages: MessageFlow) -> None:
        self._messages = messages

    def apply(self, message: Received, command: IdentityCommand) -> Outcome:
        """AR, ERR-3 201, and an item for a person."""
        return self._messages.refuse(message, "UNSUPPORTED", UNSUPPORTED)


def hl7_door(parts: Parts) -> Door:
    """What answers a message."""
    flow = MessageFlow(parts.database, parts.rules, now)
    patients = PatientFlow(flow)
    return Door(
        [feed(each) for each in parts.settings.feed],
        flow,
        patients,
        OrderFlow(flow, patients),
        NotYet(flow),
        timezone=ZoneInfo(parts.settings.serve.timezone),
        clock=now,
        new_control_id=lambda: secrets.token_hex(10),
    )


def feed(said: object) -> Feed:
    """A [[feed]] as the core knows it."""
    return Feed(**{name: getattr(said, name) for name in Feed.__dataclass_fields__})
