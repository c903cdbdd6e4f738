"""The SOP classes that can be stored."""

from __future__ import annotations

from pydicom.uid import UID

from reconcile.dataset.iods import (
    NON_PATIENT,
    SOP_CLASSES,
    STORABLE,
    is_patient_scoped,
    name_of,
)


def test_there_are_175_of_which_nine_have_no_patient() -> None:
    """PS3.4 Annexes B.5 and GG."""
    assert len(STORABLE) == 175
    assert len(NON_PATIENT) == 9
    assert NON_PATIENT < STORABLE


def test_names_are_those_of_the_registry() -> None:
    """As far as pydicom knows them (PS3.6 Annex A)."""
    for uid, (name, _) in SOP_CLASSES.items():
        theirs = UID(uid).name
        assert theirs in (uid, name)


def test_an_unknown_class_is_what_its_instance_says() -> None:
    """It belongs to a patient if it names a study."""
    assert is_patient_scoped("1.2.840.10008.5.1.4.1.1.2", has_study_uid=False)
    assert not is_patient_scoped("1.2.840.10008.5.1.4.38.1", has_study_uid=True)
    assert is_patient_scoped("1.2.3", has_study_uid=True)
    assert not is_patient_scoped("1.2.3", has_study_uid=False)
    assert name_of("1.2.3") == "1.2.3"
