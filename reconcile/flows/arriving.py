"""What the steps of storing hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Change, Element, Tag
from reconcile.core.coercion import Outcome
from reconcile.core.facts import InstanceFacts, Source
from reconcile.core.following import Place
from reconcile.dataset.facts import Received
from reconcile.dataset.overlay import Plan
from reconcile.db.database import Connection
from reconcile.db.unresolved import Met
from reconcile.flows.arrival import Arrival
from reconcile.flows.inside import Inside
from reconcile.flows.rules import Rules
from reconcile.storage.content import Location

IDENTITY_TAGS = (
    at.PATIENT_NAME,
    at.PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    at.PATIENT_BIRTH_DATE,
    at.PATIENT_SEX,
    at.OTHER_PATIENT_IDS_SEQUENCE,
    at.ACCESSION_NUMBER,
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    at.STUDY_INSTANCE_UID,
)


NOTHING_CHANGES = Plan()


@dataclass(frozen=True, slots=True)
class Arriving:
    """An instance whose bytes are durable, and which is not recorded yet."""

    arrival: Arrival
    location: Location
    received: Received
    facts: InstanceFacts
    rules: Rules
    inside: Inside

    @property
    def digest(self) -> str:
        """SHA-256 of the data set, in hex."""
        return self.arrival.digest

    @property
    def source(self) -> Source:
        """How instances of its sender are read."""
        return self.arrival.source

    def hides(self, outcome: Outcome) -> bool:
        """Whether it is kept from being given out while it is held.

        What may not be coerced cannot be given out under an identity of its own either.
        """
        return not self.source.coerce or self.rules.hides(outcome.value)

    def identity(self) -> Mapping[Tag, Element]:
        """What it was received as: shown to whoever has to decide."""
        present = self.facts.present
        return {tag: present[tag] for tag in IDENTITY_TAGS if tag in present}


@dataclass(frozen=True, slots=True)
class Moment:
    """The transaction that records a decision, its happening and its time."""

    connection: Connection
    happening_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an instance was filed, and what it must become there.

    Attributes:
        revision: of the study, as it was seen.
        changes: what `assigns` really change in this instance.
        patient: {"id", "issuer"} under which it is given out.
        unmet: what it names and nobody knows yet.
        met: arrivals that waited for its study or series, with the UID it has now.
        relinked: by it, its study is known to answer an order more than before.
    """

    study_id: UUID | None = None
    series_id: UUID | None = None
    person_id: UUID | None = None
    revision: int = 0
    study_uid: str = ""
    series_uid: str = ""
    assigns: tuple[Change, ...] = ()
    changes: Plan = NOTHING_CHANGES
    reviews: tuple[str, ...] = ()
    patient: Mapping[str, str] | None = None
    unmet: frozenset[Place] = frozenset()
    met: tuple[tuple[Met, str], ...] = ()
    relinked: bool = False
