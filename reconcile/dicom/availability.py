"""Instance Availability Notification as SCU (PS3.4 Annex R; IHE RAD-49).

Only the attributes of Table R.3.2-1 are sent: others are forbidden, lest they say who the
patient is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from reconcile.dicom.sop_classes import AVAILABILITY
from reconcile.flows.notify import Notice, NotTold

SOP_CLASS = AVAILABILITY
#: For connection and association, and for the answer.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 30.0

#: It knows this notification already: an answer to an earlier try was lost.
DUPLICATE_SOP_INSTANCE = 0x0111
#: Success, and warnings of N-CREATE (PS3.7 10.1.5.1.6).
_TOLD = frozenset({0x0000, 0x0001, 0x0107, 0x0116, DUPLICATE_SOP_INSTANCE})


def availability(
    host: str, port: int, *, called: str, calling: str, uid_root: str
) -> Callable[[Notice], None]:
    """What tells a peer which instances of a study it can have from `calling`."""

    def send(notice: Notice) -> None:
        entity = ApplicationEntity(calling)
        entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
        entity.dimse_timeout = entity.network_timeout = ANSWER_SECONDS
        syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        entity.add_requested_context(SOP_CLASS, syntaxes)
        association = entity.associate(host, port, ae_title=called)
        if not association.is_established:
            why = (
                "rejected the association" if association.is_rejected else "no association"
            )
            raise NotTold(why, away=True)
        try:
            # Of a notice that is sent again the peer can see that it is the same.
            _create(association, notice, calling, f"{uid_root}.{notice.id.int}")
        finally:
            association.release()

    return send


def _create(association: Association, notice: Notice, title: str, uid: str) -> None:
    if not association.accepted_contexts:
        raise NotTold("does not take availability notifications", away=True)
    said = attributes(notice.study_instance_uid or "", notice.available, title)
    answer, _ = association.send_n_create(said, SOP_CLASS, uid)
    status: int | None = answer.get("Status")
    if status is None:
        raise NotTold("no answer to N-CREATE", away=True)
    if status not in _TOLD:
        raise NotTold(f"N-CREATE was answered {status:04X}", away=False)


def attributes(
    study: str, available: Sequence[tuple[str, str, str]], title: str
) -> Dataset:
    """The attributes of a notification (PS3.4 Table R.3.2-1).

    Args:
        study: Study Instance UID as given out.
        available: (Series UID, SOP Class UID, SOP Instance UID), by series.
        title: the AE title from which they can be retrieved.
    """
    said = Dataset()
    said.ReferencedPerformedProcedureStepSequence = []
    said.StudyInstanceUID = study
    said.ReferencedSeriesSequence = [
        _series(uid, [each[1:] for each in rows], title)
        for uid, rows in groupby(available, lambda row: row[0])
    ]
    return said


def _series(uid: str, instances: Sequence[tuple[str, str]], title: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ReferencedSOPSequence = [_instance(*each, title) for each in instances]
    return item


def _instance(sop_class: str, uid: str, title: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    item.InstanceAvailability, item.RetrieveAETitle = "ONLINE", title
    return item
