"""Birth dates: what they say, how precisely, and whether two of them may be one.

Rule 1: a date is compared as precisely as the less precise of two was said. 1 January
        stands for "some day of that year" as often as for the day itself (advice of the
        NHS for unknown dates), so beside another day of that year it agrees coarsely.
Rule 2: a date that does not exist may agree, where it is one slip away from the other,
        but never contradicts: what it should have been is not known.
Rule 3: one slip is forgiven in a full date only. In a year alone it would forgive a
        fifth of all strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from enum import IntEnum

# A year outside is a default (0001, 9999) or a slip, not a year of birth.
YEAR_MIN, YEAR_MAX = 1850, 2199

# DA (PS3.5 Table 6.2-1), its ACR-NEMA form with periods, ISO 8601, and HL7 TS with what
# follows the day.
_DATE = re.compile(r"(\d{4})(?:[-./]?(\d{2})(?:[-./]?(\d{2})[\dT:.+ -]*)?)?", re.ASCII)


class DateAgreement(IntEnum):
    """How two birth dates agree; better is greater.

    COARSE: equal as far as they are known, which is not to the day.
    """

    UNKNOWN = 0
    DIFFERENT = 1
    COARSE = 2
    ONE_EDIT = 3
    TRANSPOSED = 4
    EQUAL = 5

    @property
    def compatible(self) -> bool:
        return self >= DateAgreement.COARSE


def read(text: str, placeholders: Iterable[str] = ()) -> str:
    """The digits of a date as far as they mean something: YYYY, YYYYMM or YYYYMMDD.

    Empty for what is no date and for placeholders; a placeholder covers every date that
    begins with it, so "1900" is a whole year. A month or day of 00 was not known.
    """
    found = _DATE.fullmatch(text.strip(" \0"))
    if not found or not YEAR_MIN <= int(found[1]) <= YEAR_MAX:
        return ""
    year, month, day = (part or "00" for part in found.groups())
    digits = year if month == "00" else year + month if day == "00" else year + month + day
    entries = (re.sub(r"\D", "", entry) for entry in placeholders)
    return "" if any(entry and digits.startswith(entry) for entry in entries) else digits


def compare(a: str, b: str) -> DateAgreement:
    """Compare two dates as `read` gives them; empty: not known."""
    if not a or not b:
        return DateAgreement.UNKNOWN
    if len(a) == len(b) == 8:
        return _compare_full(a, b)
    if not (exists(a) and exists(b)):
        return DateAgreement.UNKNOWN
    if a.startswith(b) or b.startswith(a):
        return DateAgreement.COARSE
    return DateAgreement.COARSE if _one_is_default(a, b) else DateAgreement.DIFFERENT


def _compare_full(a: str, b: str) -> DateAgreement:
    if a == b:
        return DateAgreement.EQUAL
    if a == b[:4] + b[6:] + b[4:6]:
        return DateAgreement.TRANSPOSED
    if is_one_edit(a, b):
        return DateAgreement.ONE_EDIT
    if not (exists(a) and exists(b)):
        return DateAgreement.UNKNOWN
    return DateAgreement.COARSE if _one_is_default(a, b) else DateAgreement.DIFFERENT


def _one_is_default(a: str, b: str) -> bool:
    return a[:4] == b[:4] and "0101" in (a[4:], b[4:])


def exists(digits: str) -> bool:
    """Whether there is such a day, month or year in the calendar."""
    try:
        date.fromisoformat(f"{digits[:4]}-{digits[4:6] or '01'}-{digits[6:] or '01'}")
    except ValueError:
        return False
    return True


def is_one_edit(a: str, b: str) -> bool:
    """Whether one slip makes `b` of `a`: a character more, less, other, or two swapped.

    That is an optimal string alignment distance of exactly one.
    """
    if len(a) > len(b):
        a, b = b, a
    if a == b or len(b) - len(a) > 1:
        return False
    start = 0
    while start < len(a) and a[start] == b[start]:
        start += 1
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    if a[start + 1 :] == b[start + 1 :]:
        return True
    swapped = a[start : start + 2] == b[start : start + 2][::-1]
    return swapped and a[start + 2 :] == b[start + 2 :]
