"""Verification as SCU (PS3.4 Annex A): whether a peer is there and lets us in."""

from __future__ import annotations

from reconcile.dataset.convert import IMPLICIT_VR
from reconcile.dicom.commands import echo_request
from reconcile.dicom.destinations import Remote
from reconcile.dicom.limits import Limits
from reconcile.dicom.requestor import Lost, Requestor
from reconcile.dicom.sop_classes import VERIFICATION

_PAIR = (VERIFICATION, IMPLICIT_VR)


def echo(remote: Remote, calling: str, limits: Limits) -> int:
    """The status of a C-ECHO.

    Raises:
        Lost: the peer is not there, refuses the association or Verification, or breaks off.
    """
    requestor = Requestor(remote, calling, [_PAIR], limits)
    if _PAIR not in requestor.accepted.contexts:
        requestor.release()
        raise Lost("the destination does not take Verification")
    requestor.ask(_PAIR, echo_request(1), ())
    answer = requestor.answer()
    requestor.release()
    return answer.status or 0
