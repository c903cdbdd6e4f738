"""What a new series says of itself and of its study, kept for who asks (RAD-14)."""

from __future__ import annotations

from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag, text
from reconcile.core.matchkeys import day
from reconcile.core.querykeys import KEPT
from reconcile.dataset.facts import Received
from reconcile.db import headers
from reconcile.errors import ReconcileError
from reconcile.flows.arriving import Arriving, Moment


def keep_header(arriving: Arriving, series_id: UUID, moment: Moment) -> None:
    """Keep what the first instance of a series says, as it came."""
    said = _said(arriving.received)
    by = headers.Searched(
        day(text(said.get(at.STUDY_DATE))),
        text(said.get(at.ACCESSION_NUMBER)),
        text(said.get(at.PATIENT_NAME)),
        day(text(said.get(at.PATIENT_BIRTH_DATE))),
        text(said.get(at.MODALITY)),
    )
    headers.keep(moment.connection, series_id, by, said)


def _said(received: Received) -> dict[Tag, Element]:
    found: dict[Tag, Element] = {}
    for tag in KEPT:
        try:
            element = received.element(tag)
        except ReconcileError:
            continue  # it is broken or too long, and nobody has to read it
        if element is not None:
            found[tag] = element
    return found
