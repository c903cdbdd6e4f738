"""What there is to tell of one association once it is over: to the log, and to who asks.

An association tells it what happens; it counts, and remembers why the end came. It holds
AE titles, numbers and reasons, and nothing of what was sent.
"""

from __future__ import annotations

import logging

from reconcile.dicom.commands import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_EVENT_REPORT_RQ,
    N_SET_RQ,
    status_of,
)
from reconcile.dicom.negotiation import AssociateRequest
from reconcile.dicom.policy import Certificate, Refusal
from reconcile.flows.associations import Ended

LOG = logging.getLogger(__name__)

RELEASED, ABORTED, REJECTED = "released", "aborted", "rejected"
FAILED, LOST = "failed", "lost"

_NAMES = {
    C_STORE_RQ: "C-STORE",
    C_FIND_RQ: "C-FIND",
    C_GET_RQ: "C-GET",
    C_MOVE_RQ: "C-MOVE",
    C_ECHO_RQ: "C-ECHO",
    N_ACTION_RQ: "N-ACTION",
    N_CREATE_RQ: "N-CREATE",
    N_SET_RQ: "N-SET",
    N_EVENT_REPORT_RQ: "N-EVENT-REPORT",
}
_NO_ANSWER = -1


class Journal:
    """Of one association; it lives in the door's thread."""

    def __init__(self, name: str, address: str) -> None:
        self._name = name
        self._address = address
        self._request: AssociateRequest | None = None
        self._accepted = 0
        self._outcome = ""
        self._reason = ""
        self._counts: dict[tuple[int, int], int] = {}

    def asked(self, request: AssociateRequest) -> None:
        """It has been asked for."""
        self._request = request

    def accepted(self, ae_title: str, contexts: int) -> None:
        """It was accepted, with so many presentation contexts."""
        self._accepted = contexts
        LOG.info(
            "association accepted association=%s calling=%r address=%s contexts=%d",
            self._name,
            ae_title,
            self._address,
            contexts,
        )

    def refused(self, refusal: Refusal) -> None:
        """It was rejected."""
        LOG.warning(
            "association refused association=%s calling=%r address=%s why=%r",
            self._name,
            self._request.calling if self._request else "",
            self._address,
            refusal.why,
        )
        self.ends(REJECTED, refusal.why)

    def responded(self, field: int, command_set: bytes) -> None:
        """A request of this Command Field was answered so, for the last time."""
        self._count(field, status_of(command_set))

    def reported(self, status: int | None) -> None:
        """A report of ours was answered so; None: not at all."""
        self._count(N_EVENT_REPORT_RQ, status)

    def _count(self, field: int, status: int | None) -> None:
        key = field, _NO_ANSWER if status is None else status
        self._counts[key] = self._counts.get(key, 0) + 1

    def broken(self, *, by_peer: bool) -> None:
        """It ended before its time: by an A-ABORT, or the connection was gone."""
        if by_peer:
            self.ends(ABORTED, "by the peer")

    def ends(self, outcome: str, reason: str = "") -> None:
        """It is about to end; what is said first is why."""
        if not self._outcome:
            self._outcome, self._reason = outcome, reason

    def told(
        self, seconds: float, certificate: Certificate | None, *, tls: bool
    ) -> Ended | None:
        """What it was; None: a connection over which nothing was asked for."""
        if self._request is None and not self._outcome:
            return None
        request = self._request
        return Ended(
            self._name,
            self._outcome or LOST,
            self._reason if self._outcome else "the connection was lost",
            self._address,
            seconds,
            request.calling if request else "",
            request.called if request else "",
            tls,
            _name_of(certificate),
            len(request.contexts) if request else 0,
            self._accepted,
            self._services(),
        )

    def _services(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for (field, status), count in sorted(self._counts.items()):
            said = "none" if status == _NO_ANSWER else f"{status:04X}"
            found.setdefault(_NAMES.get(field, f"{field:04X}"), {})[said] = count
        return found


def _name_of(certificate: Certificate | None) -> str:
    if certificate is None:
        return ""
    return ", ".join(sorted(certificate.names)) or certificate.fingerprint
