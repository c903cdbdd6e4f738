"""A multipart body as it comes, read into parts without holding any (RFC 2046 5.1).

A protocol core without I/O: bytes in, events out. How the body was cut into pieces on its
way changes nothing. What stands before a fault is told before it, so that whoever listens
keeps the parts that were whole. Only heads of parts are held here, and they are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from reconcile.errors import CannotUnderstand, LimitExceeded

#: Before the first delimiter; RFC 2046 allows some words for people there.
PREAMBLE_BYTES_MAX = 16 * 1024
#: Of one part; a part of DICOM has two or three.
HEADERS_MAX = 16
HEADER_BYTES_MAX = 4096

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


class Began(NamedTuple):
    """A part begins; names of its header fields are in lower case."""

    headers: Mapping[str, str]


class Came(NamedTuple):
    """More of the part's body."""

    data: bytes


class Ended(NamedTuple):
    """The part is whole."""


class Broke(NamedTuple):
    """The body is no multipart from here on; a part that began is not whole."""

    error: CannotUnderstand


Event = Began | Came | Ended | Broke


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """A Content-Type and its parameters; the type and their names in lower case."""
    kind, parameters = parse_options_header(header)
    said = {k.decode("latin-1"): v.decode("latin-1") for k, v in parameters.items()}
    return kind.decode("latin-1").lower(), said


class Reader:
    """Reads one body.

    Attributes:
        ended: the closing delimiter has come; what follows is not looked at.

    Raises:
        CannotUnderstand: that is no boundary.
    """

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise CannotUnderstand("the multipart has no boundary, or not one that can be")
        self.ended = False
        self._broken = False
        self._start = b"--" + boundary.encode("ascii")
        self._preamble: bytearray | None = bytearray()
        self._events: list[Event] = []
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._parser = MultipartParser(
            boundary.encode("ascii"),
            {
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_end": self._on_end,
            },
            max_header_count=HEADERS_MAX,
            max_header_size=HEADER_BYTES_MAX,
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """What the next bytes of the body tell. After a `Broke` nothing more is told."""
        if self._broken or self.ended:
            return []
        try:
            found = self._after_preamble(chunk)
            if found:
                self._parser.write(found)
        except FormParserError:
            self._break(CannotUnderstand("the multipart is broken"))
        except LimitExceeded as error:
            self._break(error)
        return self._told()

    def finish(self) -> list[Event]:
        """What it means that no more comes."""
        if not (self._broken or self.ended):
            self._break(CannotUnderstand("the multipart ends before its closing delimiter"))
        return self._told()

    def _told(self) -> list[Event]:
        told, self._events = self._events, []
        return told

    def _break(self, error: CannotUnderstand) -> None:
        self._broken = True
        self._events.append(Broke(error))

    def _after_preamble(self, chunk: bytes) -> bytes:
        """What stands from the first delimiter on; nothing while it has not come."""
        if self._preamble is None:
            return chunk
        self._preamble += chunk
        at = 0
        if not self._preamble.startswith(self._start):
            at = self._preamble.find(b"\r\n" + self._start) + 2
            if at < 2:
                if len(self._preamble) > PREAMBLE_BYTES_MAX:
                    raise LimitExceeded("the multipart does not begin")
                return b""
        found, self._preamble = bytes(self._preamble[at:]), None
        return found

    # -- Told by the parser --------------------------------------------------------------

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers[name] = self._value.decode("latin-1").strip()
        self._name = self._value = b""

    def _on_headers(self) -> None:
        self._events.append(Began(self._headers))
        self._headers = {}

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(Came(data[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(Ended())

    def _on_end(self) -> None:
        self.ended = True
