"""Which of the forms of an instance an Accept header takes (PS3.18 section 8.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

DICOM = "application/dicom"
MULTIPART = "multipart/related"

#: A header of more ranges than this is not from a client that wants an answer.
RANGES_MAX = 64

_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;,\s]*)')
_RANGE = re.compile(r'((?:[^,"]|"[^"]*")+)')


class Form(Enum):
    """How one instance is sent."""

    MULTIPART = "multipart"
    SINGLE = "single"


class Range(NamedTuple):
    """One media range, with what matters of its parameters."""

    media_type: str
    of: str
    transfer_syntax: str
    quality: float


def chosen_form(accept: str, transfer_syntax_uid: str) -> Form | None:
    """The form that a client likes best; None: it takes none.

    An instance is sent in the transfer syntax that it was received in: a range that asks
    for another one takes nothing. A range that names none takes what there is.
    """
    best: tuple[float, Form] | None = None
    for range_ in _ranges(accept or "*/*"):
        form = _form(range_)
        if form is None or range_.transfer_syntax not in ("", "*", transfer_syntax_uid):
            continue
        if range_.quality > (best[0] if best else 0.0):
            best = (range_.quality, form)
    return best[1] if best else None


def takes_json(accept: str) -> bool:
    """Whether a client takes the DICOM JSON model."""
    taken = ("*/*", "application/*", "application/json", "application/dicom+json")
    ranges = _ranges(accept or "*/*")
    return any(each.media_type in taken and each.quality > 0 for each in ranges)


def _form(range_: Range) -> Form | None:
    if range_.media_type in ("*/*", "multipart/*"):
        return Form.MULTIPART
    if range_.media_type == MULTIPART:
        return Form.MULTIPART if range_.of in ("", DICOM, "*/*") else None
    return Form.SINGLE if range_.media_type in (DICOM, "application/*") else None


def _ranges(accept: str) -> Iterator[Range]:
    for found in _RANGE.findall(accept)[:RANGES_MAX]:
        media_type = found.partition(";")[0].strip().lower()
        said = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(found)}
        quality = _quality(said.get("q", "1"))
        kind = said.get("type", "").lower()
        yield Range(media_type, kind, said.get("transfer-syntax", ""), quality)


def _quality(said: str) -> float:
    try:
        return float(said)
    except ValueError:
        return 0.0
