"""Elements in the DICOM JSON model to the bytes of a data set.

It is said in ASCII where it can be, else in ISO_IR 192: whoever reads it has to know one
set beside its own, and no name is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core.attributes import SPECIFIC_CHARACTER_SET, Element, Tag, element
from reconcile.dataset.dicom_json import Unsayable, from_json
from reconcile.dataset.framing import encode_element, encoding_of

_UTF_8 = "ISO_IR 192"


def write_elements(elements: Mapping[Tag, Element], transfer_syntax: str) -> bytes:
    """A data set of these elements; what is none of its VR is there and empty."""
    said = {tag: e for tag, e in elements.items() if tag != SPECIFIC_CHARACTER_SET}
    try:
        return _written(said, (), transfer_syntax)
    except Unsayable:
        said[SPECIFIC_CHARACTER_SET] = element("CS", _UTF_8)
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
