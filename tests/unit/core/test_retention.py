"""Rules of retention: who is old enough, by which rule, and who is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconcile.core.retention import Rule, Study, decide

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OLD = Study(NOW, "20150101", frozenset({"CT_A"}), frozenset({"CT"}))
ALL = Rule("all", 3650)


def test_a_study_is_as_old_as_its_date_says() -> None:
    """Imported today, made long ago; to the day."""
    assert decide([ALL], OLD, NOW) is ALL
    edge = (NOW - timedelta(days=3650)).strftime("%Y%m%d")
    assert decide([ALL], replace(OLD, study_date=edge), NOW) is None
    before = (NOW - timedelta(days=3651)).strftime("%Y%m%d")
    assert decide([ALL], replace(OLD, study_date=before), NOW) is ALL


@pytest.mark.parametrize("said", ["", "2015", "20159999", "ABCDEFGH"])
def test_without_a_date_it_is_as_old_as_its_last_instance(said: str) -> None:
    """What is no date makes nothing older."""
    study = replace(OLD, study_date=said)
    assert decide([ALL], study, NOW) is None
    assert decide([ALL], replace(study, stored_at=NOW - timedelta(days=3651)), NOW) is ALL


def test_by_the_time_of_storing() -> None:
    """Whatever the header says."""
    rule = replace(ALL, by="stored")
    assert decide([rule], OLD, NOW) is None


def test_the_first_rule_that_fits_decides() -> None:
    """Also where its time has not come, and where it keeps."""
    longer = Rule("ct", 36500, modalities=frozenset({"CT"}))
    assert decide([longer, ALL], OLD, NOW) is None
    assert decide([ALL, longer], OLD, NOW) is ALL
    kept = Rule("teaching", 1, sources=frozenset({"CT_A"}), keep=True)
    assert decide([kept, ALL], OLD, NOW) is None


def test_a_rule_that_deletes_needs_all_and_one_that_keeps_any() -> None:
    """A study of CT and MR is not deleted by a rule for CT."""
    both = replace(OLD, modalities=frozenset({"CT", "MR"}))
    only = Rule("ct", 10, modalities=frozenset({"CT"}))
    assert decide([only], OLD, NOW) is only
    assert decide([only], both, NOW) is None
    assert decide([replace(only, keep=True), ALL], both, NOW) is None
    assert decide([only], replace(OLD, modalities=frozenset()), NOW) is None


def test_rules_of_rejected_instances_delete_no_study() -> None:
    """They are about single instances."""
    rule = Rule("bad", 1, rejected=frozenset({"113001"}))
    assert decide([rule], OLD, NOW) is None


def test_a_rule_that_asks_has_no_time() -> None:
    """It waits for a person."""
    assert ALL.due(NOW) == NOW + timedelta(days=30)
    assert replace(ALL, asks=True).due(NOW) is None
