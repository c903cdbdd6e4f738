"""HL7 messages as a RIS writes them, in text; "{id}" stands for the control id."""

from __future__ import annotations

from typing import NamedTuple

#: When a message is said, and what it tells happened, where nothing else is given.
WHEN = "20260301100000"


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
    at: str = WHEN,
    control_id: str = "{id}",
) -> str:
    """ADT of one patient."""
    segments = [
        _msh(f"ADT^{event}", sender, control_id),
        f"EVN|{event}|{at}",
        _pid(identifiers, name, birth_date, sex, multiple_birth, died),
        "PV1||O",
    ]
    return "\r".join(segments) + "\r"


def joined(
    event: str,
    surviving: str,
    prior: str,
    name: str = "",
    birth_date: str = "",
    sex: str = "",
    *,
    sender: str = "RIS_A",
    at: str = WHEN,
    account: str = "",
    visit: str = "",
    control_id: str = "{id}",
) -> str:
    """A40 and its kin: who was known by `prior` (MRG-1) is the patient of PID."""
    segments = [
        _msh(f"ADT^{event}", sender, control_id),
        f"EVN|{event}|{at}",
        _pid(surviving, name, birth_date, sex),
        f"MRG|{prior}||{account}||{visit}",
        "PV1||O",
    ]
    return "\r".join(segments) + "\r"


def linked(event: str, one: str, other: str, *, sender: str = "RIS_A") -> str:
    """A24 or A37 of two patients, each with a PID of its own."""
    segments = [_msh(f"ADT^{event}", sender, "{id}"), f"EVN|{event}|{WHEN}"]
    for identifiers in (one, other):
        segments += [_pid(identifiers, "", "", ""), "PV1||O"]
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
    account: str = "",
    visit: str = "",
    control_id: str = "{id}",
) -> str:
    """ORM^O01: one ORC, OBR group per requested procedure; a ZDS where it has a UID."""
    segments = [
        _msh("ORM^O01", sender, control_id),
        _pid(identifiers, name, birth_date, sex, account=account),
        "PV1||O" + "|" * 17 + visit,
    ]
    for ordered in procedures or (Ordered(),):
        segments.append(f"ORC|{control}|P{accession}|F{accession}||{status}")
        segments.append(_obr(accession, ordered))
        if ordered.study_uid:
            segments.append(f"ZDS|{ordered.study_uid}^RIS_A^Application^DICOM")
    return "\r".join(segments) + "\r"


def omi(
    identifiers: str,
    name: str,
    birth_date: str,
    sex: str,
    *,
    accession: str,
    start: str,
    stations: str,
    modality: str = "CT",
    rp_id: str = "RP1",
    sps_id: str = "SPS1",
    visit: str = "",
    status: str = "SC",
    control: str = "NW",
    sender: str = "RIS_A",
) -> str:
    """OMI^O23: one step, its start (TQ1-7) and its stations (A~B); no Study UID."""
    ipc = [accession, rp_id, "", sps_id, modality, "PROT^Routine^99RIS", "", "", stations]
    segments = [
        _msh("OMI^O23", sender, "{id}"),
        _pid(identifiers, name, birth_date, sex),
        "PV1||O" + "|" * 17 + visit,
        f"ORC|{control}|P{accession}|F{accession}||{status}",
        f"TQ1|1||||||{start}",
        f"OBR|1|P{accession}|F{accession}|CTTH^CT THORAX^L",
        "|".join(["IPC", *ipc]),
    ]
    return "\r".join(segments) + "\r"


def _msh(kind: str, sender: str, control_id: str) -> str:
    stated = ["MSH", "^~\\&", sender, "HOSPITAL", "RECONCILE", "ARCHIVE"]
    stated += [WHEN, "", kind, control_id, "P", "2.5.1"]
    return "|".join([*stated, *[""] * 5, "UNICODE UTF-8"])


def _pid(
    identifiers: str,
    name: str,
    birth_date: str,
    sex: str,
    multiple_birth: str = "",
    died: str = "",
    account: str = "",
) -> str:
    fields = [""] * 31
    fields[0], fields[3], fields[5] = "PID", identifiers, name
    fields[7], fields[8], fields[24] = birth_date, sex, multiple_birth
    fields[18] = account
    fields[29], fields[30] = died, "Y" if died else ""
    return "|".join(fields)


def _obr(accession: str, ordered: Ordered) -> str:
    fields = [""] * 28
    fields[0], fields[1] = "OBR", "1"
    fields[4] = f"CTTH^{ordered.description}^L"
    fields[18], fields[19], fields[20] = accession, ordered.rp_id, ordered.sps_id
    fields[24] = "CT"
    return "|".join(fields)
