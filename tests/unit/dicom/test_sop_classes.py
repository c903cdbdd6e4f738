"""SOP classes: all storage is taken, and nothing that is not storage."""

from __future__ import annotations

import pytest
from pynetdicom import sop_class as library

from reconcile.dataset.iods import STORABLE
from reconcile.dicom.sop_classes import NEVER, is_storage

OTHER_SERVICES = sorted(
    uid
    for name, table in vars(library).items()
    if name.startswith("_")
    and name.endswith("_CLASSES")
    and name not in ("_STORAGE_CLASSES", "_NON_PATIENT_OBJECT_CLASSES", "_SERVICE_CLASSES")
    for uid in table.values()
)


@pytest.mark.parametrize("uid", sorted(STORABLE))
def test_every_storable_class_is_taken(uid: str) -> None:
    """The 175 classes that C-STORE can carry."""
    assert is_storage(uid)


def test_every_storage_class_of_the_library_is_taken() -> None:
    """pynetdicom's storage classes are ours too."""
    known = {
        *library._STORAGE_CLASSES.values(),
        *library._NON_PATIENT_OBJECT_CLASSES.values(),
    }
    assert not [uid for uid in known if not is_storage(uid)]


@pytest.mark.parametrize("uid", OTHER_SERVICES)
def test_no_other_service_is_storage(uid: str) -> None:
    """Query, worklist, MPPS, commitment, print: not even where a peer declares them."""
    assert not is_storage(uid, declared={uid})


@pytest.mark.parametrize("uid", sorted(NEVER))
def test_media_and_streams_are_never_storage(uid: str) -> None:
    """Media Storage Directory and Real-Time Communication cannot be stored."""
    assert not is_storage(uid, declared={uid})


def test_verification_is_not_storage() -> None:
    """C-ECHO is another service."""
    assert not is_storage("1.2.840.10008.1.1", declared={"1.2.840.10008.1.1"})


@pytest.mark.parametrize(
    "uid",
    [
        "1.3.46.670589.11.0.0.12.1",  # private MR Spectrum Storage
        "1.2.840.113619.4.30",  # private
        "2.25.12345",
        "1.2.840.10008.5.1.4.1.1.999.1",  # of an edition to come
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine Image Storage (retired)
    ],
)
def test_classes_unknown_to_the_libraries_are_taken(uid: str) -> None:
    """Private and newer storage classes are stored like others."""
    assert is_storage(uid)


def test_a_new_class_elsewhere_must_be_declared() -> None:
    """Outside the composite branch a standard UID is storage if the peer says so."""
    uid = "1.2.840.10008.5.1.4.99.1"
    assert not is_storage(uid)
    assert is_storage(uid, declared={uid})


@pytest.mark.parametrize("uid", ["", "abc", "1.2.3/../4", "1" * 65, "1.2.3\n"])
def test_what_is_no_uid_is_no_class(uid: str) -> None:
    """A private class still has a UID."""
    assert not is_storage(uid, declared={uid})


@pytest.mark.parametrize(
    "uid",
    ["1.2.840.10008.1.2.1", "1.2.840.10008.1.20.1.1", "1.2.840.10008.3.1.1.1"],
)
def test_uids_of_other_kinds_are_no_class(uid: str) -> None:
    """A transfer syntax or a well-known instance is not a SOP class."""
    assert not is_storage(uid, declared={uid})
