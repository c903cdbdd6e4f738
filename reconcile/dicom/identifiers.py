"""Identifiers of queries: the bytes of a data set to its elements, and back.

An answer is said in ASCII where it can be, else in ISO_IR 192: whoever asks has to know
one set beside its own, and no name is lost. What is asked may not be decided here.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core.attributes import Element, Tag, element
from reconcile.dataset.dicom_json import Unsayable, element_json, from_json
from reconcile.dataset.facts import read
from reconcile.dataset.framing import encode_element, encoding_of

_CHARSET = "00080005"
_UTF_8 = "ISO_IR 192"


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
    said = {tag: found for tag, found in elements.items() if tag != _CHARSET}
    try:
        return _written(said, (), transfer_syntax)
    except Unsayable:
        said[_CHARSET] = element("CS", _UTF_8)
        return _written(said, (_UTF_8,), transfer_syntax)


def _written(
    elements: Mapping[Tag, Element], charsets: tuple[str, ...], transfer_syntax: str
) -> bytes:
    encoding = encoding_of(transfer_syntax)
    found = []
    for tag in sorted(elements):
        vr = str(elements[tag]["vr"])
        try:
            value = from_json(tag, elements[tag], charsets, encoding)
        except Unsayable as error:
            if error.charset and not charsets:
                raise
            value = b""
        found.append(bytes(encode_element(int(tag, 16), vr, value, encoding).whole))
    return b"".join(found)
