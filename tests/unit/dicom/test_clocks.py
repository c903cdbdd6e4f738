"""Deadlines: none is missed, and none is armed while PDUs come."""

from __future__ import annotations

import pytest

from reconcile.dicom.clocks import Clocks, Due
from reconcile.dicom.limits import Limits
from reconcile.dicom.upper_layer import UpperLayer
from tests.support.door import associate_rq, changed, pdu
from tests.unit.dicom.test_states import ACCEPTANCE, upper_in

LIMITS = changed(
    request_seconds=30.0, pdu_seconds=60.0, idle_seconds=120.0, closing_seconds=1.0
)


def clocks(upper: UpperLayer, now: float = 0.0, limits: Limits = LIMITS) -> Clocks:
    made = Clocks(limits, now)
    made.update(upper, now, reading=True)
    return made


def half_a_pdu(upper: UpperLayer) -> None:
    upper.receive(memoryview(pdu(4, b"", length=100)[:3]))
    upper.next_event()


def test_a_request_has_its_time_from_the_connection_on() -> None:
    """ARTIM (PS3.8 section 9.1.5): bytes that drip do not make it longer."""
    upper = UpperLayer(LIMITS)
    made = clocks(upper)
    upper.receive(memoryview(associate_rq()[:20]))
    upper.next_event()
    made.update(upper, 29.0, reading=True)
    assert made.due(29.9, quiet=True) is None
    assert made.due(30.0, quiet=True) is Due.ARTIM


def test_once_there_is_an_association_artim_is_over() -> None:
    """And begins anew when it ends, with a time of its own."""
    upper = upper_in("Sta6")
    made = clocks(upper)
    assert made.due(100.0, quiet=True) is None
    upper.abort()
    made.update(upper, 100.0, reading=True)
    assert made.due(100.9, quiet=True) is None
    assert made.due(101.0, quiet=True) is Due.ARTIM


def test_a_pdu_has_its_time_as_a_whole() -> None:
    """From the first byte of its header; the next one begins anew."""
    upper = upper_in("Sta6")
    made = clocks(upper)
    half_a_pdu(upper)
    made.update(upper, 10.0, reading=True)
    made.update(upper, 69.0, reading=True)
    assert made.due(70.0, quiet=True) is Due.PDU
    upper.receive(memoryview(pdu(4, b"", length=0)[3:] + pdu(4, b"")[:1]))
    assert upper.next_event() is None
    made.update(upper, 70.0, reading=True)
    assert made.due(129.9, quiet=True) is None
    assert made.due(130.0, quiet=True) is Due.PDU


def test_a_peer_that_is_not_read_from_has_time() -> None:
    """What we keep waiting is not late."""
    upper = upper_in("Sta6")
    made = clocks(upper)
    half_a_pdu(upper)
    made.update(upper, 10.0, reading=True)
    made.update(upper, 50.0, reading=False)
    assert made.due(1000.0, quiet=False) is None
    made.update(upper, 1000.0, reading=True)
    assert made.due(1059.9, quiet=False) is None
    assert made.due(1060.0, quiet=False) is Due.PDU


def test_silence_ends_when_it_is_the_peers_turn() -> None:
    """Not while something of it is carried out."""
    made = clocks(upper_in("Sta6"))
    assert made.due(120.0, quiet=False) is None
    assert made.due(119.9, quiet=True) is None
    assert made.due(120.0, quiet=True) is Due.IDLE


def test_a_peer_that_does_not_read_has_an_end() -> None:
    """And none while it reads."""
    made = clocks(upper_in("Sta6"))
    made.stalled(5.0)
    assert made.due(64.9, quiet=False) is None
    assert made.due(65.0, quiet=False) is Due.WRITE
    made.unstalled()
    assert made.due(65.0, quiet=False) is None


@pytest.mark.parametrize("began", [0.0, 1.0, 59.9])
def test_no_deadline_is_looked_at_late(began: float) -> None:
    """However it falls between two looks: one timer for all is enough."""
    upper = upper_in("Sta6")
    made = clocks(upper)
    looks = [made.next_look(0.0)]
    half_a_pdu(upper)
    made.update(upper, began, reading=True)
    while made.due(looks[-1], quiet=True) is None:
        looks.append(made.next_look(looks[-1]))
    assert looks[-1] == pytest.approx(began + 60.0)
    assert len(looks) <= 2


def test_looks_are_rare() -> None:
    """An idle association is looked at once in the shortest limit."""
    upper = UpperLayer(LIMITS)
    made = clocks(upper)
    assert made.next_look(0.0) == 30.0
    upper.receive(memoryview(associate_rq()))
    upper.next_event()
    upper.accept(ACCEPTANCE)
    made.update(upper, 1.0, reading=True)
    assert made.next_look(30.0) == 90.0
