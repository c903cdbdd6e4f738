"""The state machine of an acceptor's upper layer, as tables (PS3.8 section 9.2).

States, events and actions have the standard's numbers as values. Only the states that an
acceptor can be in have a column here; a cell that is empty in the standard is missing.
What an action sends and tells is done by `upper_layer`; no bytes and no I/O may be put
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """PS3.8 Tables 9-1 to 9-5, without those of a requestor."""

    IDLE = "Sta1"
    AWAITING_REQUEST = "Sta2"
    AWAITING_ANSWER = "Sta3"
    ESTABLISHED = "Sta6"
    AWAITING_RELEASE_RP = "Sta7"
    RELEASE_ASKED = "Sta8"
    COLLISION = "Sta10"
    COLLISION_RELEASE_ASKED = "Sta12"
    AWAITING_CLOSE = "Sta13"


class Event(StrEnum):
    """The rows of PS3.8 Table 9-10; a verb where our own side makes it happen."""

    REQUEST = "Evt1"
    CONNECTION_CONFIRMED = "Evt2"
    ASSOCIATE_AC = "Evt3"
    ASSOCIATE_RJ = "Evt4"
    CONNECTION = "Evt5"
    ASSOCIATE_RQ = "Evt6"
    ACCEPT = "Evt7"
    REJECT = "Evt8"
    SEND_DATA = "Evt9"
    P_DATA_TF = "Evt10"
    RELEASE = "Evt11"
    RELEASE_RQ = "Evt12"
    RELEASE_RP = "Evt13"
    ANSWER_RELEASE = "Evt14"
    ABORT = "Evt15"
    ABORTED = "Evt16"
    CONNECTION_CLOSED = "Evt17"
    ARTIM_EXPIRED = "Evt18"
    INVALID_PDU = "Evt19"


class Action(StrEnum):
    """PS3.8 Tables 9-6 to 9-9, without those of a requestor."""

    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


# Table 9-10. Upper Layer State Transition Table, the columns of an acceptor
_COLUMNS = "Sta1  Sta2  Sta3  Sta6  Sta7  Sta8  Sta10 Sta12 Sta13"
_ROWS = {
    "Evt3": "  -    AA-1  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6",
    "Evt4": "  -    AA-1  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6",
    "Evt5": "  AE-5 -     -     -     -     -     -     -     -   ",
    "Evt6": "  -    AE-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7",
    "Evt7": "  -    -     AE-7  -     -     -     -     -     -   ",
    "Evt8": "  -    -     AE-8  -     -     -     -     -     -   ",
    "Evt9": "  -    -     -     DT-1  -     AR-7  -     -     -   ",
    "Evt10": " -    AA-1  AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-6",
    "Evt11": " -    -     -     AR-1  -     -     -     -     -   ",
    "Evt12": " -    AA-1  AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-6",
    "Evt13": " -    AA-1  AA-8  AA-8  AR-3  AA-8  AR-10 AA-8  AA-6",
    "Evt14": " -    -     -     -     -     AR-4  -     AR-4  -   ",
    "Evt15": " -    -     AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  -   ",
    "Evt16": " -    AA-2  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2",
    "Evt17": " -    AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5",
    "Evt18": " -    AA-2  -     -     -     -     -     -     AA-2",
    "Evt19": " -    AA-1  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action always does.

    Attributes:
        next: the state that follows; AE-6 may refuse, and then follows Sta13.
        artim: True starts the timer (again), False stops it, None leaves it.
    """

    next: State
    artim: bool | None = None


EFFECTS: Mapping[Action, Effect] = {
    Action.AE_5: Effect(State.AWAITING_REQUEST, artim=True),
    Action.AE_6: Effect(State.AWAITING_ANSWER, artim=False),
    Action.AE_7: Effect(State.ESTABLISHED),
    Action.AE_8: Effect(State.AWAITING_CLOSE, artim=True),
    Action.DT_1: Effect(State.ESTABLISHED),
    Action.DT_2: Effect(State.ESTABLISHED),
    Action.AR_1: Effect(State.AWAITING_RELEASE_RP),
    Action.AR_2: Effect(State.RELEASE_ASKED),
    Action.AR_3: Effect(State.IDLE),
    Action.AR_4: Effect(State.AWAITING_CLOSE, artim=True),
    Action.AR_5: Effect(State.IDLE, artim=False),
    Action.AR_6: Effect(State.AWAITING_RELEASE_RP),
    Action.AR_7: Effect(State.RELEASE_ASKED),
    Action.AR_8: Effect(State.COLLISION),
    Action.AR_10: Effect(State.COLLISION_RELEASE_ASKED),
    Action.AA_1: Effect(State.AWAITING_CLOSE, artim=True),
    Action.AA_2: Effect(State.IDLE, artim=False),
    Action.AA_3: Effect(State.IDLE),
    Action.AA_4: Effect(State.IDLE),
    Action.AA_5: Effect(State.IDLE, artim=False),
    Action.AA_6: Effect(State.AWAITING_CLOSE),
    Action.AA_7: Effect(State.AWAITING_CLOSE),
    Action.AA_8: Effect(State.AWAITING_CLOSE, artim=True),
}


def _transitions() -> dict[State, dict[Event, Action]]:
    columns = [State(name) for name in _COLUMNS.split()]
    table: dict[State, dict[Event, Action]] = {state: {} for state in columns}
    for name, row in _ROWS.items():
        for state, cell in zip(columns, row.split(), strict=True):
            if cell != "-":
                table[state][Event(name)] = Action(cell)
    return table


TRANSITIONS: Mapping[State, Mapping[Event, Action]] = _transitions()
"""The action of each event in each state, where there is one."""
