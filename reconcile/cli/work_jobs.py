"""What is done without anybody's asking: telling, sending on, deleting, sealing, a hunt.

It has no door: it is ready when it has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event

from reconcile.cli import deletion, nightly, tidying
from reconcile.cli.relaying import relaying
from reconcile.cli.sealer import sealer
from reconcile.cli.tls import client_context
from reconcile.cli.wiring import Parts, now
from reconcile.cli.work import Work
from reconcile.db.commitments import COMMITMENT
from reconcile.db.outgoing import Wanted
from reconcile.errors import ConfigurationError, ServiceUnavailable
from reconcile.flows.auditing import AuditFlow
from reconcile.flows.delivering import Opened
from reconcile.flows.forward import ForwardFlow, Recipient
from reconcile.flows.notify import AVAILABILITY, Notice, NotifyFlow, Target
from reconcile.flows.relay import RelayFlow
from reconcile.settings import Settings
from reconcile.settings.model import Destination, Notify

#: Between two looks: one question or two, where there is nothing to do.
SECONDS = 5.0
SECONDS_OF_SENDING = 2.0

log = logging.getLogger(__name__)


def run(work: Work) -> None:
    """Tell and send on what there is until the work is to stop."""
    flow, sending = notifying(work.parts), forwarding(work.parts)
    relays = relaying(work.parts)
    started = _in_reach(flow.start)
    nightly.begin(work.parts, work.stop)
    tidying.begin(work.parts, work.stop)
    deletion.begin(work.parts, work.stop)
    work.say_ready()
    with ThreadPoolExecutor(3) as pool:
        sent_on = pool.submit(_send_on, sending, relays, work.stop)
        sealed = pool.submit(_seal, work.parts, work.stop)
        reported = pool.submit(_report, auditing(work.parts), work.stop)
        _tell(flow, work.stop, (sent_on, sealed, reported), started=started)
        work.stop.set()
        sent_on.result()
        sealed.result()
        reported.result()


def _tell(
    flow: NotifyFlow, stop: Event, beside: Sequence[Future[None]], *, started: bool
) -> None:
    """Until it is to stop, or what runs beside it has failed."""
    more = started
    while not stop.wait(0 if more else SECONDS):
        if any(each.done() and each.exception() is not None for each in beside):
            return
        started = started or _in_reach(flow.start)
        more = bool(started and flow.targets) and _in_reach(partial(flow.round, stop))


def _send_on(flow: ForwardFlow, relays: RelayFlow, stop: Event) -> None:
    """Until it is to stop; for nobody, if there is no destination.

    What is to be told of a correction is found by who forwards, and told by who relays.
    """
    started = more = False
    while flow.recipients and not stop.wait(0 if more else SECONDS_OF_SENDING):
        started = started or (_in_reach(flow.start) and _in_reach(relays.start))
        if started:
            rounds = [_in_reach(partial(each.round, stop)) for each in (flow, relays)]
            more = any(rounds)


def _seal(parts: Parts, stop: Event) -> None:
    """Seal the history; without a key, say so and do all else."""
    try:
        found = sealer(parts)
    except ConfigurationError as error:
        log.error("nothing is sealed: %s", error)
        return
    found.run(stop)


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
    peers = [_peer(settings, each) for each in settings.destination if each.host]
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
    rules = tuple(
        Wanted(said.ae_title, each.sources, each.modalities, each.held)
        for each in settings.forward
        if each.to == said.ae_title
    )
    way = _way(settings, said)
    return Recipient(said.ae_title, way, rules, said.domain, said.on_correction)


def _way(settings: Settings, said: Destination) -> Opened:
    # Only who has a destination waits for what talks to it, and has it in memory.
    if said.url:
        from reconcile.web.forwarding import Server as WebServer
        from reconcile.web.forwarding import stow

        tls = client_context(settings) if said.tls else None
        return stow(WebServer(said.url, said.key_file, said.key_env, tls))
    from reconcile.cli.work_receiver import destinations, limits
    from reconcile.dicom.forwarding import courier

    remote = destinations(settings)[said.ae_title]
    return courier(remote, settings.archive.ae_title, limits(settings))


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
