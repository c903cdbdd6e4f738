"""Reports of storage commitment over a new association, as SCP that requests it.

Source:
    PS3.4 section J.3.3; PS3.7 section D.3.3.4 (role selection).
"""

from __future__ import annotations

from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_role

from reconcile.core.commitment import Answered
from reconcile.dicom.availability import ANSWER_SECONDS, CONNECT_SECONDS
from reconcile.dicom.committing import event_type, report
from reconcile.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from reconcile.flows.notify import NotTold

#: It knows the answer already: that it had taken it was lost.
DUPLICATE_INVOCATION = 0x0210


def reporting(
    host: str, port: int, *, called: str, calling: str
) -> Callable[[Answered], None]:
    """What tells a peer of what it asked to be committed."""

    def send(answered: Answered) -> None:
        entity = ApplicationEntity(calling)
        entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
        entity.dimse_timeout = entity.network_timeout = ANSWER_SECONDS
        syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        entity.add_requested_context(STORAGE_COMMITMENT, syntaxes)
        role = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
        association = entity.associate(host, port, ae_title=called, ext_neg=[role])
        if not association.is_established:
            refused = association.is_rejected
            raise NotTold(
                "rejected the association" if refused else "no association", away=True
            )
        try:
            if not association.accepted_contexts:
                raise NotTold("does not take reports of commitment", away=True)
            answer, _ = association.send_n_event_report(
                Dataset.from_json(dict(report(answered))),
                event_type(answered),
                STORAGE_COMMITMENT,
                STORAGE_COMMITMENT_INSTANCE,
            )
        finally:
            association.release()
        status: int | None = answer.get("Status")
        if status is None:
            raise NotTold("no answer to N-EVENT-REPORT", away=True)
        if status not in (0x0000, DUPLICATE_INVOCATION):
            raise NotTold(f"N-EVENT-REPORT was answered {status:04X}", away=False)

    return send
