"""What is done without anybody's asking: telling people, and a hunt at night.

It has no door: it is ready when it has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from reconcile.cli import nightly
from reconcile.cli.wiring import Parts, now
from reconcile.cli.work import Work
from reconcile.db.commitments import COMMITMENT
from reconcile.errors import ServiceUnavailable
from reconcile.flows.notify import AVAILABILITY, Notice, NotifyFlow, Target
from reconcile.settings import Settings
from reconcile.settings.model import Destination, Notify

#: Between two looks: one question, where there is nothing to do.
SECONDS = 5.0

log = logging.getLogger(__name__)


def run(work: Work) -> None:
    """Tell what there is to tell until the work is to stop."""
    flow = notifying(work.parts)
    started = _in_reach(flow.start)
    nightly.begin(work.parts, work.stop)
    work.say_ready()
    if not flow.targets:
        while not (started or work.stop.wait(SECONDS)):
            started = _in_reach(flow.start)
        work.stop.wait()
        return
    more = started
    while not work.stop.wait(0 if more else SECONDS):
        started = started or _in_reach(flow.start)
        more = started and _in_reach(partial(flow.round, work.stop))


def _in_reach(step: Callable[[], bool | None]) -> bool:
    """What a step answers, nothing being yes; no, while the database is away."""
    try:
        return step() is not False
    except ServiceUnavailable as error:
        log.warning("nobody is told now: %s", error)
        return False


def notifying(parts: Parts) -> NotifyFlow:
    """What tells people and systems, over the addresses of the configuration."""
    settings = parts.settings
    named = [_notified(settings, each) for each in settings.notify]
    peers = [_peer(settings, each) for each in settings.destination]
    quiet = timedelta(seconds=settings.serve.quiet)
    return NotifyFlow(
        parts.database, [*named, *peers], now, quiet, settings.serve.public_url
    )


def _notified(settings: Settings, said: Notify) -> Target:
    from reconcile.web.mail import Server, mail
    from reconcile.web.webhook import webhook

    if said.url:
        send = webhook(said.url, said.secret_file)
    else:
        send = mail(Server(**settings.mail.model_dump()), said.mail)
    after, repeat = (timedelta(minutes=each) for each in (said.after, said.repeat))
    return Target(said.name, frozenset(said.on), send, said.codes, after, repeat)


def _peer(settings: Settings, said: Destination) -> Target:
    """What a destination is told: of commitments that it asks for, of what it can have."""

    def send(notice: Notice) -> None:
        # Only who tells a peer waits for the library, and has it in memory.
        from reconcile.dicom.availability import availability
        from reconcile.dicom.library import configure_pynetdicom
        from reconcile.dicom.reporting import reporting

        configure_pynetdicom()
        titles = {"called": said.ae_title, "calling": settings.archive.ae_title}
        if notice.answered is not None:
            reporting(said.host, said.port, **titles)(notice.answered)
            return
        uid_root = settings.archive.uid_root
        availability(said.host, said.port, **titles, uid_root=uid_root)(notice)

    told = {COMMITMENT, AVAILABILITY} if said.availability else {COMMITMENT}
    return Target(said.ae_title, frozenset(told), send)
