"""When the patience with a peer ends.

Timestamps that one timer looks at now and then: nothing is armed or cancelled while PDUs
come. A look is never later than the shortest limit, so that a deadline that begins after
it is not missed. What is done when one has passed may not be put here.
"""

from __future__ import annotations

from enum import Enum, auto
from math import inf

from reconcile.dicom.limits import Limits
from reconcile.dicom.states import State
from reconcile.dicom.upper_layer import UpperLayer


class Due(Enum):
    """What has taken too long."""

    ARTIM = auto()
    WRITE = auto()
    PDU = auto()
    IDLE = auto()


class Clocks:
    """Of one association; times in seconds of one clock that never goes back."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.heard = now  # when something last happened
        self._limits = limits
        self._shortest = min(limits.pdu_seconds, limits.idle_seconds)
        self._artim_ends = inf
        self._artim_started = 0
        self._pdu_ends = inf
        self._pdus = -1
        self._write_ends = inf

    def update(self, upper: UpperLayer, now: float, *, reading: bool) -> None:
        """Something has happened; `reading`: the peer is listened to."""
        self.heard = now
        self._update_artim(upper, now)
        if not (reading and upper.in_pdu):
            self._pdu_ends = inf
        elif self._pdu_ends == inf or upper.pdus != self._pdus:
            self._pdu_ends = now + self._limits.pdu_seconds
            self._pdus = upper.pdus

    def _update_artim(self, upper: UpperLayer, now: float) -> None:
        if not upper.artim_running:
            self._artim_ends = inf
        elif upper.artim_started != self._artim_started:
            self._artim_started = upper.artim_started
            closing = upper.state is State.AWAITING_CLOSE
            limits = self._limits
            seconds = limits.closing_seconds if closing else limits.request_seconds
            self._artim_ends = now + seconds

    def stalled(self, now: float) -> None:
        """The peer does not read what we send."""
        self._write_ends = now + self._limits.pdu_seconds

    def unstalled(self) -> None:
        """It reads again."""
        self._write_ends = inf

    def due(self, now: float, *, quiet: bool) -> Due | None:
        """What has taken too long; `quiet`: it is the peer's turn to do something."""
        if self._artim_ends <= now:
            return Due.ARTIM
        if self._write_ends <= now:
            return Due.WRITE
        if self._pdu_ends <= now:
            return Due.PDU
        if quiet and self.heard + self._limits.idle_seconds <= now:
            return Due.IDLE
        return None

    def next_look(self, now: float) -> float:
        """When to ask again."""
        idle_ends = self.heard + self._limits.idle_seconds
        ends = [self._artim_ends, self._write_ends, self._pdu_ends, idle_ends]
        return min(now + self._shortest, *(end for end in ends if end > now))
