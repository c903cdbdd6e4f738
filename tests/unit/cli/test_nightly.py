"""When the next night is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reconcile.cli.nightly import until

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        (datetime(2026, 11, 25, 0, 30, tzinfo=UTC), 1),
        (datetime(2026, 11, 25, 1, 30, tzinfo=UTC), 24),
        (datetime(2026, 11, 25, 12, 30, tzinfo=UTC), 13),
        # In summer 02:30 there is 00:30 here.
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), 23),
    ],
)
def test_the_next_time_of_day_in_a_time_zone(at: datetime, hours: int) -> None:
    """02:30 in Berlin; at that time itself it is tomorrow's."""
    assert timedelta(seconds=until("02:30", BERLIN, at)) == timedelta(hours=hours)
