"""Requests of N-services: what is answered to them, without sockets and registry."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import uuid4

import pytest

from reconcile.core.commitment import Answered
from reconcile.dicom.commands import (
    N_CREATE_RQ,
    N_SET_RQ,
    NO_DATA_SET,
    CommandSet,
    event_report,
)
from reconcile.dicom.committing import ReportResponse
from reconcile.dicom.messages import Context, Report
from reconcile.dicom.performing import CreateRequest, SetRequest
from reconcile.dicom.sop_classes import PERFORMED_STEP, STORAGE_COMMITMENT
from reconcile.errors import LimitExceeded, StepIsOver
from reconcile.flows.commitment import Asked, Commitment
from reconcile.flows.performed import Told
from tests.support.door import CT, EXPLICIT, associate_rq, changed
from tests.unit.dicom.peers import Line, SomePeer

STEP = Context(PERFORMED_STEP, EXPLICIT)


class Flow:
    """Keeps what it is told; `fault` is raised."""

    def __init__(self) -> None:
        self.heard: list[Told] = []
        self.fault: Exception | None = None

    def commit(self, asked: Asked) -> Commitment:
        return Commitment(uuid4(), asked.source, Answered(asked.transaction_uid, ()))

    def told(self, commitment: Commitment, status: int | None) -> None:
        """Nobody asks."""

    def create(self, told: Told) -> None:
        self.heard.append(told)
        if self.fault is not None:
            raise self.fault

    update = create

    def new_uid(self) -> str:
        return "2.25.7"


@pytest.fixture
def peer(tmp_path: Path) -> SomePeer:
    made = SomePeer(tmp_path)
    made.normalized = Flow()
    return made


def answered(peer: SomePeer, request: CreateRequest | SetRequest) -> CommandSet:
    """Its response, after its data set has come."""
    if request.command.has_data_set:
        request.write(memoryview(b"\x08\x00"))
    request.finish()
    request.serve()
    while peer.posted:
        peer.posted.pop(0)()
    return CommandSet.parse(peer.responses[-1])


def create(peer: SomePeer, uid: str, sop_class: str = PERFORMED_STEP) -> CreateRequest:
    command = CommandSet(N_CREATE_RQ, 3, 1, sop_class, uid)
    return CreateRequest(peer, 1, Context(sop_class, EXPLICIT), command)


def test_a_step_without_a_uid_is_given_one(peer: SomePeer) -> None:
    """
    And the response names it (PS3.7 section 10.1.5.1.4).
    """
    response = answered(peer, create(peer, ""))
    assert (response.status, response.sop_instance_uid) == (0, "2.25.7")


def test_what_is_wrong_with_a_request_is_answered(peer: SomePeer) -> None:
    """
    Another SOP class, a UID that is none, no data set, nobody who takes it.
    """
    assert answered(peer, create(peer, "1.2", CT)).status == 0x0122
    assert answered(peer, create(peer, "1.2", STORAGE_COMMITMENT)).status == 0x0122
    assert answered(peer, create(peer, "../x")).status == 0x0106
    silent = CommandSet(N_SET_RQ, 3, NO_DATA_SET, PERFORMED_STEP, "1.2")
    assert answered(peer, SetRequest(peer, 1, STEP, silent)).status == 0x0120
    peer.normalized = None
    assert answered(peer, create(peer, "1.2")).status == 0x0122


def test_an_error_id_is_said_beside_its_status(peer: SomePeer) -> None:
    """
    0110 with A710 in (0000,0903): PS3.4 section F.7.2.2.2.
    """
    flow = Flow()
    flow.fault = StepIsOver()
    peer.normalized = flow
    command = CommandSet(N_SET_RQ, 3, 1, PERFORMED_STEP, "1.2")
    assert answered(peer, SetRequest(peer, 1, STEP, command)).status == 0x0110
    error_id = struct.pack("<HHIH", 0, 0x0903, 2, 0xA710)
    assert error_id in peer.responses[-1]


def test_a_data_set_is_bounded(tmp_path: Path) -> None:
    """
    By a limit of its own: steps and commitments name thousands of instances.
    """
    peer = SomePeer(tmp_path, changed(normalized_bytes=4))
    request = create(peer, "1.2")
    request.write(memoryview(bytes(4)))
    with pytest.raises(LimitExceeded):
        request.write(memoryview(bytes(1)))


# -- Reports of our own --------------------------------------------------------------


def report(told: list[int | None]) -> Report:
    return Report(1, STORAGE_COMMITMENT, "1.2", 1, b"", told.append)


def test_a_report_that_nobody_can_take_is_told_so(tmp_path: Path) -> None:
    """
    Before there is an association, and after the peer has gone: once each.
    """
    line, told = Line(tmp_path), list[int | None]()
    line.association.report(report(told))
    assert told == [None]
    line.comes(associate_rq())
    line.association.report(report(told))
    line.association.connection_closed()
    line.association.connection_closed()
    assert told == [None, None]


def test_an_answer_to_nothing_says_nothing(tmp_path: Path) -> None:
    """
    A response is told to the report that it answers, and to no other.
    """
    line, told = Line(tmp_path), list[int | None]()
    line.comes(associate_rq())
    line.association.report(report(told))
    for number in (7, 1, 1):
        command = CommandSet(0x8100, None, NO_DATA_SET, "", "", number, 0x0110)
        response = ReportResponse(line.association, 1, STEP, command)
        assert response.reports_on == number
        line.association._reported(response)
    assert told == [0x0110]


def test_a_report_has_the_fields_of_its_table() -> None:
    """
    PS3.7 Table 10.3-1: affected class and instance, event type, a data set.
    """
    made = CommandSet.parse(event_report(STORAGE_COMMITMENT, "1.2.3", 2, 9))
    assert (made.field, made.message_id, made.has_data_set) == (0x0100, 9, True)
    assert (made.sop_class_uid, made.sop_instance_uid) == (STORAGE_COMMITMENT, "1.2.3")
