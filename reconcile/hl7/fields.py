"""HL7 data types in the registry's terms: CX, HD, EI, XPN, XCN, DT, TS, CE.

Precision is never invented, names are never guessed, and what decides an identity is
either well-formed or an error.

Source: HL7 v2.5.1 chapter 2A; DICOM PS3.5 section 6.2 (PN, LO); PS3.3 Table 10-18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, tzinfo

from reconcile.core.identity import Issuer, PersonName
from reconcile.core.order import Code
from reconcile.hl7.errors import FieldInvalid
from reconcile.hl7.message import Repetition, Segment
from reconcile.hl7.syntax import one_line

#: No identifier is longer in any version of HL7; what is, is not one.
IDENTIFIER_CHARACTERS_MAX = 250
UID_CHARACTERS_MAX = 64

#: PS3.3 Table 10-18; HL7 table 0301 calls UUID also GUID.
_UNIVERSAL_ID_TYPES = frozenset({"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"})
_TYPE_ALIASES = {"GUID": "UUID", "EUI-64": "EUI64", "X.400": "X400", "X.500": "X500"}

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f^=\\]+")
_DATE = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:\d{2,6}(?:\.\d*)?)?)?)?(?:[+-]\d{4})?", re.ASCII
)
_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ].*)?", re.ASCII)
_TIME = re.compile(
    r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?(?:\.(\d{1,6})\d*)?([+-]\d{4})?", re.ASCII
)
_DT = re.compile(r"\d{4}(\d\d){0,5}(\.\d{1,6})?([+-]\d{4})?", re.ASCII)

#: HL7 table 0001 -> Patient's Sex (0010,0040); what is not here says nothing.
_SEX = {"M": "M", "F": "F", "O": "O", "A": "O", "N": "O"}

#: HL7 table 0200, XPN-7: the lower, the more a name is the person's own.
_NAME_RANK = {"L": 0, "": 0, "U": 0, "R": 1, "B": 1, "C": 1, "I": 1, "T": 1}
_NAME_RANK |= {"M": 2, "P": 2, "A": 3, "K": 3, "D": 4, "N": 4, "NICK": 4, "S": 5}
_NO_NAME = frozenset({"NOUSE", "BAD"})

#: HL7 table 0465, XPN-8 -> component group of a PN.
_GROUPS = {"A": "alphabetic", "": "alphabetic", "I": "ideographic", "P": "phonetic"}


# -- identifiers -------------------------------------------------------------------


def patient_identifiers(segment: Segment, number: int) -> list[tuple[str, Issuer]]:
    """CX repetitions of a field as (ID, assigning authority), each once, in order.

    IDs keep their leading zeros, and blanks only at their ends are taken off.

    Raises:
        FieldInvalid: an ID with control characters, or a malformed authority.
    """
    place = segment.location(number)
    found: dict[tuple[str, Issuer], None] = {}
    for repetition in segment.repetitions(number):
        value = repetition.text(1).strip(" \0")
        if _CONTROLS.search(value) or len(value) > IDENTIFIER_CHARACTERS_MAX:
            raise FieldInvalid("an identifier has control characters, or too many", place)
        if value:
            found[value, authority(repetition, place)] = None
    return list(found)


def authority(repetition: Repetition, place: str) -> Issuer:
    """CX-4, an HD in subcomponents.

    Raises:
        FieldInvalid: see `issuer`.
    """
    namespace, uid, uid_type = (one_line(repetition.text(4, sub)) for sub in (1, 2, 3))
    return issuer(namespace, uid, uid_type, place)


def entity(segment: Segment, number: int) -> str:
    """EI-1, the identifier without who assigned it.

    Raises:
        FieldInvalid: it is too long.
    """
    value = one_line(segment.text(number))
    if len(value) > IDENTIFIER_CHARACTERS_MAX:
        raise FieldInvalid("an identifier is too long", segment.location(number))
    return value


def issued_entity(segment: Segment, number: int) -> tuple[str, Issuer]:
    """EI: an identifier and who assigned it, in components.

    Raises:
        FieldInvalid: see `issuer`.
    """
    namespace, uid, uid_type = (one_line(segment.text(number, n)) for n in (2, 3, 4))
    return entity(segment, number), issuer(
        namespace, uid, uid_type, segment.location(number)
    )


def issuer(namespace: str, uid: str, uid_type: str, place: str) -> Issuer:
    """HD as an Issuer.

    A universal ID of a type that DICOM does not know (HL7's L, M, N: locally defined)
    is a local name. One without a type that is an OID is of type ISO.

    Raises:
        FieldInvalid: an OID that is none, or a universal ID of no type.
    """
    uid_type = _TYPE_ALIASES.get(uid_type.upper(), uid_type.upper())
    if max(len(namespace), len(uid), len(uid_type)) > IDENTIFIER_CHARACTERS_MAX:
        raise FieldInvalid("an assigning authority is too long", place)
    if not uid:
        return Issuer(namespace)
    if not uid_type and _OID.fullmatch(uid):
        uid_type = "ISO"
    if not uid_type:
        raise FieldInvalid("an assigning authority has a universal ID of no type", place)
    if uid_type == "ISO" and not _OID.fullmatch(uid):
        raise FieldInvalid("the OID of an assigning authority is invalid", place)
    if uid_type not in _UNIVERSAL_ID_TYPES:
        return Issuer(namespace or uid)
    return Issuer(namespace, uid, uid_type)


def study_uid(segment: Segment, number: int) -> str:
    """A Study Instance UID in component 1 of a field; "" where there is none.

    Raises:
        FieldInvalid: it has other characters than a UID, or more than 64.
    """
    uid = segment.text(number).strip(" \0")
    if uid and not (_UID.fullmatch(uid) and len(uid) <= UID_CHARACTERS_MAX):
        raise FieldInvalid("a Study Instance UID is invalid", segment.location(number))
    return uid


# -- names -------------------------------------------------------------------------


def person_name(repetitions: Iterable[Repetition]) -> PersonName:
    """XPN repetitions as one PN; empty where no name is given.

    The legal name is taken where there is one; names of one kind in several writings
    (XPN-8) become the component groups. A field of a single blank is no name (ITI-10).
    """
    named = [(r, pn) for r in repetitions if (pn := _pn(r, 1)) and not _is_banned(r)]
    best = min((_rank(r) for r, _ in named), default=0)
    chosen = [pair for pair in named if _rank(pair[0]) == best]
    groups: dict[str, str] = {}
    for repetition, pn in sorted(chosen, key=lambda pair: _type(pair[0]) != "L"):
        group = _GROUPS.get(repetition.text(8).strip().upper(), "alphabetic")
        groups.setdefault(group, pn)
    return PersonName(**groups)


def referred_name(repetitions: Sequence[Repetition]) -> str:
    """The first person named in XCN repetitions, as a PN; the XCN begins with an ID."""
    return next(filter(None, (_pn(repetition, 2) for repetition in repetitions)), "")


def _pn(repetition: Repetition, start: int) -> str:
    """Name components from `start` on in the order of a PN.

    HL7 has family, given, middle, suffix, prefix; DICOM the prefix before the suffix.
    Of the family name (FN) only the first subcomponent is the name as it is used; the
    others repeat parts of it. The degree is no part of a PN.
    """
    texts = [repetition.text(start + offset) for offset in (0, 1, 2, 4, 3)]
    return "^".join(_name_part(text) for text in texts).rstrip("^")


def _name_part(text: str) -> str:
    return " ".join(_NOT_IN_NAMES.sub(" ", text).split())


def _type(repetition: Repetition) -> str:
    return repetition.text(7).strip().upper()


def _rank(repetition: Repetition) -> int:
    return _NAME_RANK.get(_type(repetition), 3)


def _is_banned(repetition: Repetition) -> bool:
    return _type(repetition) in _NO_NAME


# -- times -------------------------------------------------------------------------


def da(segment: Segment, number: int) -> str:
    """DT or TS as a DA of eight digits, or the four or six that are said.

    A month or day of zeros is one that is not known.

    Raises:
        FieldInvalid: it is no date.
    """
    text = segment.text(number).strip(" \0")
    if not text.strip("0"):
        return ""
    match = _ISO_DATE.fullmatch(text) or _DATE.fullmatch(text)
    if match is None:
        raise FieldInvalid("a date is invalid", segment.location(number))
    year, month, day = match.groups()
    month = month if month and month != "00" else None
    day = day if month and day and day != "00" else None
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise FieldInvalid("a date is invalid", segment.location(number)) from None
    return year + (month or "") + (day or "")


def moment(text: str, zone: tzinfo) -> datetime | None:
    """TS as a time; None where it is absent, invalid or not precise to the hour.

    Args:
        text: as said.
        zone: of times that name none.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    *parts, fraction, offset = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    micro = int((fraction or "").ljust(6, "0"))
    try:
        known = datetime.strptime(offset, "%z").tzinfo if offset else zone
        said = datetime(year, month, day, hour, minute, second, micro, tzinfo=known)
        said.astimezone(UTC)  # the ends of time have none
    except (ValueError, OverflowError):
        return None
    return said


def dt(text: str) -> str:
    """TS as a DICOM DT, which is written alike; "" where it is none."""
    value = text.strip()
    return value if _DT.fullmatch(value) else ""


# -- codes -------------------------------------------------------------------------


def sex(text: str) -> str:
    """HL7 table 0001 as M, F or O; "" where it is unknown or says nothing."""
    return _SEX.get(text.strip().upper(), "")


def code(segment: Segment, number: int, first: int = 1) -> Code | None:
    """CE triplet from component `first` on; None unless code and scheme are given."""
    value, meaning, scheme = (
        one_line(segment.text(number, first + offset)) for offset in range(3)
    )
    return Code(value, scheme, meaning) if value and scheme else None
