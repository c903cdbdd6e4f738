"""A received header beside the persons who may have been meant: what differs, and where.

Marks are for eyes: nothing is decided from them. Whether two values mean the same person
is said by the reasons of the candidates, which the core has weighed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from reconcile.core import attributes as at
from reconcile.db.views_people import Known
from reconcile.web.pages.values import said

SAME, DIFFERS, UNKNOWN = "same", "differs", "unknown"

#: What persons are compared by, in this order; the rest of the header follows.
COMPARED = (at.PATIENT_NAME, at.PATIENT_BIRTH_DATE, at.PATIENT_SEX)

#: From which share of equal characters on it is worth to mark single ones.
ALIKE = 0.6

Pieces = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of one person; of `pieces` those with True are not in the header."""

    verdict: str
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute as received, and of each candidate; without cells: not compared."""

    tag: str
    received: str
    cells: tuple[Cell, ...]


def side_by_side(
    received: Mapping[str, Any], candidates: Sequence[Known], domain: str = ""
) -> tuple[Row, ...]:
    """All attributes of a header, those first by which persons are told apart.

    Args:
        received: the header.
        candidates: persons who may have been meant.
        domain: of the source; issuer of a Patient ID that comes without one.
    """
    first = _identifier(received, candidates, domain)
    compared = [_row(tag, received, candidates) for tag in COMPARED]
    done = {at.PATIENT_ID, *COMPARED}
    rest = [Row(tag, said(received[tag]), ()) for tag in received if tag not in done]
    return (first, *compared, *rest)


def _identifier(
    received: Mapping[str, Any], candidates: Sequence[Known], domain: str
) -> Row:
    value = said(received.get(at.PATIENT_ID))
    issuer = said(received.get(at.ISSUER_OF_PATIENT_ID)) or domain
    return Row(
        at.PATIENT_ID,
        value,
        tuple(_owned(value, issuer, each.identifiers) for each in candidates),
    )


def _owned(value: str, issuer: str, identifiers: Sequence[str]) -> Cell:
    """Whether a person has the ID that was received; without an issuer nobody can say."""
    own = [named.partition("^^^")[::2] for named in identifiers]
    alike = [issued_by for own_value, issued_by in own if own_value == value]
    if not value or (alike and not issuer):
        verdict = UNKNOWN
    else:
        verdict = SAME if issuer in alike else DIFFERS
    return Cell(verdict, ((", ".join(identifiers), False),))


def _row(tag: str, received: Mapping[str, Any], candidates: Sequence[Known]) -> Row:
    value = said(received.get(tag))
    theirs = (said(each.demographics.get(tag)) for each in candidates)
    return Row(tag, value, tuple(_compared(value, other) for other in theirs))


def _compared(value: str, other: str) -> Cell:
    if not value or not other:
        return Cell(UNKNOWN, ((other, False),))
    if _folded(value) == _folded(other):
        return Cell(SAME, ((other, False),))
    return Cell(DIFFERS, pieces(value, other))


def _folded(value: str) -> str:
    return value.casefold().rstrip("^= ")


def pieces(value: str, other: str) -> Pieces:
    """`other` cut where it is not as `value`; whole, where hardly anything is."""
    matcher = SequenceMatcher(None, value.casefold(), other.casefold(), autojunk=False)
    if matcher.ratio() < ALIKE:
        return ((other, True),)
    found = (
        (other[start:end], kind != "equal")
        for kind, _, _, start, end in matcher.get_opcodes()
    )
    return tuple((text, changed) for text, changed in found if text)
