"""A C-FIND without sockets: its pages, its end, and what ends it early."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import decode, encode

from reconcile.core import attributes as at
from reconcile.core.facts import Source
from reconcile.dicom.commands import C_FIND_RQ, CommandSet
from reconcile.dicom.finding import FindRequest
from reconcile.dicom.identifiers import read_identifier, write_identifier
from reconcile.dicom.messages import Context
from reconcile.dicom.sop_classes import (
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    WORKLIST_FIND,
)
from reconcile.errors import ServiceUnavailable
from tests.support.door import associate_rq, element, item, p_data, pdu
from tests.unit.dicom.peers import Line, SomePeer

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
COMMAND = CommandSet(C_FIND_RQ, 7, 1, STUDY_ROOT_FIND, "")


def keys(**said: str) -> bytes:
    identifier = Dataset()
    for keyword, value in {"QueryRetrieveLevel": "STUDY", **said}.items():
        setattr(identifier, keyword, value)
    return encode(identifier, True, True) or b""


def answer(name: str) -> dict[str, Any]:
    return {at.PATIENT_NAME: at.person_name(name), at.STUDY_DATE: at.element("DA", "2026")}


def asking(
    peer: SomePeer,
    identifier: bytes,
    command: CommandSet = COMMAND,
    model: str = STUDY_ROOT_FIND,
) -> FindRequest:
    request = FindRequest(peer, 1, Context(model, IMPLICIT), command)
    request.write(memoryview(identifier))
    request.finish()
    return request


def carried_out(peer: SomePeer, request: FindRequest) -> None:
    """As an association does: what is posted is called, what was sent is written."""
    request.serve()
    for _ in range(10):
        while peer.posted:
            peer.posted.pop(0)()
        request.go_on()


def status(command: bytes) -> int:
    at_status = command.index(struct.pack("<HHI", 0, 0x0900, 2)) + 8
    return int(struct.unpack_from("<H", command, at_status)[0])


def test_pages_are_sent_one_after_the_other(tmp_path: Path) -> None:
    """FF00 with an identifier for each answer, an empty page between, 0000 at the end."""
    peer = SomePeer(tmp_path)
    peer.source = Source("CT_A", domain="A")
    peer.pages = [[answer("A^A"), answer("B^B")], [], [answer("C^C")]]
    carried_out(peer, asking(peer, keys(PatientName="")))
    assert [status(command) for command, _ in peer.sent] == [0xFF00] * 3
    assert [status(command) for command in peer.responses] == [0x0000]
    found = [decode(BytesIO(data), True, True) for _, data in peer.sent]
    assert [str(each.PatientName) for each in found] == ["A^A", "B^B", "C^C"]
    assert {e.keyword for e in found[0]} == {
        "QueryRetrieveLevel",
        "RetrieveAETitle",
        "PatientName",
    }
    [(question, view)] = peer.asked
    assert (question.level, view) == ("STUDY", "A")


def test_who_does_not_read_is_not_written_to(tmp_path: Path) -> None:
    """The next page is made when what was sent has been taken, not before."""
    peer = SomePeer(tmp_path)
    peer.pages = [[answer("A^A")], [answer("B^B")]]
    peer.stalled = True
    request = asking(peer, keys())
    carried_out(peer, request)
    assert (len(peer.sent), peer.responses) == (1, [])
    peer.stalled = False
    carried_out_again(peer, request)
    assert (len(peer.sent), len(peer.responses)) == (2, 1)


def carried_out_again(peer: SomePeer, request: FindRequest) -> None:
    for _ in range(10):
        request.go_on()
        while peer.posted:
            peer.posted.pop(0)()


def test_a_cancelled_query_ends(tmp_path: Path) -> None:
    """FE00 after what was on its way; one that is cancelled while it waits has none."""
    peer = SomePeer(tmp_path)
    peer.pages = [[answer("A^A")], [answer("B^B")]]
    request = asking(peer, keys())
    request.serve()
    peer.posted.pop(0)()
    request.cancel()
    carried_out_again(peer, request)
    assert (len(peer.sent), [status(c) for c in peer.responses]) == (1, [0xFE00])
    early = asking(peer, keys())
    early.cancel()
    carried_out(peer, early)
    assert [status(c) for c in peer.responses] == [0xFE00, 0xFE00]


def test_a_peer_that_has_gone_is_answered_nothing(tmp_path: Path) -> None:
    """The request ends, so that its association can."""
    peer = SomePeer(tmp_path)
    peer.pages = [[answer("A^A")]] * 5
    request = asking(peer, keys())
    request.serve()
    peer.may_send = False
    carried_out_again(peer, request)
    assert (peer.sent, peer.responses, peer.ended) == ([], [], [request])


def _fails(error: Exception) -> Any:
    raise error
    yield []


@pytest.mark.parametrize(
    ("error", "code"),
    [(ServiceUnavailable("database"), 0xA700), (ValueError("DOE^JANE"), 0x0110)],
)
def test_a_failure_is_an_answer_and_tells_nothing(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: int,
) -> None:
    """Its own status; of an error that nobody thought of no word, here or in the log."""
    peer = SomePeer(tmp_path)
    peer.pages = _fails(error)
    with caplog.at_level(logging.INFO):
        carried_out(peer, asking(peer, keys(PatientName="DOE^JANE")))
    assert [status(c) for c in peer.responses] == [code]
    assert b"DOE" not in peer.responses[0]
    assert f"status={code:04X}" in caplog.text
    assert "DOE" not in caplog.text


@pytest.mark.parametrize(
    ("model", "command", "identifier", "code"),
    [
        (PATIENT_ROOT_FIND, COMMAND, keys(), 0x0122),
        (
            STUDY_ROOT_FIND,
            CommandSet(C_FIND_RQ, 7, 0x0101, STUDY_ROOT_FIND, ""),
            b"",
            0xC000,
        ),
        (STUDY_ROOT_FIND, COMMAND, keys(QueryRetrieveLevel="PATIENT"), 0xA900),
        (STUDY_ROOT_FIND, COMMAND, b"\x08\0\x52\0\xff\xff\0\0AB", 0xC000),
        (
            STUDY_ROOT_FIND,
            COMMAND,
            keys(StudyInstanceUID="\\".join(["1.2"] * 2000)),
            0xA900,
        ),
    ],
    ids=["class", "no identifier", "level", "broken", "long list"],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, model: str, command: CommandSet, identifier: bytes, code: int
) -> None:
    """Before anything is looked for."""
    peer = SomePeer(tmp_path)
    carried_out(peer, asking(peer, identifier, command, model))
    assert ([status(c) for c in peer.responses], peer.asked) == ([code], [])


def test_who_may_not_query_is_told_so(tmp_path: Path) -> None:
    """0124: `query = false`."""
    peer = SomePeer(tmp_path)
    peer.source = Source("CT_A", query=False)
    carried_out(peer, asking(peer, keys()))
    assert ([status(c) for c in peer.responses], peer.asked) == ([0x0124], [])


def find_rq(message_id: int) -> bytes:
    return (
        element(0x0002, STUDY_ROOT_FIND.encode() + b"\0")
        + element(0x0100, b"\x20\0")
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0800, b"\1\0")
    )


def test_a_cancel_overtakes_what_waits(tmp_path: Path) -> None:
    """It reaches the query that is carried out, and one that waits behind it."""
    line = Line(tmp_path)
    line.pages = [[answer("A^A")]]
    line.comes(find_association())
    for number in (1, 2):
        line.comes(p_data(3, find_rq(number)) + p_data(2, keys()))
    assert len(line.works) == 1
    for number in (1, 2):
        cancel = element(0x0100, b"\xff\x0f") + element(0x0120, bytes((number, 0)))
        line.comes(p_data(3, cancel + element(0x0800, b"\1\1")))
    line.sent.clear()
    line.works[0]()
    ended = b"".join(line.sent)
    assert ended.count(element(0x0900, b"\x00\xfe")) == 2
    assert element(0x0900, b"\x00\xff") not in ended
    assert not line.association.working


def find_association() -> bytes:
    """A request for Study Root FIND, Implicit VR Little Endian, in context 1."""
    context = bytes((1, 0, 0, 0)) + item(0x30, STUDY_ROOT_FIND.encode())
    context += item(0x40, IMPLICIT.encode())
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3")
    whole = associate_rq()
    fixed = whole[6:74] + item(0x10, b"1.2.840.10008.3.1.1.1")
    return pdu(1, fixed + item(0x20, context) + item(0x50, user))


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2"])
def test_identifiers_are_written_as_they_are_read(syntax: str) -> None:
    """ASCII without a character set, all else in ISO_IR 192; empty keys are there."""
    plain = {
        at.PATIENT_NAME: at.person_name("DOE^JANE"),
        at.STUDY_DATE: at.element("DA"),
        at.REQUEST_ATTRIBUTES_SEQUENCE: at.element("SQ"),
    }
    assert read_identifier(write_identifier(plain, syntax), syntax) == plain
    wide = {**plain, at.PATIENT_NAME: at.person_name("Müller", "山田")}
    charset = {at.SPECIFIC_CHARACTER_SET: at.element("CS", "ISO_IR 192")}
    assert read_identifier(write_identifier(wide, syntax), syntax) == {**wide, **charset}
    odd = {**plain, at.STUDY_DATE: {"vr": "DA", "Value": ["a\\b"]}}
    assert read_identifier(write_identifier(odd, syntax), syntax) == plain


# -- The worklist ----------------------------------------------------------------------

WORKLIST_COMMAND = CommandSet(C_FIND_RQ, 7, 1, WORKLIST_FIND, "")


def steps_asked(*items: Dataset, **said: str) -> bytes:
    identifier = Dataset()
    for keyword, value in said.items():
        setattr(identifier, keyword, value)
    identifier.ScheduledProcedureStepSequence = Sequence(items)
    return encode(identifier, True, True) or b""


def step_of(**said: str) -> Dataset:
    found = Dataset()
    for keyword, value in said.items():
        setattr(found, keyword, value)
    return found


def worklist(peer: SomePeer, identifier: bytes) -> None:
    carried_out(peer, asking(peer, identifier, WORKLIST_COMMAND, WORKLIST_FIND))


def test_the_worklist_has_no_level(tmp_path: Path) -> None:
    """Its steps are told in an item; nothing of levels, and no AE to retrieve from."""
    peer = SomePeer(tmp_path)
    peer.source = Source("CT_A", domain="A")
    told = {**answer("A^A"), "00400100.00080060": at.element("CS", "CT")}
    peer.pages = [[told]]
    item_asked = step_of(Modality="CT", ScheduledProcedureStepStartDate="")
    worklist(
        peer,
        steps_asked(
            item_asked, PatientName="", ConfidentialityConstraintOnPatientDataDescription=""
        ),
    )
    assert [status(command) for command, _ in peer.sent] == [0xFF00]
    [(question, view)] = peer.asked
    assert (question.level, view) == ("WORKLIST", "A")
    assert list(question.tests) == ["00400100.00080060"]
    found = decode(BytesIO(peer.sent[0][1]), True, True)
    assert [each.keyword for each in found] == [
        "PatientName",
        "ScheduledProcedureStepSequence",
        "ConfidentialityConstraintOnPatientDataDescription",
    ]
    [step] = found.ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepStartDate) == ("CT", "")
    assert [status(c) for c in peer.responses] == [0x0000]


@pytest.mark.parametrize(
    "items",
    [(), (Dataset(),)],
    ids=["no item", "empty item"],
)
def test_a_sequence_without_keys_asks_for_all_of_it(
    tmp_path: Path, items: tuple[Dataset, ...]
) -> None:
    """PS3.4 C.2.2.2.6: universal matching."""
    peer = SomePeer(tmp_path)
    worklist(peer, steps_asked(*items))
    [(question, _)] = peer.asked
    assert {"00400100.00400001", "00400100.00400009"} <= question.shown.keys()
    assert question.tests == {}


@pytest.mark.parametrize(
    "identifier",
    [
        steps_asked(step_of(Modality="CT"), step_of(Modality="MR")),
        steps_asked(step_of(ScheduledProcedureStepStartDate="today")),
    ],
    ids=["two items", "no date"],
)
def test_what_no_worklist_can_be_asked_is_refused(
    tmp_path: Path, identifier: bytes
) -> None:
    """A900, before anything is looked for."""
    peer = SomePeer(tmp_path)
    worklist(peer, identifier)
    assert ([status(c) for c in peer.responses], peer.asked) == ([0xA900], [])


def test_a_key_of_a_step_that_is_not_known_is_told(tmp_path: Path) -> None:
    """FF01; the key is there, and empty."""
    peer = SomePeer(tmp_path)
    peer.pages = [[answer("A^A")]]
    worklist(peer, steps_asked(step_of(InstitutionName="X")))
    assert [status(command) for command, _ in peer.sent] == [0xFF01]
    found = decode(BytesIO(peer.sent[0][1]), True, True)
    assert found.ScheduledProcedureStepSequence[0].InstitutionName == ""
