"""What messages and stewards say of who is who: as values, with every outcome named.

Rule 1: edges are kept as they were said. A survivor that is merged later takes along
        whoever was merged into it, and gives them back with itself.
Rule 2: only roots are joined, so that merges form a forest.
Rule 3: a merge speaks of identifiers, not of people as they are described; what the gate
        says of the two is told to a person, and vetoes nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconcile.core.identity import Issuer, PatientUpdate

#: (value, issuer) of each identifier that a field names, as said.
Identifiers = tuple[tuple[str, Issuer], ...]


@dataclass(frozen=True, slots=True)
class DemographicsOnly:
    """A02 and its kin: brings a patient who is known up to date, and creates nobody."""

    update: PatientUpdate


@dataclass(frozen=True, slots=True)
class PatientMerge:
    """A40 and its elders: the prior identifiers belong to the patient of PID (ITI-30)."""

    surviving: PatientUpdate
    prior: Identifiers


@dataclass(frozen=True, slots=True)
class IdentifierChange:
    """A47: the patient of the prior identifier has another one from now on."""

    patient: PatientUpdate
    prior: Identifiers


@dataclass(frozen=True, slots=True)
class IdentifierMove:
    """A43: the prior identifiers, with all that came under them, are this patient's."""

    patient: PatientUpdate
    prior: Identifiers


@dataclass(frozen=True, slots=True)
class VisitMove:
    """A44, A45: what was ordered in a visit or an account is this patient's.

    Attributes:
        prior: whose it was.
        visits: PV1-19, MRG-5; may be empty.
        accounts: PID-18, MRG-3; may be empty.
    """

    patient: PatientUpdate
    prior: Identifiers
    visits: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientLink:
    """A24: two patients are linked, or, with `linked` false (A37), no longer."""

    one: Identifiers
    other: Identifiers
    linked: bool
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PatientRetire:
    """A29: the sender has deleted a patient."""

    patient: Identifiers
    said_at: datetime | None = None


#: Everything but a plain update that a message can say of patients.
IdentityCommand = (
    PatientMerge
    | IdentifierChange
    | IdentifierMove
    | VisitMove
    | PatientLink
    | PatientRetire
)
