"""Which SOP classes can be stored here.

Every class of the Storage and Non-Patient Object Storage service classes, those that
come after the libraries were written, and private ones. What another service class owns
(query and retrieve, worklist, performed procedure step, commitment, print) is never
storage, whatever a peer declares about it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache

from pydicom.uid import UID
from pynetdicom.service_class import (
    NonPatientObjectStorageServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

from reconcile.dataset.iods import STORABLE

VERIFICATION = "1.2.840.10008.1.1"
# PS3.4 section C.6: of Patient/Study Only, which is retired, nothing is served
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
# PS3.4 Annex JJ: of inventories, which are no patient's
INVENTORY_FIND = "1.2.840.10008.5.1.4.1.1.201.2"
INVENTORY_MOVE = "1.2.840.10008.5.1.4.1.1.201.3"
INVENTORY_GET = "1.2.840.10008.5.1.4.1.1.201.4"
FIND = frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND, WORKLIST_FIND, INVENTORY_FIND})
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
RETRIEVE = frozenset(
    {
        *(PATIENT_ROOT_MOVE, PATIENT_ROOT_GET, STUDY_ROOT_MOVE, STUDY_ROOT_GET),
        *(INVENTORY_MOVE, INVENTORY_GET),
    }
)
AVAILABILITY = "1.2.840.10008.5.1.4.33"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP Instance (PS3.4 section J.3.5)."""
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
NORMALIZED = frozenset({STORAGE_COMMITMENT, PERFORMED_STEP})
#: What is served besides storage and verification, and what we ask others for.
SERVED = FIND | RETRIEVE | NORMALIZED
USED = frozenset({VERIFICATION, AVAILABILITY, PERFORMED_STEP})
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"

_STANDARD = "1.2.840.10008."
_COMPOSITE = "1.2.840.10008.5.1.4.1.1."
_UID = re.compile(r"[0-9.]{1,64}")
_STORAGE = frozenset({StorageServiceClass, NonPatientObjectStorageServiceClass})

NEVER = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory: PS3.10 media only
        "1.2.840.10008.10.1",  # Video Endoscopic Image Real-Time Communication: PS3.22
        "1.2.840.10008.10.2",  # Video Photographic Image Real-Time Communication
        "1.2.840.10008.10.3",  # Audio Waveform Real-Time Communication
        "1.2.840.10008.10.4",  # Rendition Selection Document Real-Time Communication
    }
)


def is_uid(text: str) -> bool:
    """Whether every character and the length are those of a UID (PS3.5 section 9.1)."""
    return bool(_UID.fullmatch(text))


def is_storage(sop_class_uid: str, declared: Container[str] = ()) -> bool:
    """Whether instances of this SOP class are taken.

    Args:
        sop_class_uid: the abstract syntax of a presentation context.
        declared: SOP classes that this peer declares to be of the Storage Service Class
            by SOP Class Common Extended Negotiation (PS3.7 section D.3.3.6).
    """
    if sop_class_uid in NEVER or not is_uid(sop_class_uid):
        return False
    if sop_class_uid in STORABLE:
        return True
    if _belongs_elsewhere(sop_class_uid):
        return False
    private = not sop_class_uid.startswith(_STANDARD)
    return private or sop_class_uid.startswith(_COMPOSITE) or sop_class_uid in declared


@lru_cache(maxsize=1024)
def _belongs_elsewhere(uid: str) -> bool:
    """Whether the libraries know this UID as something other than a storage class."""
    service = uid_to_service_class(uid)
    if service in _STORAGE:
        return False
    return service is not ServiceClass or UID(uid).type not in ("", "SOP Class")
