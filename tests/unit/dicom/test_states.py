"""The state machine of PS3.8 section 9.2, cell by cell, on a real upper layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from reconcile.dicom.limits import Limits
from reconcile.dicom.negotiation import Acceptance, Answered, AssociateRequest
from reconcile.dicom.pdus import Fragment
from reconcile.dicom.states import TRANSITIONS
from reconcile.dicom.upper_layer import Aborted, Released, ReleaseRequested, UpperLayer
from tests.support.door import CT, EXPLICIT, associate_rq, p_data, pdu

ACCEPTANCE = Acceptance((Answered(1, 0, CT, EXPLICIT),), 16384, "1.2.3", "V")
ASSOCIATE_AC = pdu(2, bytes(68))
RELEASE_RQ, RELEASE_RP = pdu(5, bytes(4)), pdu(6, bytes(4))

# Table 9-10, written down column by column: what happens, and the action.
TABLE = {
    "Sta1": {5: "AE-5"},
    "Sta2": {3: "AA-1", 4: "AA-1", 6: "AE-6", 10: "AA-1", 12: "AA-1", 13: "AA-1"}
    | {16: "AA-2", 17: "AA-5", 18: "AA-2", 19: "AA-1"},
    "Sta3": {3: "AA-8", 4: "AA-8", 6: "AA-8", 7: "AE-7", 8: "AE-8", 10: "AA-8"}
    | {12: "AA-8", 13: "AA-8", 15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta6": {3: "AA-8", 4: "AA-8", 6: "AA-8", 9: "DT-1", 10: "DT-2", 11: "AR-1"}
    | {12: "AR-2", 13: "AA-8", 15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta7": {3: "AA-8", 4: "AA-8", 6: "AA-8", 10: "AR-6", 12: "AR-8", 13: "AR-3"}
    | {15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta8": {3: "AA-8", 4: "AA-8", 6: "AA-8", 9: "AR-7", 10: "AA-8", 12: "AA-8"}
    | {13: "AA-8", 14: "AR-4", 15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta10": {3: "AA-8", 4: "AA-8", 6: "AA-8", 10: "AA-8", 12: "AA-8", 13: "AR-10"}
    | {15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta12": {3: "AA-8", 4: "AA-8", 6: "AA-8", 10: "AA-8", 12: "AA-8", 13: "AA-8"}
    | {14: "AR-4", 15: "AA-1", 16: "AA-3", 17: "AA-4", 19: "AA-8"},
    "Sta13": {3: "AA-6", 4: "AA-6", 6: "AA-7", 10: "AA-6", 12: "AA-6", 13: "AA-6"}
    | {16: "AA-2", 17: "AR-5", 18: "AA-2", 19: "AA-7"},
}


class Does(NamedTuple):
    """What an action sends (PDU type, and of an A-ABORT the source), tells and starts."""

    sends: tuple[int, ...]
    tells: type | None
    next: str
    artim: str = ""


# Tables 9-6 to 9-9
ACTIONS = {
    "AE-5": Does((), None, "Sta2", "start"),
    "AE-6": Does((), AssociateRequest, "Sta3", "stop"),
    "AE-7": Does((2,), None, "Sta6"),
    "AE-8": Does((3,), None, "Sta13", "start"),
    "DT-1": Does((4,), None, "Sta6"),
    "DT-2": Does((), Fragment, "Sta6"),
    "AR-1": Does((5,), None, "Sta7"),
    "AR-2": Does((), ReleaseRequested, "Sta8"),
    "AR-3": Does((), Released, "Sta1"),
    "AR-4": Does((6,), None, "Sta13", "start"),
    "AR-5": Does((), None, "Sta1", "stop"),
    "AR-6": Does((), Fragment, "Sta7"),
    "AR-7": Does((4,), None, "Sta8"),
    "AR-8": Does((), ReleaseRequested, "Sta10"),
    "AR-10": Does((), Released, "Sta12"),
    "AA-1": Does((7, 0), None, "Sta13", "start"),
    "AA-2": Does((), None, "Sta1", "stop"),
    "AA-3": Does((), Aborted, "Sta1"),
    "AA-4": Does((), Aborted, "Sta1"),
    "AA-5": Does((), None, "Sta1", "stop"),
    "AA-6": Does((), None, "Sta13"),
    "AA-7": Does((7, 2), None, "Sta13"),
    "AA-8": Does((7, 2), Aborted, "Sta13", "start"),
}


def received(content: bytes) -> Callable[[UpperLayer], None]:
    return lambda upper: upper.receive(memoryview(content))


HAPPENS: dict[int, Callable[[UpperLayer], None]] = {
    3: received(ASSOCIATE_AC),
    4: received(pdu(3, b"\0\1\1\1")),
    6: received(associate_rq()),
    7: lambda upper: upper.accept(ACCEPTANCE),
    8: lambda upper: upper.reject(1, 1, 3),
    9: lambda upper: upper.send_command(1, b"command"),
    10: received(p_data(3, b"command")),
    11: UpperLayer.release,
    12: received(RELEASE_RQ),
    13: received(RELEASE_RP),
    14: UpperLayer.answer_release,
    15: UpperLayer.abort,
    16: received(pdu(7, bytes(4))),
    17: UpperLayer.connection_closed,
    18: UpperLayer.artim_expired,
    19: received(pdu(9, b"what is this")),
}
ON_THE_WIRE = frozenset({3, 4, 6, 10, 12, 13, 16, 19})
OF_A_REQUESTOR = frozenset({1, 2})  # Evt1 and Evt2: nobody here can make them happen
WAY_TO = {
    "Sta1": (17,),
    "Sta2": (),
    "Sta3": (6,),
    "Sta6": (6, 7),
    "Sta7": (6, 7, 11),
    "Sta8": (6, 7, 12),
    "Sta10": (6, 7, 11, 12),
    "Sta12": (6, 7, 11, 12, 13),
    "Sta13": (6, 7, 15),
}


def drain(upper: UpperLayer) -> list[object]:
    return list(iter(upper.next_event, None))


def upper_in(state: str) -> UpperLayer:
    """An upper layer that went there the ordinary way."""
    upper = UpperLayer(Limits())
    for event in WAY_TO[state]:
        HAPPENS[event](upper)
        drain(upper)
    upper.take_output()
    assert upper.state == state
    return upper


def sent(output: bytes) -> tuple[int, ...]:
    """Type of the one PDU in it; of an A-ABORT the source too."""
    if not output:
        return ()
    assert len(output) == 6 + int.from_bytes(output[2:6], "big")
    return (output[0], output[8]) if output[0] == 7 else (output[0],)


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("event", HAPPENS)
def test_every_cell_of_the_table(state: str, event: int) -> None:
    """What is sent, told and started in each state on each event; or it cannot be."""
    upper = upper_in(state)
    started, running = upper.artim_started, upper.artim_running
    action = TABLE[state].get(event)
    if action is None and event not in ON_THE_WIRE:
        with pytest.raises(AssertionError):
            HAPPENS[event](upper)
        return
    HAPPENS[event](upper)
    told = drain(upper)
    if action is None:
        assert state == "Sta1"
        assert (told, upper.take_output(), upper.state) == ([], b"", state)
        return
    does = ACTIONS[action]
    assert sent(upper.take_output()) == does.sends
    assert [type(each) for each in told] == ([does.tells] if does.tells else [])
    assert upper.state == does.next
    assert upper.artim_started - started == (does.artim == "start")
    assert upper.artim_running == (
        does.artim == "start" if does.artim else running and does.next != "Sta1"
    )


def test_a_connection_begins_in_sta2() -> None:
    """Evt5 in Sta1: AE-5."""
    upper = UpperLayer(Limits())
    assert (upper.state, upper.artim_running, upper.artim_started) == ("Sta2", True, 1)
    assert (drain(upper), upper.take_output()) == ([], b"")


def test_the_table_is_that_of_the_library() -> None:
    """A second transcription, and not ours: pynetdicom's."""
    theirs = {
        state: {
            int(event.removeprefix("Evt")): action
            for (event, where), action in TRANSITION_TABLE.items()
            if where == state and int(event.removeprefix("Evt")) not in OF_A_REQUESTOR
        }
        for state in TABLE
    }
    ours = {
        str(state): {int(event.removeprefix("Evt")): str(a) for event, a in cells.items()}
        for state, cells in TRANSITIONS.items()
    }
    assert theirs == ours == TABLE


def test_another_protocol_version_is_rejected_by_the_provider() -> None:
    """AE-6, otherwise: A-ASSOCIATE-RJ 1/2/2, ARTIM, Sta13; only bit 0 is looked at."""
    request = bytearray(associate_rq())
    for version, taken in ((b"\0\3", True), (b"\0\2", False)):
        request[6:8] = version
        upper = UpperLayer(Limits())
        upper.receive(memoryview(bytes(request)))
        assert bool(drain(upper)) == taken
        if not taken:
            assert upper.take_output() == pdu(3, bytes((0, 1, 2, 2)))
            assert (upper.state, upper.artim_running) == ("Sta13", True)
