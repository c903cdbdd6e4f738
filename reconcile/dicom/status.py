"""Every status that is answered, those of a C-STORE in one table.

The class of an error decides its status (`reconcile.errors`); this module adds the two
that are no errors, says what each means, and makes the related fields: Offending Element
(0000,0901) and Error Comment (0000,0902). No value of an attribute may be said here:
answers end up in other people's logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag

from reconcile import errors
from reconcile.core.attributes import (
    PATIENT_ID,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Tag,
)
from reconcile.errors import NormalizedFault, ReconcileError
from reconcile.flows.arrival import Stored

SUCCESS = 0x0000
COERCED = 0xB000
# of C-FIND: PS3.4 Table C.4-1
IDENTIFIER_DOES_NOT_MATCH = 0xA900
CANCELLED = 0xFE00
# of C-MOVE and C-GET: PS3.4 Tables C.4-2 and C.4-3
NOT_COUNTED = 0xA701
NOT_PERFORMED = 0xA702
DESTINATION_UNKNOWN = 0xA801
SOME_FAILED = 0xB000
PENDING = 0xFF00
PENDING_NOT_ALL = 0xFF01
"""Optional keys of the identifier are not looked at, or not answered."""
_TOLD_FIRST = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, PATIENT_NAME)
COMMENT_LENGTH = 64
"""Error Comment is LO with one value (PS3.7 section C.4.1)."""


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the table: a code and what it means."""

    code: int
    category: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with its related fields, ready to be put into a response."""

    code: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    error_id: int = 0


def answer_for(error: BaseException) -> Answer:
    """The answer to an error: its own status and message if it was raised on purpose.

    Of any other error nothing is said: its message might hold anything.
    """
    if isinstance(error, ReconcileError):
        comment = ascii_comment(str(error) or error.title)
        error_id = error.error_id if isinstance(error, NormalizedFault) else 0
        return Answer(error.dimse_status, comment, error_id=error_id)
    return Answer(ReconcileError.dimse_status, ascii_comment(ReconcileError.title))


def identifier_error(error: Exception) -> Answer:
    """The answer to an identifier that no question of its SOP class can be."""
    return Answer(IDENTIFIER_DOES_NOT_MATCH, ascii_comment(str(error)))


def answer_to(stored: Stored, *, warn: bool) -> Answer:
    """0000, or B000 where anything was coerced and the source wants to be told.

    PS3.4 B.4.1.3: an SCP that coerced shall return a warning. `warn=False` is a stated
    deviation, for senders that take a warning for a failure.
    """
    if not (stored.coerced and warn):
        return Answer(SUCCESS)
    tags = tuple(dict.fromkeys(int(tag, 16) for tag in stored.coerced))
    return Answer(COERCED, ascii_comment(stored.comment or _what_was_done(stored)), tags)


def _what_was_done(stored: Stored) -> str:
    words = ["held:", stored.held] if stored.held else []
    told = sorted(dict.fromkeys(stored.coerced), key=_telling)
    words += ["coerced", *map(_keyword, told)]
    return _whole_words(words)


def _telling(tag: Tag) -> int:
    """What a reader of 64 characters wants to know first: whose it is, which study."""
    return _TOLD_FIRST.index(tag) if tag in _TOLD_FIRST else len(_TOLD_FIRST)


def _keyword(tag: Tag) -> str:
    return keyword_for_tag(int(tag, 16)) or tag


def _whole_words(words: Iterable[str]) -> str:
    said = ""
    for word in words:
        longer = f"{said} {word}".lstrip()
        if len(longer) > COMMENT_LENGTH:
            break
        said = longer
    return said


def ascii_comment(text: str) -> str:
    """Text as one LO value of the default character repertoire, cut to 64 characters."""
    shown = (c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return "".join(shown)[:COMMENT_LENGTH].rstrip()


def statuses() -> tuple[Status, ...]:
    """The table, by code: what `reconcile conformance` prints (PS3.4 Table B.2-1)."""
    rows = {
        SUCCESS: Status(SUCCESS, "Success", "Stored as it came"),
        COERCED: Status(
            COERCED, "Warning", "Stored; Offending Element lists what was coerced"
        ),
    }
    for error in _classes(ReconcileError):
        if "dimse_status" in error.__dict__ and not issubclass(error, NormalizedFault):
            code = error.dimse_status
            rows.setdefault(code, Status(code, "Failure", error.title))
    return tuple(rows[code] for code in sorted(rows))


def normalized_statuses() -> tuple[Status, ...]:
    """What N-services are answered with besides, by code (PS3.7 Annex C)."""
    rows = [
        Status(error.dimse_status, "Failure", error.title)
        for error in _classes(NormalizedFault)
        if error is not NormalizedFault
    ]
    return tuple(sorted(rows, key=lambda row: row.code))


def _classes(parent: type[ReconcileError]) -> Iterator[type[ReconcileError]]:
    yield parent
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _classes(child)
