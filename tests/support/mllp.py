"""A sender of raw messages over MLLP: its socket, and what the answers say."""

from __future__ import annotations

import socket
from typing import NamedTuple

from reconcile.hl7.message import read_message
from reconcile.hl7.mllp import Framer, frame


class Answer(NamedTuple):
    """What an acknowledgement says; empty: there was none."""

    acknowledgement: str = ""
    code: str = ""
    location: str = ""
    control_id: str = ""

    @property
    def told(self) -> tuple[str, ...]:
        """Acknowledgement, and ERR-3 and ERR-2 where there is an ERR."""
        if not self.acknowledgement:
            return ()
        error = (self.code, self.location) if self.code else ()
        return (self.acknowledgement, *error)


class Sender:
    """One connection to an HL7 door."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=60)
        self._framer = Framer()
        self._waiting: list[bytes] = []

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(frame(raw))

    def receive(self) -> bytes:
        """The next answer.

        Raises:
            ConnectionError: the other side has closed the connection.
        """
        while not self._waiting:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("closed by the other side")
            self._waiting += self._framer.feed(data)
        return self._waiting.pop(0)

    def ask(self, raw: bytes) -> Answer:
        """Send a message; what it is answered."""
        self.send(raw)
        return read_answer(self.receive())


def read_answer(raw: bytes) -> Answer:
    """What an acknowledgement says; before 2.5 all of an error stands in ERR-1."""
    found = read_message(raw)
    msa, err = found.first("MSA"), found.first("ERR")
    assert found.header.type == "ACK"
    assert msa is not None
    code = place = ""
    if err is not None and err.field(1):
        first = found.header.segment.syntax.component
        *where, coded = err.field(1).split(first)
        place = "^".join(where).rstrip("^")
        code = coded.split(found.header.segment.syntax.subcomponent)[0]
    elif err is not None:
        code, place = err.text(3), err.field(2)
    return Answer(msa.text(1), code, place, msa.text(2))
