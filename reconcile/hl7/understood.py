"""Every field that is read of a message, as one table: what the HL7 statement prints.

A test reads messages of every kind and compares what was looked at with what stands here.
"""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """A field by its place ("PID-3"), in which messages, and what it is read as."""

    place: str
    messages: str
    read_as: str


_ALL, _PATIENT, _ORDER = "all", "ADT, orders", "orders"
_PRIOR = "A40, A18, A34, A30, A39, A47, A43 to A45"

FIELDS = (
    Field("MSH-1", _ALL, "the field separator"),
    Field("MSH-2", _ALL, "the other delimiters"),
    Field("MSH-3", _ALL, "sending application: names the feed; MSH-5 of the answer"),
    Field("MSH-4", _ALL, "sending facility: names the feed; MSH-6 of the answer"),
    Field("MSH-5", _ALL, "receiving application: MSH-3 of the answer, else not looked at"),
    Field("MSH-6", _ALL, "receiving facility: MSH-4 of the answer, else not looked at"),
    Field("MSH-7", _PATIENT, "time of the message, where EVN says none"),
    Field("MSH-9", _ALL, "type (.1) and event (.2); .3 is not looked at"),
    Field("MSH-10", _ALL, "control ID: MSA-2 of the answer"),
    Field("MSH-11", _ALL, "processing ID: MSH-11 of the answer, else not looked at"),
    Field("MSH-12", _ALL, "version: MSH-12 of the answer, and the form of its ERR"),
    Field("MSH-18", _ALL, "character set, of the answer too"),
    Field("EVN-2", _PATIENT, "when it was recorded, where EVN-6 says nothing"),
    Field("EVN-6", _PATIENT, "when it happened"),
    Field("PID-2", _PATIENT, "an identifier, where PID-3 has none; A30, A39 with MRG-4"),
    Field("PID-3", _PATIENT, "identifiers: CX-1, and the assigning authority in CX-4"),
    Field("PID-4", _PATIENT, "identifiers, where PID-3 has none"),
    Field("PID-5", _PATIENT, "name, the legal one first, with its component groups"),
    Field("PID-7", _PATIENT, "birth date"),
    Field("PID-8", _PATIENT, "sex"),
    Field("PID-18", "orders, A44", "account"),
    Field("PID-24", _PATIENT, "multiple birth"),
    Field("PID-25", _PATIENT, "birth order"),
    Field("PID-29", _PATIENT, "date of death"),
    Field("PID-30", _PATIENT, "whether the patient died"),
    Field("MRG-1", _PRIOR, "prior identifiers, as PID-3"),
    Field("MRG-3", "A44", "account that moves"),
    Field("MRG-4", "A30, A39", "prior identifier, where PID-2 is given too"),
    Field("MRG-5", "A45", "visit that moves"),
    Field("PV1-8", _ORDER, "referring physician"),
    Field("PV1-19", "orders, A45", "visit"),
    Field("ORC-1", _ORDER, "order control"),
    Field("ORC-2", _ORDER, "placer order number"),
    Field("ORC-3", _ORDER, "filler order number"),
    Field("ORC-5", _ORDER, "order status"),
    Field("ORC-7", _ORDER, "scheduled start (.4), after TQ1-7"),
    Field("ORC-9", _ORDER, "when the order was entered"),
    Field("ORC-12", _ORDER, "referring physician, after PV1-8"),
    Field("TQ1-7", _ORDER, "scheduled start"),
    Field("OBR-2", _ORDER, "placer order number, after ORC-2"),
    Field("OBR-3", _ORDER, "filler order number, after ORC-3"),
    Field("OBR-4", _ORDER, "procedure, where OBR-44 has none; protocol (.4 and .5)"),
    Field("OBR-16", _ORDER, "referring physician, after ORC-12"),
    Field("OBR-18", _ORDER, "Accession Number, where IPC-1 has none"),
    Field("OBR-19", _ORDER, "Requested Procedure ID, where IPC-2 has none"),
    Field("OBR-20", "ORM, OMG", "Scheduled Procedure Step ID"),
    Field("OBR-24", "ORM, OMG", "modality"),
    Field("OBR-27", _ORDER, "scheduled start (.4), after ORC-7"),
    Field("OBR-36", _ORDER, "scheduled start, after OBR-27"),
    Field("OBR-44", _ORDER, "procedure code and text"),
    Field("ZDS-1", "ORM, OMG", "Study Instance UID (.1)"),
    Field("IPC-1", "OMI", "Accession Number with its issuer"),
    Field("IPC-2", "OMI", "Requested Procedure ID"),
    Field("IPC-3", "OMI", "Study Instance UID"),
    Field("IPC-4", "OMI", "Scheduled Procedure Step ID"),
    Field("IPC-5", "OMI", "modality"),
    Field("IPC-6", "OMI", "protocol text (.2)"),
    Field("IPC-9", "OMI", "station AE titles"),
)
