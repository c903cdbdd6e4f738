"""HL7 messages as a RIS writes them, in text; "{id}" stands for the control id."""

from __future__ import annotations

from typing import NamedTuple


class Ordered(NamedTuple):
    """One requested procedure of an order message."""

    rp_id: str = "RP1"
    sps_id: str = ""
    description: str = "CT THORAX"
    study_uid: str = ""


def adt(
    event: str,
    identifiers: str,
    name: str,
    birth_date: str = "",
    sex: str = "",
    *,
    sender: str = "RIS_A",
    multiple_birth: str = "",
    died: str = "",
    control_id: str = "{id}",
) -> str:
    """ADT of one patient."""
    segments = [
        _msh(f"ADT^{event}", sender, control_id),
        f"EVN|{event}|20260301100000",
        _pid(identifiers, name, birth_date, sex, multiple_birth, died),
        "PV1||O",
    ]
    return "\r".join(segments) + "\r"


def orm(
    identifiers: str,
    name: str,
    birth_date: str,
    sex: str,
    *procedures: Ordered,
    accession: str,
    control: str = "NW",
    status: str = "",
    sender: str = "RIS_A",
    control_id: str = "{id}",
) -> str:
    """ORM^O01: one ORC, OBR group per requested procedure; a ZDS where it has a UID."""
    segments = [
        _msh("ORM^O01", sender, control_id),
        _pid(identifiers, name, birth_date, sex),
        "PV1||O",
    ]
    for ordered in procedures or (Ordered(),):
        segments.append(f"ORC|{control}|P{accession}|F{accession}||{status}")
        segments.append(_obr(accession, ordered))
        if ordered.study_uid:
            segments.append(f"ZDS|{ordered.study_uid}^RIS_A^Application^DICOM")
    return "\r".join(segments) + "\r"


def _msh(kind: str, sender: str, control_id: str) -> str:
    stated = ["MSH", "^~\\&", sender, "HOSPITAL", "RECONCILE", "ARCHIVE"]
    stated += ["20260301100000", "", kind, control_id, "P", "2.5.1"]
    return "|".join([*stated, *[""] * 5, "UNICODE UTF-8"])


def _pid(
    identifiers: str,
    name: str,
    birth_date: str,
    sex: str,
    multiple_birth: str = "",
    died: str = "",
) -> str:
    fields = [""] * 31
    fields[0], fields[3], fields[5] = "PID", identifiers, name
    fields[7], fields[8], fields[24] = birth_date, sex, multiple_birth
    fields[29], fields[30] = died, "Y" if died else ""
    return "|".join(fields)


def _obr(accession: str, ordered: Ordered) -> str:
    fields = [""] * 28
    fields[0], fields[1] = "OBR", "1"
    fields[4] = f"CTTH^{ordered.description}^L"
    fields[18], fields[19], fields[20] = accession, ordered.rp_id, ordered.sps_id
    fields[24] = "CT"
    return "|".join(fields)
