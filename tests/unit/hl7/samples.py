"""Messages as real senders write them, put together from their segments."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from reconcile.hl7.message import Message, read_message

ZONE = ZoneInfo("Europe/Berlin")


def msh(
    name: str = "ADT^A08^ADT_A01", version: str = "2.5", charset: str = "", at: str = ""
) -> str:
    time = at or "20261122101500"
    start = f"MSH|^~\\&|RIS_A|RADIOLOGY|RECONCILE|HOSPITAL|{time}||{name}|4711|P|{version}"
    return f"{start}||||||{charset}" if charset else start


def message(*segments: str, encoding: str = "utf-8", end: str = "\r") -> bytes:
    return "".join(segment + end for segment in segments).encode(encoding)


def adt(pid: str, *, name: str = "ADT^A08^ADT_A01", version: str = "2.5") -> bytes:
    return message(
        msh(name, version, "UNICODE UTF-8"), "EVN||20261122101400", pid, "PV1||N"
    )


def read(*segments: str) -> Message:
    return read_message(message(*segments))


PID = "PID|1||100^^^A||DOE^JANE||19800102|F"
MRG = "MRG|200^^^A||ACCOUNT9||VISIT9"

ORM = (
    msh("ORM^O01", "2.3.1"),
    PID,
    "PV1|1|O||||||77^HOUSE^GREGORY^^^DR",
    "ORC|NW|P1^HIS|F1^RIS||SC||1^once^^202611230800^^S|||||99^ORDERER^OLGA",
    (
        "OBR|1|P1^HIS|F1^RIS|CTCH^CT Chest^L^PROT1^Chest routine^L|||||||||||||"
        "|ACC1|RP1|SPS1||||CT|||1^once^^202611230815"
    ),
    "ZDS|1.2.840.1^RIS^Application^DICOM",
)

OMI = (
    msh("OMI^O23^OMI_O23", "2.5.1"),
    PID,
    "PV1|1|O||||||77^HOUSE^GREGORY^^^DR",
    "ORC|NW|P1^HIS|F1^RIS||SC",
    "TQ1|1||||||202611230800",
    "OBR|1|P1^HIS|F1^RIS|CTCH^CT Chest^99RIS",
    "IPC|ACC1^A^1.2.3.1^ISO|RP1|1.2.840.1|SPS1|CT|PROT1^Chest routine^99RIS|||CT_A~CT_B",
    "IPC|ACC1^A^1.2.3.1^ISO|RP1|1.2.840.1|SPS2|CT|PROT2^Chest late^99RIS|||CT_A",
)
