"""What goes through the pipes of a process that decodes.

Both ways: a length of 4 bytes, a head in JSON of that length, and the frame, whose length
the head tells. Nothing of pydicom may be loaded here: it would be before its codecs can be.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

RLE = "1.2.840.10008.1.2.5"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
#: What can be undone; what comes out is what went in (PS3.5 Annex A.4).
SYNTAXES = frozenset({RLE, *JPEG_LOSSLESS, JPEG_LS, JPEG_2000})
HEAD_BYTES_MAX = 4096


def receive(source: IO[bytes]) -> dict[str, Any] | None:
    """The next head; None: there is none, or it is none.

    Raises:
        ValueError: it is not what a head is.
    """
    size = source.read(4)
    if len(size) < 4:
        return None
    (length,) = struct.unpack(">I", size)
    if length > HEAD_BYTES_MAX:
        raise ValueError("that is no head")
    found = json.loads(source.read(length))
    if not isinstance(found, dict):
        raise ValueError("that is no head")
    return found


def send(target: IO[bytes], head: dict[str, Any], content: bytes) -> None:
    """A head, and what it is of."""
    said = json.dumps({**head, "length": len(content)}).encode("ascii")
    target.write(struct.pack(">I", len(said)) + said)
    target.write(content)
    target.flush()
