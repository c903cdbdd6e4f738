"""Say something to another system over MLLP, and hear what it answers (original mode).

A connection for each message, as they are few. AA is taken; AE will not be taken however
often it is said; AR says that it may be another time, unless that such a message never is
(HL7 v2.5.1 section 2.9.2.2, table 0357).
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass

from reconcile.errors import ReconcileError
from reconcile.flows.delivering import NotDelivered
from reconcile.hl7.message import Message, read_message
from reconcile.hl7.mllp import Framer, frame

CONNECT_SECONDS = 10.0
#: For the whole answer.
ANSWER_SECONDS = 60.0
#: An acknowledgement is short.
_ANSWER_BYTES_MAX = 256 * 1024
_TAKEN, _NEVER = frozenset({"AA", "CA"}), frozenset({"AE", "CE"})
_ANSWERS = _TAKEN | _NEVER | {"AR", "CR"}
#: Message type, event, processing id or version that is not supported.
_UNSUPPORTED = frozenset({"200", "201", "202", "203"})


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages are sent; `tls` None: in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


def say(receiver: Receiver, message: bytes, control_id: str) -> str:
    """Send a message; how it was acknowledged.

    Raises:
        NotDelivered: it was not taken.
    """
    try:
        with _connected(receiver) as connection:
            connection.sendall(frame(message))
            answer = _answer(connection)
    except OSError as error:
        why = f"no answer over HL7: {type(error).__name__}"
        raise NotDelivered(why, away=True) from None
    return judged(answer, control_id)


def _connected(receiver: Receiver) -> socket.socket:
    plain = socket.create_connection((receiver.host, receiver.port), CONNECT_SECONDS)
    if receiver.tls is None:
        return plain
    try:
        return receiver.tls.wrap_socket(plain, server_hostname=receiver.host)
    except BaseException:
        plain.close()
        raise


def _answer(connection: socket.socket) -> Message:
    framer = Framer(_ANSWER_BYTES_MAX)
    until = time.monotonic() + ANSWER_SECONDS
    try:
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(1 << 16)
            if not data:
                raise NotDelivered("the receiver closed without an answer", away=True)
            for raw in framer.feed(data):
                return read_message(raw)
    except NotDelivered:
        raise
    except ReconcileError as error:
        raise NotDelivered("the answer cannot be read", away=True) from error
    raise NotDelivered("the receiver does not answer", away=True)


def judged(answer: Message, control_id: str) -> str:
    """How a message of this control id was acknowledged.

    Raises:
        NotDelivered: it was not taken, or something else was acknowledged.
    """
    msa, err = answer.first("MSA"), answer.first("ERR")
    said = msa.text(1).strip().upper() if msa else ""
    if msa is None or said not in _ANSWERS or msa.text(2).strip() != control_id:
        raise NotDelivered("the receiver answers something else", away=True)
    if said in _TAKEN:
        return said
    code = err.text(3).strip() if err else ""
    why = f"answered {said}" + (f", ERR-3 {code}" if code.isdigit() else "")
    raise NotDelivered(why, away=said not in _NEVER and code not in _UNSUPPORTED)
