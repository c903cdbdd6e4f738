"""The way to a destination that instances are forwarded to, as SCU of the Storage Service.

Each SOP class is proposed as for a C-MOVE; more classes than an association has contexts
for are proposed in the order of their UIDs, as many as fit, and the rest is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from reconcile.dicom.destinations import Remote
from reconcile.dicom.limits import Limits
from reconcile.dicom.moving import Mover, proposals
from reconcile.dicom.proposing import CONTEXTS_MAX
from reconcile.dicom.requestor import Lost
from reconcile.errors import SOPClassNotSupported
from reconcile.flows.delivering import NotDelivered, Opened
from reconcile.flows.several import Ready


def courier(remote: Remote, calling: str, limits: Limits) -> Opened:
    """What opens a way to a peer, under our AE title `calling`."""

    @contextmanager
    def opened(kinds: Collection[tuple[str, str]]) -> Iterator[_Courier]:
        classes = {sop_class for sop_class, _ in kinds}
        proposed = proposals(dict.fromkeys(kinds, 0), classes)[:CONTEXTS_MAX]
        mover = Mover(remote, calling, proposed, None, limits)
        try:
            yield _Courier(mover)
        finally:
            mover.close()

    return opened


class _Courier:
    """Hands instances over, one after the other."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    def deliver(self, ready: Ready) -> int:
        """See `flows.delivering.Courier`."""
        try:
            outgoing = self._mover.prepare(ready)
            try:
                self._mover.send(outgoing)
            finally:
                outgoing.chunks.close()
            status = self._mover.answer()
        except Lost as error:
            raise NotDelivered(str(error), away=True) from error
        except SOPClassNotSupported as error:
            raise NotDelivered(str(error), away=False) from error
        if status and not _is_warning(status):
            why = f"C-STORE was answered {status:04X}"
            raise NotDelivered(why, away=_is_passing(status), status=status)
        return status


def _is_warning(status: int) -> bool:
    """PS3.7 section C.3; of C-STORE Bxxx."""
    return status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116)


def _is_passing(status: int) -> bool:
    """Refused: Out of Resources (PS3.4 Table B.2-1): another time, maybe."""
    return status & 0xFF00 == 0xA700
