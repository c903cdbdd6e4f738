"""Identifiers of queries: the bytes of a data set to its elements, and back.

What is asked may not be decided here.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core.attributes import Element, Tag
from reconcile.dataset.dicom_json import element_json
from reconcile.dataset.facts import read
from reconcile.dataset.writing import write_elements


def read_identifier(
    content: bytes | bytearray, transfer_syntax: str, charset: str = ""
) -> dict[Tag, Element]:
    """The elements of an identifier in the DICOM JSON model; group lengths aside.

    Args:
        content: a data set without preamble and meta.
        transfer_syntax: that it came in.
        charset: of text beyond ASCII that declares none.

    Raises:
        CannotUnderstand, LimitExceeded: it is no data set.
    """
    received = read(bytes(content), transfer_syntax, charset)
    return {
        f"{raw.tag:08X}": element_json(raw, received.charsets, received.encoding)
        for raw in received.raw_elements()
        if raw.tag & 0xFFFF
    }


def write_identifier(elements: Mapping[Tag, Element], transfer_syntax: str) -> bytes:
    """A data set of these elements; what is none of its VR is there and empty."""
    return write_elements(elements, transfer_syntax)
