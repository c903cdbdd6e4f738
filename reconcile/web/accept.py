"""What a client takes, from its Accept header (PS3.18 section 8.7).

A range names a media type, and for what is in a multipart a second one; a transfer syntax
or "*", which is any. Where it names none, Explicit VR Little Endian is meant, and as it is
stored where it cannot be said so. Implicit VR Little Endian and Explicit VR Big Endian are
not for the web: what is stored so is given in Explicit VR Little Endian.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from fastapi import Request

from reconcile.dataset.part10 import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

DICOM = "application/dicom"
JSON = "application/dicom+json"
MULTIPART = "multipart/related"
OCTETS = "application/octet-stream"
ANY = "*"
NOT_FOR_THE_WEB = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})

#: A header of more ranges than this is not from a client that wants an answer.
RANGES_MAX = 64

_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;,\s]*)')
_RANGE = re.compile(r'((?:[^,"]|"[^"]*")+)')
_JSON_TAKEN = frozenset({"*/*", "application/*", "application/json", JSON})


class Form(Enum):
    """How instances are sent."""

    MULTIPART = "multipart"
    SINGLE = "single"


class Range(NamedTuple):
    """One media range, with what matters of its parameters."""

    media_type: str
    of: str
    transfer_syntax: str
    quality: float


class Taken(NamedTuple):
    """A form that a client takes.

    Attributes:
        syntaxes: in order of preference, "*" among them for whatever it is stored in.
        or_stored: as it is stored, where it cannot be said in any of `syntaxes`.
    """

    form: Form
    syntaxes: tuple[str, ...]
    or_stored: bool

    def ways(self, stored: str) -> list[tuple[str, ...]]:
        """What is asked for of an instance that is stored so: the first that can be had.

        Each is in order of preference; an empty one is as it is stored.
        """
        if stored in NOT_FOR_THE_WEB:
            plain = (
                each if each != ANY else EXPLICIT_VR_LITTLE_ENDIAN for each in self.syntaxes
            )
            return [tuple(dict.fromkeys(plain))]
        if ANY in self.syntaxes:
            return [()]
        return [self.syntaxes, ()] if self.or_stored else [self.syntaxes]


def accept_of(request: Request) -> str:
    """The media ranges of a request; its parameter stands above its header (8.3.3.1)."""
    said = request.query_params.get("accept")
    return said or ",".join(request.headers.getlist("accept")) or "*/*"


def ranges(accept: str) -> list[Range]:
    """Media ranges that are taken at all, the best first."""
    found = [each for each in _ranges(accept) if each.quality > 0]
    return sorted(found, key=lambda each: -each.quality)


def taken(accept: str) -> list[Taken]:
    """The forms in which a client takes instances, the best first."""
    by_form: dict[Form, list[str]] = {}
    for range_ in ranges(accept):
        form = _form(range_)
        if form is not None:
            by_form.setdefault(form, []).append(range_.transfer_syntax)
    found = (_taken(form, syntaxes) for form, syntaxes in by_form.items())
    return [each for each in found if each.syntaxes]


def takes_json(accept: str) -> bool:
    """Whether a client takes the DICOM JSON model."""
    return any(each.media_type in _JSON_TAKEN for each in ranges(accept or "*/*"))


def _taken(form: Form, syntaxes: list[str]) -> Taken:
    named = dict.fromkeys(each or EXPLICIT_VR_LITTLE_ENDIAN for each in syntaxes)
    left = tuple(each for each in named if each not in NOT_FOR_THE_WEB)
    return Taken(form, left, or_stored="" in syntaxes)


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
