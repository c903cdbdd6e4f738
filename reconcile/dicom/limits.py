"""How much a peer may ask of us: every limit has a name and a reason.

No length that a peer sends is believed before it is bounded by a number that stands here.
How it is bounded, and what is said to who asks for more, may not be put here.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from reconcile.errors import LimitExceeded

# PDU types: PS3.8 section 9.3.1
ASSOCIATE_RQ = 0x01
ASSOCIATE_AC = 0x02
ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
RELEASE_RQ = 0x05
RELEASE_RP = 0x06
ABORT = 0x07


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one door, in bytes and seconds; each process has its own.

    Attributes:
        maximum_pdu: what we negotiate for P-DATA-TF (PS3.8 section D.1).
        pdu_slack: how far past it a peer may go that does not count headers, or does
            not keep to it.
        associate_pdu: of an A-ASSOCIATE-RQ; 128 contexts of 45 transfer syntaxes take
            150 000.
        presentation_contexts: there are 128 odd ids.
        transfer_syntaxes: of one context.
        user_items: sub-items of User Information, for each class up to three.
        pdu_seconds: from the first byte of a PDU to its last; a peer that drips bytes
            does not get longer.
        request_seconds: from connecting to the last byte of the association request.
        handshake_seconds: of TLS, in all.
        idle_seconds: between two PDUs, while nothing is carried out.
        closing_seconds: how long the peer may take to close the connection after the
            last PDU: closing over bytes that nobody has read takes that PDU back.
        associations: at once in this process.
        associations_per_peer: at once from one IP address.
        overflow: connections past the limits that are kept just long enough to be told
            so; past that they are closed.
        command_bytes: a command set is a few hundred bytes.
        identifier_bytes: a data set that is no instance and is kept in memory.
        normalized_bytes: the same of an N-service: a request for commitment, or a
            performed step, names thousands of instances.
        instance_bytes: a data set past it is answered A702.
        memory_bytes: a data set past it goes to a file as it comes.
        memory_bytes_in_all: of all data sets of this process that are in memory, until
            they are answered; past it even small ones go to files.
        unwritten_bytes: of one data set that wait to be written; past that we do not
            read.
        pipelined: requests that wait while one is carried out; past that we do not read.
        turn: fragments and the like of one association that are looked at before others
            have their turn: a read can hold thousands.
    """

    maximum_pdu: int = 131_072
    pdu_slack: int = 65_536
    associate_pdu: int = 1 << 20
    presentation_contexts: int = 128
    transfer_syntaxes: int = 128
    user_items: int = 1024
    pdu_seconds: float = 60.0
    request_seconds: float = 30.0
    handshake_seconds: float = 5.0
    idle_seconds: float = 120.0
    closing_seconds: float = 1.0
    associations: int = 100
    associations_per_peer: int = 50
    overflow: int = 20
    command_bytes: int = 65_536
    identifier_bytes: int = 1 << 20
    normalized_bytes: int = 16 << 20
    instance_bytes: int = 4 << 30
    memory_bytes: int = 2 << 20
    memory_bytes_in_all: int = 128 << 20
    unwritten_bytes: int = 8 << 20
    pipelined: int = 4
    turn: int = 256

    def pdu_bytes(self, kind: int) -> int:
        """The longest PDU of this type that is read.

        Raises:
            LimitExceeded: there is no PDU of this type (PS3.8 section 9.3.1).
        """
        if kind == P_DATA_TF:
            return self.maximum_pdu + self.pdu_slack
        if kind in (ASSOCIATE_RQ, ASSOCIATE_AC):
            return self.associate_pdu
        if kind in (ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT):
            return 4
        raise LimitExceeded(f"there is no PDU of type {kind:02X}H")


class Gate:
    """Counts who is inside, in all and by address. Safe for many threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._overflow = 0

    @property
    def inside(self) -> int:
        """Connections that hold a place."""
        with self._lock:
            return self._inside.total()

    def enter(self, address: str) -> bool | None:
        """Take a place: True; past the limits False, to be told so; None: go away."""
        with self._lock:
            if self._has_room(address):
                self._inside[address] += 1
                return True
            if self._overflow >= self._limits.overflow:
                return None
            self._overflow += 1
            return False

    def _has_room(self, address: str) -> bool:
        return (
            self._inside.total() < self._limits.associations
            and self._inside[address] < self._limits.associations_per_peer
        )

    def leave(self, address: str, admitted: bool) -> None:
        """Give back what `enter` gave."""
        with self._lock:
            if not admitted:
                self._overflow -= 1
                return
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]
