"""DICOM audit messages as text: XML of PS3.15 A.5.1, in a syslog message of RFC 5424.

What is told is facts; which elements they become, and in which order, is said here once.
An element's text may have been typed by a stranger: what XML cannot hold is replaced, and
what is told of an object is bounded, so that every repository takes every message.

Source:
    PS3.15 A.5.1 (schema), A.5.2, A.5.3.2, A.5.3.6, A.5.3.7, A.5.3.10, A.5.3.11, A.6;
    RFC 5424 section 6; RFC 5425 section 4.3. Codes of PS3.16 CID 400, 402, 404.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

Code = tuple[str, str, str]

TRANSFERRED: Code = ("110104", "DCM", "DICOM Instances Transferred")
ACCESSED: Code = ("110103", "DCM", "DICOM Instances Accessed")
PATIENT_RECORD: Code = ("110110", "DCM", "Patient Record")
QUERY: Code = ("110112", "DCM", "Query")
LOG_USED: Code = ("110101", "DCM", "Audit Log Used")

SOURCE: Code = ("110153", "DCM", "Source Role ID")
DESTINATION: Code = ("110152", "DCM", "Destination Role ID")
APPLICATION: Code = ("110150", "DCM", "Application")

STUDY_UID: Code = ("110180", "DCM", "Study Instance UID")
CLASS_UID: Code = ("110181", "DCM", "SOP Class UID")
# RFC 3881, as PS3.15 A.5.1.2.4 has it.
PATIENT_NUMBER: Code = ("2", "RFC-3881", "Patient Number")
URI: Code = ("12", "RFC-3881", "URI")

#: Of a value that is told of an object, in bytes before base 64. With the objects that
#: there are in a message, it stays below the 32 KiB that a repository has to take.
DETAIL_BYTES_MAX = 1024
QUERY_BYTES_MAX = 8192
TEXT_CHARACTERS_MAX = 256
CLASSES_MAX = 32

#: Facility 10 (security), severity 5 (notice); PS3.15 A.6.
PRIORITY = 85
MSGID = "DICOM+RFC3881"

# XML 1.0 section 2.2
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody or something that took part; `asked`: it wanted the event to happen."""

    user_id: str
    role: Code | None = None
    asked: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that took part: a patient, a study, a query, a log.

    Attributes:
        kind, role: ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole.
        name: told where there is no `query`; one of them has to be.
        details: (type, value), the values as they are.
        classes: of a study, (SOP Class UID, how many instances).
    """

    object_id: str
    id_type: Code
    kind: str
    role: str
    name: str = ""
    query: bytes | None = None
    details: Sequence[tuple[str, str]] = ()
    classes: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One event, as an audit repository is told it; `action` is one of C R U D E."""

    event: Code
    action: str
    at: datetime
    participants: Sequence[Participant]
    subjects: Sequence[Subject]


def patient(identifier: str, details: Sequence[tuple[str, str]] = ()) -> Subject:
    """A patient, by an identifier as HL7 writes it; "" where there is none."""
    return Subject(identifier, PATIENT_NUMBER, "1", "1", details=details)


def study(
    uid: str,
    classes: Sequence[tuple[str, int]] = (),
    details: Sequence[tuple[str, str]] = (),
) -> Subject:
    """A study, by its UID as it is given out."""
    return Subject(uid, STUDY_UID, "2", "3", details=details, classes=classes)


# -- XML ----------------------------------------------------------------------------


def xml(message: AuditMessage, source_id: str, site: str = "") -> str:
    """The message, valid to the schema; `source_id`: this archive, at a site."""
    return "".join(_document(message, source_id, site))


