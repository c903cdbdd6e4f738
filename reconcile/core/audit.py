"""Coercion events as values: their canonical bytes, and questions about them.

The canonical bytes are what a log seals. They are made once, stored, and never made
again to verify: so their form can change, and old rows stay provable. Personal values
are not in them but in a second body that they commit to, together with 16 random bytes,
for bare hashes of Patient IDs could be guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconcile.core.attributes import Element, Tag

#: Version of the canonical form: RFC 8785-like JSON (sorted keys, no white space).
BODY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Values:
    """The personal part of an event: everything that erasure would have to delete.

    Attributes:
        patient: {"id", "issuer"} as given out from then on; None: no patient.
        original_attributes: one item of (0400,0561), whole, in the DICOM JSON model.
        new_attributes: what the changed attributes became; one that was taken away
            is not in it.
        absent: tags in the item that had not been there at all.
        varies: keywords of what differs from instance to instance.
    """

    patient: Mapping[str, str] | None
    original_attributes: Mapping[Tag, Element]
    new_attributes: Mapping[Tag, Element]
    absent: tuple[Tag, ...] = ()
    varies: tuple[str, ...] = ()

    def body(self) -> bytes:
        """The canonical bytes of the values."""
        return canonical(
            {
                "patient": dict(self.patient) if self.patient else None,
                "original_attributes": self.original_attributes,
                "new_attributes": self.new_attributes,
                "absent": list(self.absent),
                "varies": list(self.varies),
            }
        )


def canonical(value: Mapping[str, Any]) -> bytes:
    """One spelling for one value: sorted keys, no white space, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def commitment(nonce: bytes, values: bytes) -> str:
    """What an event's body says of its personal values."""
    return hashlib.sha256(nonce + values).hexdigest()


def event_body(fields: Mapping[str, Any], nonce: bytes, values: bytes) -> bytes:
    """The canonical bytes of an event: what it was, and what it commits to."""
    return canonical({**fields, "values": commitment(nonce, values), "v": BODY_VERSION})


def happening_body(fields: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a happening, as they are sealed with each of its events."""
    return canonical({**fields, "v": BODY_VERSION})


def entry(event: bytes, happening: bytes) -> bytes:
    """What one leaf of the log is the hash of: an event, and why it happened."""
    return event + b"\n" + happening
