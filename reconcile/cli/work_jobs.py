"""What is done without anybody's asking: telling people, sending on, a hunt at night.

It has no door: it is ready when it has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event

from reconcile.cli import nightly
from reconcile.cli.wiring import Parts, now
from reconcile.cli.work import Work
from reconcile.db.commitments import COMMITMENT
from reconcile.db.outgoing import Wanted
from reconcile.errors import ServiceUnavailable
from reconcile.flows.auditing import AuditFlow
from reconcile.flows.forward import ForwardFlow, OnCorrection, Recipient
from reconcile.flows.notify import AVAILABILITY, Notice, NotifyFlow, Target
from reconcile.settings import Settings
from reconcile.settings.model import Destination, Notify

#: Between two looks: one question or two, where there is nothing to do.
SECONDS = 5.0
SECONDS_OF_SENDING = 2.0

log = logging.getLogger(__name__)


def run(work: Work) -> None:
    """Tell and send on what there is until the work is to stop."""
    flow, sending = notifying(work.parts), forwarding(work.parts)
    started = _in_reach(flow.start)
    nightly.begin(work.parts, work.stop)
    work.say_ready()
    with ThreadPoolExecutor(2) as pool:
        beside = [
            pool.submit(_send_on, sending, work.stop),
            pool.submit(_report, auditing(work.parts), work.stop),
        ]
        _tell(flow, work.stop, beside, started=started)
        if any(each.done() and each.exception() for each in beside):
            work.stop.set()  # what still runs ends, and the process is started anew
        for each in beside:
            each.result()


def _tell(
    flow: NotifyFlow, stop: Event, beside: Sequence[Future[None]], *, started: bool
) -> None:
    """Until it is to stop, or something that runs beside it has failed."""
    more = started
    while not stop.wait(0 if more else SECONDS):
        if any(each.done() and each.exception() for each in beside):
            return
        started = started or _in_reach(flow.start)
        more = bool(started and flow.targets) and _in_reach(partial(flow.round, stop))


def _send_on(flow: ForwardFlow, stop: Event) -> None:
    """Until it is to stop; for nobody, if there is no destination."""
    started = more = False
    while flow.recipients and not stop.wait(0 if more else SECONDS_OF_SENDING):
        started = started or _in_reach(flow.start)
        more = started and _in_reach(partial(flow.round, stop))


def _report(flow: AuditFlow | None, stop: Event) -> None:
    """Until it is to stop; to nobody, if there is no audit repository."""
    started = more = False
    while flow is not None and not stop.wait(0 if more else SECONDS):
        started = started or _in_reach(flow.start)
        more = started and _in_reach(partial(flow.round, stop))


def _in_reach(step: Callable[[], bool | None]) -> bool:
    """What a step answers, nothing being yes; no, while the database is away."""
    try:
        return step() is not False
    except ServiceUnavailable as error:
        log.warning("nothing is told or sent on now: %s", error)
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


def auditing(parts: Parts) -> AuditFlow | None:
    """What tells the audit repository; None: there is none."""
    from reconcile.cli.tls import audit_context
    from reconcile.web.syslog import repository

    settings = parts.settings
    if not settings.audit.repository:
        return None
    host, _, port = settings.audit.repository.rpartition(":")
    title = settings.archive.ae_title
    address = (host.strip("[]"), int(port))
    source_id = settings.archive.modifying_system
    send = repository(address, audit_context(settings), source_id, settings.audit.site)
    return AuditFlow(parts.database, title, send, now)


def forwarding(parts: Parts) -> ForwardFlow:
    """What sends on, to all destinations that something may be sent to."""
    settings = parts.settings
    recipients = [_recipient(settings, each) for each in settings.destination]
    return ForwardFlow(parts.several, recipients, now, parts.rules.digest)


def _recipient(settings: Settings, said: Destination) -> Recipient:
    # Only who has a destination waits for what talks to it, and has it in memory.
    from reconcile.cli.work_receiver import destinations, limits
    from reconcile.dicom.forwarding import courier

    remote = destinations(settings)[said.ae_title]
    rules = tuple(
        Wanted(said.ae_title, each.sources, each.modalities, each.held)
        for each in settings.forward
        if each.to == said.ae_title
    )
    how: OnCorrection = "none" if said.on_correction == "hl7" else said.on_correction
    way = courier(remote, settings.archive.ae_title, limits(settings))
    return Recipient(said.ae_title, way, rules, said.domain, how)


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