def _document(message: AuditMessage, source_id: str, site: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
    when = message.at.astimezone(UTC).isoformat(timespec="milliseconds")
    said = {
        "EventActionCode": message.action,
        "EventDateTime": when,
        "EventOutcomeIndicator": "0",
    }
    yield from _element("EventIdentification", said, _code("EventID", message.event))
    for each in message.participants:
        yield from _participant(each)
    # Type 4: an application server; it needs no coding scheme.
    kind = _element("AuditSourceTypeCode", {"csd-code": "4"})
    at = {"AuditEnterpriseSiteID": site, "AuditSourceID": source_id}
    yield from _element("AuditSourceIdentification", at, kind, required=("AuditSourceID",))
    for subject in message.subjects:
        yield from _subject(subject)
    yield "</AuditMessage>"


def _participant(who: Participant) -> Iterator[str]:
    said = {
        "UserID": who.user_id,
        "UserIsRequestor": "true" if who.asked else "false",
        "NetworkAccessPointID": who.address,
        "NetworkAccessPointTypeCode": _kind_of(who.address),
    }
    role = _code("RoleIDCode", who.role) if who.role else iter(())
    yield from _element("ActiveParticipant", said, role, required=("UserID",))


def _kind_of(address: str) -> str:
    """1 for a name, 2 for an IP address, "" for none."""
    if not address:
        return ""
    return "2" if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", address) else "1"


def _subject(subject: Subject) -> Iterator[str]:
    said = {
        "ParticipantObjectID": subject.object_id,
        "ParticipantObjectTypeCode": subject.kind,
        "ParticipantObjectTypeCodeRole": subject.role,
    }
    yield from _element(
        "ParticipantObjectIdentification",
        said,
        _inside(subject),
        required=("ParticipantObjectID",),
    )


def _inside(subject: Subject) -> Iterator[str]:
    yield from _code("ParticipantObjectIDTypeCode", subject.id_type)
    if subject.query is None:
        yield f"<ParticipantObjectName>{_text(subject.name)}</ParticipantObjectName>"
    else:
        encoded = _encoded(subject.query, QUERY_BYTES_MAX)
        yield f"<ParticipantObjectQuery>{encoded}</ParticipantObjectQuery>"
    for name, value in subject.details:
        pair = {"type": name, "value": _encoded(value.encode(), DETAIL_BYTES_MAX)}
        yield from _element("ParticipantObjectDetail", pair, required=("value",))
    if subject.classes:
        yield "<ParticipantObjectDescription>"
        for uid, count in subject.classes[:CLASSES_MAX]:
            told = {"UID": uid, "NumberOfInstances": str(count)}
            yield from _element("SOPClass", told)
        yield "</ParticipantObjectDescription>"


def _code(name: str, code: Code) -> Iterator[str]:
    value, system, meaning = code
    said = {"csd-code": value, "codeSystemName": system, "originalText": meaning}
    return _element(name, said)


def _element(
    name: str,
    attributes: Mapping[str, str],
    inside: Iterator[str] = iter(()),  # noqa: B008 - it has ended, and stays so
    *,
    required: Sequence[str] = (),
) -> Iterator[str]:
    """An element; attributes that are empty are left out, but for required ones."""
    yield f"<{name}"
    for key, value in attributes.items():
        if value or key in required:
            most = len(value) if key == "value" else TEXT_CHARACTERS_MAX
            yield f" {key}={quoteattr(_clean(value, most))}"
    yield ">"
    yield from inside
    yield f"</{name}>"


def _text(value: str) -> str:
    cleaned = _clean(value)
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        cleaned = cleaned.replace(mark, entity)
    return cleaned


def _clean(value: str, most: int = TEXT_CHARACTERS_MAX) -> str:
    """Only characters that XML has, and not more of them than anybody reads."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value[:most])


def _encoded(value: bytes, most: int) -> str:
    return base64.b64encode(value[:most]).decode("ascii")


# -- Syslog -------------------------------------------------------------------------


def syslog(text: str, at: datetime, host: str, application: str, process: str) -> bytes:
    """A message of RFC 5424: its header, no structured data, and `text` in UTF-8."""
    when = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    names = (_name(host, 255), _name(application, 48), _name(process, 128))
    header = f"<{PRIORITY}>1 {when} {' '.join(names)} {MSGID} - "
    return header.encode("ascii") + b"\xef\xbb\xbf" + text.encode()


def framed(message: bytes) -> bytes:
    """A message as it goes over TLS (RFC 5425 section 4.3): its length before it."""
    return str(len(message)).encode("ascii") + b" " + message


def _name(value: str, most: int) -> str:
    return _NOT_PRINTABLE.sub("?", value)[:most] or "-"
