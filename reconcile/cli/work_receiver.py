"""A receiver: the DICOM door over the flow of an arriving instance."""

from __future__ import annotations

from reconcile.cli.tls import client_context, tls_context
from reconcile.cli.wiring import (
    address_of,
    asking,
    now,
    receiver_count,
    source,
    spooling,
)
from reconcile.cli.work import Work
from reconcile.dicom.acceptor import DicomDoor
from reconcile.dicom.destinations import Giving, Remote
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.flows.associations import AssociationLog
from reconcile.flows.settling import Settler
from reconcile.flows.spooling import unheard
from reconcile.settings import Settings

#: The supervisor waits half a minute for its processes: what began must have ended then.
GRACE_SECONDS = 10.0
FINISH_SECONDS = 15.0
#: Where another receiver has taken its place, its associations may go on for so long.
DRAIN_SECONDS = 600.0


def run(work: Work) -> None:
    """Take associations until the work is to stop."""
    parts = work.parts
    settler = Settler(parts.store().begin)
    journal = AssociationLog(parts.database, now)
    spooler = spooling(parts)
    door = DicomDoor(
        policy(parts.settings),
        settler.submit,
        parts.storage.spool_dir,
        limits(parts.settings),
        parts.query.pages,
        Giving(
            parts.several,
            parts.settings.archive.ae_title,
            destinations(parts.settings).get,
        ),
        parts.normalized,
        journal.note,
        parts.storage.room.require,
        spooler.note if spooler else unheard,
    )
    for name, opened in work.sockets.items():
        door.serve(opened, tls_context(parts.settings, name))
    work.say_ready()
    work.stop.wait()
    door.drain(DRAIN_SECONDS, work.at_once)
    door.stop(GRACE_SECONDS, FINISH_SECONDS)
    settler.stop()
    journal.stop()
    if spooler:
        spooler.stop()
    parts.storage.close()


def destinations(settings: Settings) -> dict[str, Remote]:
    """Where a C-MOVE may send instances, by AE title."""
    secured = any(each.tls for each in settings.destination)
    tls = client_context(settings) if secured else None
    return {
        each.ae_title: Remote(
            each.ae_title, each.host, each.port, each.domain, tls if each.tls else None
        )
        for each in settings.destination
        if each.host
    }


def policy(settings: Settings) -> Policy:
    """Who may associate: every source and destination, by AE title and address.

    Who is both is read as the source that it is.
    """
    peers = {
        each.ae_title: Peer(asking(each), address_of(each))
        for each in settings.destination
        if each.host
    }
    peers |= {
        each.ae_title: Peer(source(each), each.address, each.certificate)
        for each in settings.source
    }
    archive, serve = settings.archive, settings.serve
    return Policy(archive.ae_title, peers.get, accept_unknown=serve.accept_unknown)


def limits(settings: Settings) -> Limits:
    """The limits of one receiver; associations are shared out among all."""
    said = settings.limits
    receivers = receiver_count(settings)
    return Limits(
        maximum_pdu=said.pdu_bytes,
        associations=max(1, said.max_associations // receivers),
        associations_per_peer=said.max_associations_per_peer,
        instance_bytes=said.instance_bytes,
        idle_seconds=said.idle_seconds,
    )
