"""Under whom destinations that are told of corrections have studies."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Column, Connection, LargeBinary, PrimaryKeyConstraint, Table, select
from sqlalchemy.dialects.postgresql import insert as upsert

from reconcile.core.identity import PatientIdentifier
from reconcile.db.tables import key, metadata, refers

# As it was sent, or told since.
delivered_patient = Table(
    "delivered_patient",
    metadata,
    key("destination"),
    refers("study_id", "study"),
    key("patient_id"),
    key("domain"),
    # SHA-256 of name, birth date and sex.
    Column("demographics", LargeBinary, nullable=False),
    PrimaryKeyConstraint("destination", "study_id"),
)
_P = delivered_patient.c


@dataclass(frozen=True, slots=True)
class Known:
    """Under whom a destination has a study, and a digest of what else it knows of them."""

    identifier: PatientIdentifier
    demographics: bytes


def known(connection: Connection, destination: str, study: UUID) -> Known | None:
    """Under whom a destination has a study; None: nobody wrote it down."""
    query = select(delivered_patient).where(
        _P.destination == destination, _P.study_id == study
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    identifier = PatientIdentifier(row.patient_id, row.domain)
    return Known(identifier, bytes(row.demographics))


def know(
    connection: Connection, destination: str, study: UUID, now: Known, *, anew: bool
) -> None:
    """Write down under whom a destination has a study; not `anew`: where nothing is."""
    values = {
        "patient_id": now.identifier.value,
        "domain": now.identifier.domain,
        "demographics": now.demographics,
    }
    made = upsert(delivered_patient).values(
        destination=destination, study_id=study, **values
    )
    place = ["destination", "study_id"]
    made = (
        made.on_conflict_do_update(index_elements=place, set_=values)
        if anew
        else made.on_conflict_do_nothing()
    )
    connection.execute(made)
