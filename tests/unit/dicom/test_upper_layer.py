"""The upper layer beside its table: what is said with an abort, and what is forgotten."""

from __future__ import annotations

import tracemalloc

import pytest

from reconcile.dicom.limits import Limits
from reconcile.dicom.states import State
from reconcile.dicom.upper_layer import UpperLayer
from tests.support.door import associate_rq, changed, p_data, pdu
from tests.unit.dicom.test_states import RELEASE_RQ, drain, upper_in


def aborted(upper: UpperLayer) -> tuple[int, int]:
    """Source and reason of the A-ABORT that is to be sent (PS3.8 Table 9-26)."""
    output = upper.take_output()
    assert output[:8] == pdu(7, bytes(4))[:8]
    assert len(output) == 10
    return output[8], output[9]


@pytest.mark.parametrize(
    ("sent", "reason", "fault"),
    [
        (pdu(9, b""), 6, "there is no PDU of type 09H"),
        (pdu(5, b""), 6, "PDU type 05H has no four bytes"),
        (pdu(4, b"", 1 << 31), 6, "PDU type 04H longer than 196608 bytes"),
        (pdu(4, bytes(3)), 6, "a presentation data value does not fit its PDU"),
        (associate_rq(), 2, "ASSOCIATE_RQ was not expected"),
        (pdu(6, bytes(4)), 2, "RELEASE_RP was not expected"),
    ],
)
def test_an_abort_says_what_was_wrong(sent: bytes, reason: int, fault: str) -> None:
    """By the provider, with its reason; in our log in words."""
    upper = upper_in("Sta6")
    upper.receive(memoryview(sent))
    drain(upper)
    assert aborted(upper) == (2, reason)
    assert upper.fault == fault


def test_an_abort_before_there_is_an_association_gives_no_reason() -> None:
    """AA-1 is said to come from the user."""
    for sent in (p_data(3, b"x"), pdu(9, b""), associate_rq()[:-1] + b"\xff" * 2):
        upper = UpperLayer(Limits())
        upper.receive(memoryview(sent))
        drain(upper)
        if upper.state is State.AWAITING_CLOSE:
            assert aborted(upper) == (0, 0)
            assert upper.fault


def test_our_own_abort_is_no_fault_of_the_peer() -> None:
    """Source 0, and nothing to be said in the log."""
    upper = upper_in("Sta6")
    upper.abort()
    assert aborted(upper) == (0, 0)
    assert not upper.fault


@pytest.mark.parametrize("state", ["Sta2", "Sta6", "Sta8"])
def test_a_pdu_that_takes_too_long_ends_in_an_abort(state: str) -> None:
    """What comes of it later is not looked at any more."""
    upper = upper_in(state)
    upper.receive(memoryview(RELEASE_RQ[:7]))
    drain(upper)
    assert upper.in_pdu
    upper.pdu_overdue()
    drain(upper)
    assert aborted(upper) == (0 if state == "Sta2" else 2, 0)
    assert not upper.in_pdu
    upper.receive(memoryview(RELEASE_RQ[7:] + pdu(7, bytes(4))))
    assert (drain(upper), upper.state) == ([], State.AWAITING_CLOSE)


def test_nothing_is_kept_of_what_cannot_be_cut() -> None:
    """A peer that is aborted may go on sending: it goes nowhere."""
    upper = upper_in("Sta6")
    upper.receive(memoryview(pdu(9, b"")))
    drain(upper)
    tracemalloc.start()
    for _ in range(100):
        upper.receive(memoryview(bytearray(100_000)))
        assert drain(upper) == []
        upper.keep()
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()


def test_the_rest_of_a_pdu_is_dropped_after_an_abort() -> None:
    """A data set that is coming when we abort is not passed on; framing goes on."""
    upper = upper_in("Sta6")
    whole = p_data(2, b"data set")
    upper.receive(memoryview(whole[:15]))
    assert len(drain(upper)) == 1
    upper.abort()
    upper.receive(memoryview(whole[15:] + pdu(7, bytes(4))))
    assert drain(upper) == []
    assert upper.state is State.IDLE


def test_what_is_sent_keeps_to_what_the_peer_takes() -> None:
    """Its maximum length, from its request."""
    upper = UpperLayer(changed(maximum_pdu=4096))
    request = associate_rq().replace(b"\0\0\x40\0", b"\0\0\0\x40")
    upper.receive(memoryview(request))
    drain(upper)
    assert upper.maximum == 64
