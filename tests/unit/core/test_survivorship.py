"""What a person is known as: a fold over what was said, each member by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconcile.core.identity import Demographics, PersonName
from reconcile.core.survivorship import (
    FEED_AUTHORITY,
    IMAGE_AUTHORITY,
    Said,
    known_as,
    survivorship,
    versions,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
RICHARD = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")


def said(words, *cleared, hours=0, authority=FEED_AUTHORITY):
    return Said(words, frozenset(cleared), authority, NOON + timedelta(hours=hours))


def test_the_later_word_wins_however_it_came():
    """
    An older message that comes late changes nothing that is known today.
    """
    old = said(Demographics(PersonName("DOE^J")), hours=-1)

    assert JANE == survivorship([said(JANE), old])[-1]


def test_of_one_time_the_one_that_came_later_wins():
    """
    Messages of one second are told apart by the order in which they came.
    """
    married = Demographics(PersonName("SMITH^JANE"))

    assert "SMITH^JANE" == survivorship([said(JANE), said(married)])[-1].name.alphabetic
    assert "DOE^JANE" == survivorship([said(married), said(JANE)])[-1].name.alphabetic


def test_a_survivor_is_not_overwritten_by_who_was_merged_into_them():
    """
    However much later it was said; what the survivor leaves open is filled.
    """
    bare = Demographics(PersonName("DOE^JANE"))

    assert JANE == known_as([said(JANE)], [[said(RICHARD, hours=9)]])
    known = known_as([said(bare)], [[said(RICHARD)]])
    assert known is not None
    assert ("DOE^JANE", "19750506") == (known.name.alphabetic, known.birth_date)


def test_what_a_survivor_cleared_is_not_filled():
    """
    Sent as empty is not the same as never sent.
    """
    own = [said(JANE), said(Demographics(), "sex", hours=1)]

    known = known_as(own, [[said(RICHARD)]])
    assert known is not None
    assert "" == known.sex


def test_versions_are_those_that_somebody_really_had():
    """
    The gate never compares with a mixture of two persons.
    """
    found = versions([said(Demographics(PersonName("DOE^JANE")))], [[said(RICHARD)]])

    assert [Demographics(PersonName("DOE^JANE")), RICHARD] == found


def test_what_images_said_counts_until_a_feed_speaks():
    """
    Of anybody in the tree.
    """
    image = said(RICHARD, authority=IMAGE_AUTHORITY, hours=9)

    assert RICHARD == known_as([image], [])
    assert JANE == known_as([image], [[said(JANE)]])
    assert [JANE] == versions([image], [[said(JANE)]])
    assert known_as([], []) is None
