"""What the DICOM JSON model of an event says, in the checker's own form.

Source:
    PS3.18 Annex F; RFC 6920 for values that are named by their digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAMED = re.compile(r"ni:///sha-256;([A-Za-z0-9_-]+)\?length=([0-9]+)")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


@dataclass(frozen=True, slots=True)
class Named:
    """A binary value that an event names by its digest."""

    digest: str
    length: int

    def is_of(self, value: bytes) -> bool:
        """Whether it is the digest of these bytes."""
        found = base64.urlsafe_b64encode(hashlib.sha256(value).digest()).rstrip(b"=")
        return len(value) == self.length and found.decode() == self.digest


def said(element: Mapping[str, Any]) -> Any:
    """An element of the DICOM JSON model as `instance.content` would read it."""
    if "InlineBinary" in element:
        return base64.b64decode(element["InlineBinary"])
    if "BulkDataURI" in element:
        named = _NAMED.fullmatch(element["BulkDataURI"])
        return Named(named[1], int(named[2])) if named else None
    vr = str(element.get("vr", "UN"))
    return [_value(value, vr) for value in element.get("Value", ())]


def said_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of the DICOM JSON model."""
    return {tag: said(element) for tag, element in item.items()}


def _value(value: Any, vr: str) -> Any:
    if vr == "SQ":
        return said_item(value)
    if value is None:
        return ""
    if isinstance(value, Mapping):
        groups = [str(value.get(group, "")).rstrip(" ^") for group in _GROUPS]
        return "=".join(groups).rstrip("=")
    return value.rstrip(" \0") if isinstance(value, str) and vr != "AT" else value


def alike(found: Any, told: Any) -> bool:
    """Whether a value says what was told of it."""
    if isinstance(told, Named):
        return isinstance(found, bytes) and told.is_of(found)
    if isinstance(found, Mapping) and isinstance(told, Mapping):
        return found.keys() == told.keys() and all(alike(found[k], told[k]) for k in told)
    if isinstance(found, list) and isinstance(told, list):
        return _alike_lists(found, told)
    if isinstance(found, float) and isinstance(told, str):
        return str(found).replace("nan", "NaN") == told
    if not found and not told:
        return not isinstance(found, int | float) or found == told
    return bool(found == told)


def _alike_lists(found: list[Any], told: list[Any]) -> bool:
    if not any(found) and not any(told) and not _counts(found, told):
        return True
    return len(found) == len(told) and all(
        alike(one, other) for one, other in zip(found, told, strict=True)
    )


def _counts(found: list[Any], told: list[Any]) -> bool:
    """Whether zeros or items are among them: their number matters."""
    return any(isinstance(v, int | float | Mapping) for v in (*found, *told))
