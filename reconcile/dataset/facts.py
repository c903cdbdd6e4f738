"""Received bytes to header facts, reading no more of them than must be.

`Received` is one data set as it stands: its bytes and, once something was assigned, the
elements in their place. It decides nothing, and what it reads it reads as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Item, Tag, text, values
from reconcile.core.facts import InstanceFacts, RequestItem
from reconcile.core.identity import Demographics, Issuer, PersonName
from reconcile.dataset.charset import Terms, Undecodable, can_decode, decode, is_default
from reconcile.dataset.dicom_json import element_json, terms_of
from reconcile.dataset.elements import (
    LIMITS,
    Buffer,
    Encoding,
    Header,
    Limits,
    Raw,
    encoding_of,
    items,
    scan,
    understood,
)
from reconcile.dataset.iods import is_patient_scoped
from reconcile.dataset.keywords import keyword
from reconcile.dataset.splice import SIGNATURES, Edits, Tail, splice
from reconcile.dataset.vr import CHARSET_TEXT
from reconcile.errors import InvalidUID, LimitExceeded, MissingUID, ReconcileError

#: The elements that this archive may assign: `InstanceFacts.present`.
ASSIGNABLE: tuple[Tag, ...] = (
    at.SPECIFIC_CHARACTER_SET,
    at.INSTANCE_COERCION_DATETIME,
    at.ACCESSION_NUMBER,
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    at.REFERRING_PHYSICIAN_NAME,
    at.STUDY_DESCRIPTION,
    at.PATIENT_NAME,
    at.PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID,
    at.TYPE_OF_PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    at.PATIENT_BIRTH_DATE,
    at.PATIENT_SEX,
    at.OTHER_PATIENT_IDS,
    at.OTHER_PATIENT_IDS_SEQUENCE,
    at.STUDY_INSTANCE_UID,
    at.SERIES_INSTANCE_UID,
    at.REQUESTED_PROCEDURE_DESCRIPTION,
    at.REQUESTED_PROCEDURE_CODE_SEQUENCE,
    at.REQUEST_ATTRIBUTES_SEQUENCE,
    at.SOP_INSTANCE_STATUS,
)
# PS3.5 section 9.1. Leading zeros in a component are illegal and common: taken as they
# came, since two spellings of a UID are two UIDs to everybody else.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_CHARACTERS_MAX = 64
# DA has 8, of old 10: what is longer is no date, and must not fill an index.
_DATE_CHARACTERS_MAX = 16


class Received:
    """One data set as it stands.

    Attributes:
        header: where its received elements are.
        encoding: as it is written, which may not be what its transfer syntax says.
        declared: values of (0008,0005).
        lies: whether it declares a set in which text of those that may be assigned
            cannot be read, while all of it can in the set that is assumed.
        charsets: what its text is read in: as declared, or as assumed of the source
            where nothing beyond the default repertoire is declared, or where it lies.
        edits: elements that stand in the place of received ones.
        appended: how many of the last items of (0400,0561) are this archive's own, made
            on the way; those before them are foreign.
    """

    def __init__(
        self,
        header: Header,
        *,
        assumed_charset: str = "",
        edits: Edits | None = None,
        appended: int = 0,
        limits: Limits = LIMITS,
        tail: Tail | None = None,
        lies: bool | None = None,
    ) -> None:
        self.header = header
        self.encoding: Encoding = header.encoding
        self.assumed_charset = assumed_charset
        self.edits: Edits = edits or {}
        self.appended = appended
        self.limits = limits
        self._tail = tail or Tail(header)
        declared = self.raw_element(_number(at.SPECIFIC_CHARACTER_SET))
        self.declared: tuple[str, ...] = terms_of(declared) if declared else ()
        assumed = tuple(assumed_charset.split("\\")) if assumed_charset else ()
        silent = is_default(self.declared)
        widened = _number(at.SPECIFIC_CHARACTER_SET) in self.edits
        may_lie = bool(assumed) and not silent and not widened
        if lies is None and may_lie:
            lies = _lies(header, self.declared, assumed, limits)
        self._header_lies = lies
        self.lies = may_lie and bool(lies)
        taken = self.lies or (bool(assumed) and silent)
        self.charsets: Terms = assumed if taken else self.declared

    @property
    def sayable(self) -> Terms:
        """What new values may be said in: as declared; where that lies, ASCII alone."""
        return () if self.lies else self.declared

    @property
    def declared_charset(self) -> bool:
        """Whether (0008,0005) has a value."""
        return bool(self.declared)

    @property
    def tail(self) -> memoryview:
        """Pixel data and all that follows, as received."""
        return self.header.buffer[self.header.tail :]

    def tail_pieces(self) -> Iterator[memoryview]:
        """The tail as it stands: as received, save for signatures that were edited."""
        return self._tail.pieces(self.edits)

    def close(self) -> None:
        """Let go of the buffer, so that what it maps can be unmapped."""
        self.header.buffer.release()

    def edited(self, edits: Edits, *, appended: int = 0) -> Received:
        """The same data set with these elements in the place of its own.

        Args:
            edits: by tag; None takes the element away.
            appended: items that `edits` adds to (0400,0561).
        """
        return Received(
            self.header,
            assumed_charset=self.assumed_charset,
            edits={**self.edits, **edits},
            appended=self.appended + appended,
            limits=self.limits,
            tail=self._tail,
            lies=self._header_lies,
        )

    def raw_element(self, tag: int) -> Raw | None:
        """An element with its header, or None where it is absent.

        Of the tail only Digital Signatures Sequence (FFFA,FFFA) can be had.

        Raises:
            LimitExceeded: it is asked for, and pixel data has too many fragments.
        """
        if tag in self.edits:
            return self.edits[tag]
        return self._tail.raw() if tag == SIGNATURES else self.header.raw(tag)

    def raw_elements(self) -> Iterator[Raw]:
        """Every element before the tail as it stands, one for each tag."""
        tags = {span.tag for span in self.header.elements} | set(self.edits)
        tags.discard(SIGNATURES)
        found = (self.raw_element(tag) for tag in sorted(tags))
        return (raw for raw in found if raw is not None)

    def raw(self, tag: Tag) -> bytes | None:
        """The value field of an element, padding included; None where it is absent.

        Raises:
            LimitExceeded: it is longer than a value that may be read.
        """
        found = self.raw_element(_number(tag))
        if found is None:
            return None
        if len(found.value) > self.limits.value_bytes:
            raise LimitExceeded(f"{keyword(tag)} is too long to be read")
        return bytes(found.value)

    def element(self, tag: Tag) -> Element | None:
        """The element in the DICOM JSON model; None where it is absent.

        Raises:
            CannotUnderstand: it is a sequence that is broken.
            LimitExceeded: it is nested too deep or too long.
        """
        found = self.raw_element(_number(tag))
        if found is None:
            return None
        return element_json(found, self.charsets, self.encoding, self.limits)

    def pieces(self) -> Iterator[memoryview]:
        """The bytes up to the tail as they stand."""
        return splice(self.header, {t: e for t, e in self.edits.items() if t != SIGNATURES})

    def facts(self) -> InstanceFacts:
        """What the data set says.

        Raises:
            MissingUID, InvalidUID: it cannot be filed (PS3.5 section 9.1).
            CannotUnderstand, LimitExceeded: a sequence that must be read is broken.
        """
        return _facts(self)


def read(buffer: Buffer, transfer_syntax_uid: str, assumed_charset: str = "") -> Received:
    """Read the header of a data set.

    The buffer must live as long as what is made of it: views into it are kept.

    Args:
        buffer: data set without preamble and meta; inflated where it was deflated.
        transfer_syntax_uid: that it came in.
        assumed_charset: of text beyond ASCII that declares none.

    Raises:
        CannotUnderstand: it is no data set of this transfer syntax.
        LimitExceeded: nesting or number of elements.
    """
    header = scan(buffer, encoding_of(transfer_syntax_uid))
    received = Received(header, assumed_charset=assumed_charset)
    _check_original_attributes(received)
    return received


def _check_original_attributes(received: Received) -> None:
    """Refuse a broken (0400,0561) at the door: an item must be appended to it later."""
    raw = received.raw_element(_number(at.ORIGINAL_ATTRIBUTES_SEQUENCE))
    if raw is not None:
        _, within = understood(raw, received.encoding)
        for _ in items(raw.value, within):
            pass


def _lies(header: Header, declared: Terms, assumed: Terms, limits: Limits) -> bool:
    """By what was received: what nobody assigned reads on as it did, whatever was."""
    held = [header.raw(_number(tag)) for tag in ASSIGNABLE]
    texts = [
        (bytes(raw.value), vr)
        for raw in held
        if raw is not None and len(raw.value) <= limits.value_bytes
        if (vr := understood(raw, header.encoding)[0]) in CHARSET_TEXT
    ]
    if all(can_decode(value, declared, vr) for value, vr in texts):
        return False
    return all(can_decode(value, assumed, vr) for value, vr in texts)


def _number(tag: Tag) -> int:
    return int(tag, 16)


def _facts(received: Received) -> InstanceFacts:
    sop_class = _uid(received, at.SOP_CLASS_UID, required=True)
    sop_instance = _uid(received, at.SOP_INSTANCE_UID, required=True)
    has_study = bool(received.raw(at.STUDY_INSTANCE_UID))
    scoped = is_patient_scoped(sop_class, has_study)
    present = {tag: e for tag in ASSIGNABLE if (e := received.element(tag)) is not None}
    requests = tuple(
        request_item(i) for i in items_of(present, at.REQUEST_ATTRIBUTES_SEQUENCE)
    )
    only = requests[0] if len(requests) == 1 else RequestItem()
    return InstanceFacts(
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        study_instance_uid=_uid(received, at.STUDY_INSTANCE_UID) if scoped else "",
        series_instance_uid=_uid(received, at.SERIES_INSTANCE_UID) if scoped else "",
        patient_id=text_as_received(received, at.PATIENT_ID),
        issuer=patient_issuer(present),
        other_ids=tuple(
            (text(item.get(at.PATIENT_ID)), patient_issuer(item))
            for item in items_of(present, at.OTHER_PATIENT_IDS_SEQUENCE)
        ),
        demographics=demographics_of(present),
        accession_number=text(present.get(at.ACCESSION_NUMBER)),
        accession_issuer=_entity(present, at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE),
        rp_id=only.rp_id,
        sps_id=only.sps_id,
        requests=requests,
        study_date=text(received.element(at.STUDY_DATE)),
        modality=text(received.element(at.MODALITY)),
        identity_removed=text(received.element(at.PATIENT_IDENTITY_REMOVED)) == "YES",
        undecodable=frozenset(undecodable_of(received)),
        present=present,
        step_uid=_performed_step(received),
    )


def _performed_step(received: Received) -> str:
    """Whose performed step it is; what is broken says nothing."""
    try:
        sequence = received.element(at.REFERENCED_PERFORMED_STEP_SEQUENCE)
        uids = [text(item.get(at.REFERENCED_SOP_INSTANCE_UID)) for item in values(sequence)]
    except ReconcileError:
        return ""
    return uids[0] if uids and len(uids[0]) <= _UID_CHARACTERS_MAX else ""


def _uid(received: Received, tag: Tag, *, required: bool = True) -> str:
    """A UID as it came, its padding aside."""
    name = keyword(tag)
    raw = received.raw(tag) or b""
    value = raw.decode("latin-1").strip(" \0")
    if not value and required:
        raise MissingUID(f"{name} is missing")
    if len(value) > _UID_CHARACTERS_MAX or not _UID.fullmatch(value):
        raise InvalidUID(f"{name} is not a UID")
    return value


def text_as_received(received: Received, tag: Tag) -> str:
    """Text with its padding, NULs aside; empty where it is no text."""
    try:
        said = decode(received.raw(tag) or b"", received.charsets, "LO")
        return said.replace("\0", "")
    except Undecodable:
        return ""


def undecodable_of(received: Received) -> Iterator[str]:
    """Keywords of attributes that are no text in the declared set."""
    for tag in ASSIGNABLE:
        raw = received.raw_element(_number(tag))
        if raw is None:
            continue
        vr, _ = understood(raw, received.encoding)
        try:
            if vr in CHARSET_TEXT:
                decode(bytes(raw.value), received.charsets, vr)
        except Undecodable:
            yield keyword(tag)


def items_of(holder: Mapping[Tag, Element], tag: Tag) -> list[Item]:
    """The items of a sequence."""
    found: list[Any] = values(holder.get(tag))
    return [item for item in found if isinstance(item, Mapping)]


def _entity(holder: Mapping[Tag, Element], tag: Tag) -> Issuer:
    """HL7v2 Hierarchic Designator Macro (PS3.3 Table 10-17): the first item."""
    for item in items_of(holder, tag):
        return Issuer(
            text(item.get(at.LOCAL_NAMESPACE_ENTITY_ID)),
            text(item.get(at.UNIVERSAL_ENTITY_ID)),
            text(item.get(at.UNIVERSAL_ENTITY_ID_TYPE)),
        )
    return Issuer()


def patient_issuer(holder: Mapping[Tag, Element]) -> Issuer:
    """Issuer of Patient ID Macro (PS3.3 Table 10-18)."""
    universal = _entity(holder, at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)
    return Issuer(
        text(holder.get(at.ISSUER_OF_PATIENT_ID)),
        universal.universal_id,
        universal.universal_id_type,
    )


def demographics_of(present: Mapping[Tag, Element]) -> Demographics:
    """Whom a data set describes."""
    return Demographics(
        name=_person_name(present.get(at.PATIENT_NAME)),
        birth_date=_date(present.get(at.PATIENT_BIRTH_DATE)),
        sex=text(present.get(at.PATIENT_SEX)),
    )


def _date(date: Element | None) -> str:
    said = text(date)
    return said if len(said) <= _DATE_CHARACTERS_MAX else ""


def _person_name(name: Element | None) -> PersonName:
    for value in values(name):
        if isinstance(value, Mapping):
            groups = ("Alphabetic", "Ideographic", "Phonetic")
            return PersonName(*(value.get(group, "") for group in groups))
        return PersonName(str(value or ""))
    return PersonName()


def request_item(item: Item) -> RequestItem:
    """Request Attributes Macro (PS3.3 Table 10-9)."""
    return RequestItem(
        accession_number=text(item.get(at.ACCESSION_NUMBER)),
        accession_issuer=_entity(item, at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE),
        study_instance_uid=text(item.get(at.STUDY_INSTANCE_UID)),
        rp_id=text(item.get(at.REQUESTED_PROCEDURE_ID)),
        sps_id=text(item.get(at.SCHEDULED_PROCEDURE_STEP_ID)),
    )
