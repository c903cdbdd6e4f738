"""Performed procedure steps relayed to another SCP of them, as SCU (PS3.4 Annex F.7).

An association for each N-CREATE and N-SET. What is relayed, and when, is not decided here.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from reconcile.dicom.availability import ANSWER_SECONDS, CONNECT_SECONDS
from reconcile.dicom.destinations import Remote
from reconcile.dicom.library import configure_pynetdicom
from reconcile.dicom.sop_classes import PERFORMED_STEP
from reconcile.flows.delivering import NotDelivered
from reconcile.flows.relaying_steps import CREATE, Relay, Relayed

#: It knows this step already: an answer to an earlier try was lost.
DUPLICATE_SOP_INSTANCE = 0x0111
#: Success, and warnings (PS3.7 10.1.3.1.7, 10.1.5.1.6).
_TAKEN = frozenset({0x0000, 0x0001, 0x0107, 0x0116})
#: Resource limitation (PS3.7 C.5.16): another time, maybe.
_PASSING = frozenset({0x0213})

#: What pydicom raises of values that no data set can hold.
_UNSAYABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def relaying_steps(remote: Remote, calling: str) -> Relay:
    """What relays steps to a peer, under our AE title `calling`."""

    def relay(told: Relayed) -> int:
        association = _associated(remote, calling)
        try:
            status = _sent(association, told)
        finally:
            association.release()
        known = told.operation == CREATE and status == DUPLICATE_SOP_INSTANCE
        if status not in _TAKEN and not known:
            why = f"{told.operation} was answered {status:04X}"
            raise NotDelivered(why, away=status in _PASSING, status=status)
        return status

    return relay


def _associated(remote: Remote, calling: str) -> Association:
    configure_pynetdicom()
    entity = ApplicationEntity(calling)
    entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
    entity.dimse_timeout = entity.network_timeout = ANSWER_SECONDS
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    entity.add_requested_context(PERFORMED_STEP, syntaxes)
    tls = (remote.tls, remote.host) if remote.tls is not None else None
    association = entity.associate(
        remote.host, remote.port, ae_title=remote.ae_title, tls_args=tls
    )
    if not association.is_established:
        refused = association.is_rejected
        why = "rejected the association" if refused else "no association"
        raise NotDelivered(why, away=True)
    if not association.accepted_contexts:
        association.release()
        raise NotDelivered("does not take performed procedure steps", away=True)
    return association


def _sent(association: Association, told: Relayed) -> int:
    create = told.operation == CREATE
    ask = association.send_n_create if create else association.send_n_set
    try:
        said = Dataset.from_json(dict(told.said))
        answer, _ = ask(said, PERFORMED_STEP, told.sop_instance_uid)
    except RuntimeError:
        raise NotDelivered("broke off", away=True) from None
    except _UNSAYABLE:
        # What it says may be of a patient.
        raise NotDelivered("it cannot be written as it was said", away=False) from None
    status: int | None = answer.get("Status")
    if status is None:
        raise NotDelivered(f"no answer to {told.operation}", away=True)
    return status
