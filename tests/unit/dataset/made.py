"""Data sets made from raw bytes, and files that the dependencies bring."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom import data, dcmread
from pydicom.dataset import FileDataset

from reconcile.core.attributes import Assign, Change, Element, element, person_name
from reconcile.dataset.elements import Encoding, encode_element, encode_item, encoding_of
from reconcile.dataset.facts import Received, read
from reconcile.dataset.inflate import deflate
from reconcile.dataset.overlay import Coercion, give_out
from reconcile.dataset.part10 import file_meta, split

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)

CT = "1.2.840.10008.5.1.4.1.1.2"
AT = datetime(2026, 11, 22, 20, 15, 0, 123456, tzinfo=UTC)

Values = dict[int, tuple[str, bytes]]

LITTLE = encoding_of(EXPLICIT)
LATIN: Values = {
    0x00080005: ("CS", b"ISO_IR 100"),
    0x00100010: ("PN", "Müller^Jürgen".encode("latin-1")),
}

MINIMAL: Values = {
    0x00080016: ("UI", CT.encode()),
    0x00080018: ("UI", b"1.2.3"),
    0x00100010: ("PN", b"Doe^Jane"),
    0x00100020: ("LO", b"100"),
    0x0020000D: ("UI", b"1.2.3.1"),
    0x0020000E: ("UI", b"1.2.3.2"),
}


def data_set(values: Values, syntax: str = EXPLICIT, tail: bytes = b"") -> bytes:
    """Elements in ascending order, not deflated, and what is to follow them."""
    encoding = encoding_of(syntax)
    parts = [encode_element(tag, *values[tag], encoding).whole for tag in sorted(values)]
    return b"".join((*parts, tail))


def pixels(syntax: str = EXPLICIT, size: int = 64) -> bytes:
    value = bytes(range(256)) * (size // 256 + 1)
    return bytes(encode_element(0x7FE00010, "OW", value[:size], encoding_of(syntax)).whole)


def item(values: Values, syntax: str = EXPLICIT) -> bytes:
    return encode_item(data_set(values, syntax), encoding_of(syntax))


def head(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """An element header that may lie about its length."""
    whole = bytes(encode_element(tag, vr, b"", encoding).whole)
    if encoding.implicit or len(whole) == 12:
        return whole[:-4] + struct.pack(encoding.order + "L", length)
    return whole[:-2] + struct.pack(encoding.order + "H", length)


def undefined(tag: int, content: bytes, syntax: str = EXPLICIT) -> bytes:
    """A sequence of undefined length around one item of undefined length."""
    encoding = encoding_of(syntax)

    def mark(number: int, length: int) -> bytes:
        return struct.pack(encoding.order + "HHL", 0xFFFE, number, length)

    return (
        head(tag, "SQ", 0xFFFFFFFF, encoding)
        + mark(0xE000, 0xFFFFFFFF)
        + content
        + mark(0xE00D, 0)
        + mark(0xE0DD, 0)
    )


def received(
    values: Values | None = None,
    syntax: str = EXPLICIT,
    assumed: str = "",
    tail: bytes = b"",
) -> Received:
    """A minimal data set with `values` besides, read."""
    if values is None:
        values = {}
    return read(data_set({**MINIMAL, **values}, syntax, tail), syntax, assumed)


def coercion(*assigns: Change, after: int = 0, source: str = "CT_A") -> Coercion:
    return Coercion(assigns, AT + timedelta(seconds=after), "RECONCILE", source)


def name(alphabetic: str, ideographic: str = "", phonetic: str = "") -> Assign:
    return Assign("00100010", person_name(alphabetic, ideographic, phonetic))


def patient_id(value: str) -> Assign:
    return Assign("00100020", element("LO", value))


NINE = (
    Assign("00080050", element("SH", "A20261122099")),
    Assign("00080090", person_name("Jones^Mary")),
    Assign("00081030", element("LO", "CT thorax with")),
    name("Okafor^Ada^Ngozi"),
    patient_id("E1"),
    Assign("00100021", element("LO", "E")),
    Assign("00100030", element("DA", "19610413")),
    Assign("00100040", element("CS", "F")),
    Assign("0020000D", element("UI", "2.25.99")),
)


def reread(held: bytes, syntax: str) -> FileDataset:
    """What pydicom makes of a data set."""
    if syntax == DEFLATED:
        held = b"".join(deflate([held]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(io.BytesIO(file_meta(CT, "1.2.3", syntax) + held), force=True)
        found.decode()
        return found


def bundled() -> list[Path]:
    """Every file that pydicom brings, DICOM or not; its own finder would download."""
    brought = Path(data.__file__).parent
    return sorted(path for path in brought.rglob("*") if path.is_file())


def taken_apart(path: Path) -> tuple[str, bytes]:
    """(transfer syntax, data set not deflated) of a file.

    Raises:
        CannotUnderstand: as `split`.
    """
    whole = path.read_bytes()
    part10 = split(whole)
    held = whole[part10.data_set_offset :]
    if encoding_of(part10.transfer_syntax).deflated:
        held = zlib.decompress(held, -15)
    return part10.transfer_syntax, held


def out(found: Received, *coercions: Coercion) -> bytes:
    return b"".join(give_out(found, coercions))


def originals(data: bytes, syntax: str = EXPLICIT) -> list[dict[str, Element]]:
    said = read(data, syntax).element("04000561")
    return list(said["Value"]) if said else []


def foreign(value: bytes, syntax: str = EXPLICIT, tag: int = 0x00100010) -> bytes:
    """The content of an item of somebody else's, with one previous value."""
    encoding = encoding_of(syntax)
    previous = encode_item(data_set({tag: ("PN", value)}, syntax), encoding)
    return data_set(
        {
            0x04000550: ("SQ", previous),
            0x04000562: ("DT", b"20200101000000+0000"),
            0x04000563: ("LO", b"ELSEWHERE"),
            0x04000564: ("LO", b""),
            0x04000565: ("CS", b"COERCE"),
        },
        syntax,
    )
