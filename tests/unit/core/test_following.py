"""Which references follow, wait, or stay: by what is known of what they name."""

from __future__ import annotations

from reconcile.core.attributes import Assign, Follow, Recode, from_listed, listed
from reconcile.core.following import OWN, Own, follow

MINE = Own("1.1", "2.1", "1.1.5", "1.1.5")
MOVED = Own("1.1", "2.1", "1.1.5", "2.1.5")


def test_its_own_study_and_series_follow():
    """
    A reference to the own study goes where the study goes, however it is named.
    """
    named = {("", "1.1"), (OWN, "1.1.5"), ("1.1", "1.1.5")}
    found = follow(named, MOVED, {}, {})

    assert found.follow == Follow(
        (("", "1.1", "2.1"), (OWN, "1.1.5", "2.1.5"), ("1.1", "1.1.5", "2.1.5"))
    )
    assert not found.unmet


def test_what_is_not_renamed_does_not_change():
    """
    A known study that is given out as it came makes no change, and nothing waits.
    """
    found = follow(
        {("", "3.1"), ("3.1", "3.1.1")}, MINE, {"3.1": "3.1"}, {("3.1", "3.1.1"): "3.1.1"}
    )

    assert (None, frozenset()) == (found.follow, found.unmet)


def test_what_nobody_knows_waits():
    """
    An unknown study, and an unknown series of a known one, are waited for.
    """
    named = frozenset({("", "9.1"), ("9.1", "9.1.1"), ("3.1", "3.1.7")})
    found = follow(named, MINE, {"3.1": "3.1"}, {})

    assert (None, named) == (found.follow, found.unmet)


def test_one_series_uid_in_two_studies_follows_by_its_context():
    """
    The same Series UID means another series in another study.
    """
    series = {("4.1", "7"): "7", ("4.2", "7"): "4.2.7"}
    studies = {"3.1": "4.1", "3.2": "4.2"}
    found = follow({("3.1", "7"), ("3.2", "7")}, MINE, studies, series)

    assert found.follow == Follow((("3.2", "7", "4.2.7"),))


def test_a_series_that_came_as_several_stays():
    """
    Where a reference could mean several series, nothing is guessed.
    """
    found = follow({("3.1", "7")}, MINE, {"3.1": "4.1"}, {}, {("4.1", "7")})

    assert (None, frozenset(), True) == (found.follow, found.unmet, found.ambiguous)


def test_an_assigned_uid_stands_for_itself():
    """
    Who was told the archive's own UIDs refers by them: nothing to follow, nobody waits.
    """
    series = {("4.2", "7"): "4.2.7"}
    found = follow({("", "4.2"), ("4.2", "4.2.7")}, MINE, {"4.2": "4.2"}, series)

    assert (None, frozenset()) == (found.follow, found.unmet)


def test_changes_come_back_from_what_is_stored():
    """
    `from_listed` is the inverse of `listed`, for every kind of change.
    """
    changes = (
        Assign("00100020", {"vr": "LO", "Value": ["E1"]}),
        Assign("00101002", None),
        Follow((("", "1.1", "2.1"), (".", "1.1.5", "2.1.5"))),
        Recode((("SRT", "T-D1100", "69536005"),), deep=True),
    )

    assert changes == tuple(from_listed(listed(change)) for change in changes)
