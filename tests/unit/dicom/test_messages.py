"""Messages: put together from fragments, refused where they break the protocol."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from reconcile.dicom.commands import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    C_STORE_RSP,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_EVENT_REPORT_RQ,
    N_SET_RQ,
    RESPONSE,
    CommandSet,
)
from reconcile.dicom.committing import CommitRequest, ReportResponse
from reconcile.dicom.finding import FindRequest
from reconcile.dicom.getting import GetRequest
from reconcile.dicom.limits import Limits
from reconcile.dicom.messages import Context, Messages, Request, Services
from reconcile.dicom.moving import MoveRequest
from reconcile.dicom.pdus import Fragment
from reconcile.dicom.performing import CreateRequest, SetRequest
from reconcile.dicom.services import SERVICES, CancelRequest, EchoRequest, StoreResponse
from reconcile.dicom.storing import StoreRequest
from reconcile.errors import CannotUnderstand, LimitExceeded, ReconcileError
from tests.support.door import CT, EXPLICIT, VERIFICATION, c_store_rq, changed, element
from tests.unit.dicom.peers import SomePeer

CONTEXTS = {1: Context(CT, EXPLICIT), 3: Context(VERIFICATION, EXPLICIT)}


class Kept(Request):
    """A request that keeps its data set."""

    discarded = False

    def discard(self) -> None:
        self.discarded = True


def messages(folder: Path, limits: Limits | None = None) -> Messages:
    services: Services = {C_STORE_RQ: Kept, C_ECHO_RQ: Kept}
    return Messages(SomePeer(folder, limits), CONTEXTS, services)


def command(content: bytes, context: int = 1, *, last: bool = True) -> Fragment:
    return Fragment(context, True, last, memoryview(content))


def data(content: bytes, context: int = 1, *, last: bool = True) -> Fragment:
    return Fragment(context, False, last, memoryview(content))


def bare(field: int) -> bytes:
    """A command set without a data set."""
    said = element(0x0100, struct.pack("<H", field)) + element(0x0110, b"\x07\0")
    return said + element(0x0800, b"\x01\x01")


def test_a_request_is_ready_with_its_last_fragment(tmp_path: Path) -> None:
    """Command and data set, each in pieces."""
    content, coming = c_store_rq(), messages(tmp_path)
    assert coming.take(command(content[:11], last=False)) is None
    assert coming.receiving
    assert coming.take(command(content[11:])) is None
    assert coming.take(data(b"data ", last=False)) is None
    request = coming.take(data(b"set"))
    assert request is not None
    assert (bytes(request.identifier), request.ready) == (b"data set", True)
    assert (request.context_id, request.context) == (1, CONTEXTS[1])
    assert request.command == CommandSet.parse(content)
    assert not coming.receiving


def test_a_command_without_a_data_set_is_a_whole_request(tmp_path: Path) -> None:
    """And the next may be of another context."""
    coming = messages(tmp_path)
    for context in (1, 3, 1):
        request = coming.take(command(bare(C_ECHO_RQ), context))
        assert request is not None
        assert (request.ready, request.context_id) == (True, context)


@pytest.mark.parametrize(
    "fragments",
    [
        [data(b"x")],
        [command(c_store_rq()), command(c_store_rq())],
        [command(c_store_rq(), 5)],
        [command(c_store_rq()), data(b"x", 3)],
        [command(c_store_rq()[:9], last=False), command(c_store_rq()[9:], 3)],
        [command(bare(0x0020))],
        [command(b"\0\0\0")],
        [command(element(0x0100, b"\x30\0") + element(0x0800, b"\x01\x01"))],
    ],
    ids=[
        "data without command",
        "command twice",
        "context not accepted",
        "context changed",
        "context changed within the command",
        "not served",
        "no command set",
        "no Message ID",
    ],
)
def test_what_breaks_the_protocol_is_refused(
    tmp_path: Path, fragments: list[Fragment]
) -> None:
    """The peer is to be aborted, whichever way it did so."""
    coming = messages(tmp_path)
    *before, last = fragments
    for fragment in before:
        assert coming.take(fragment) is None
    with pytest.raises(CannotUnderstand):
        coming.take(last)


def test_a_command_set_is_bounded(tmp_path: Path) -> None:
    """In however many fragments."""
    coming = messages(tmp_path, changed(command_bytes=10))
    coming.take(command(bytes(10), last=False))
    with pytest.raises(LimitExceeded):
        coming.take(command(b"x", last=False))


def test_an_identifier_is_bounded(tmp_path: Path) -> None:
    """A data set that is no instance stays in memory, up to a limit."""
    coming = messages(tmp_path, changed(identifier_bytes=3))
    coming.take(command(c_store_rq()))
    coming.take(data(b"abc", last=False))
    with pytest.raises(LimitExceeded):
        coming.take(data(b"d"))


def test_what_is_half_received_is_discarded(tmp_path: Path) -> None:
    """When the association ends; more than once does no harm."""
    coming = messages(tmp_path)
    coming.take(command(c_store_rq()))
    request = coming._request
    assert isinstance(request, Kept)
    coming.drop()
    coming.drop()
    assert request.discarded
    assert not coming.receiving


def test_every_command_that_we_serve_stands_in_one_table() -> None:
    """Nine services, answers to what we ask ourselves, and nothing else."""
    assert {
        C_STORE_RQ: StoreRequest,
        C_STORE_RSP: StoreResponse,
        C_GET_RQ: GetRequest,
        C_MOVE_RQ: MoveRequest,
        C_FIND_RQ: FindRequest,
        C_ECHO_RQ: EchoRequest,
        C_CANCEL_RQ: CancelRequest,
        N_ACTION_RQ: CommitRequest,
        N_CREATE_RQ: CreateRequest,
        N_SET_RQ: SetRequest,
        N_EVENT_REPORT_RQ | RESPONSE: ReportResponse,
    } == SERVICES


@pytest.mark.parametrize(("context", "status"), [(3, b"\0\0"), (1, b"\x22\x01")])
def test_an_echo_is_answered_on_its_own_context(
    tmp_path: Path, context: int, status: bytes
) -> None:
    """0000; 0122 on the context of another SOP class."""
    peer = SomePeer(tmp_path)
    request = Messages(peer, CONTEXTS, SERVICES).take(command(bare(C_ECHO_RQ), context))
    assert request is not None
    request.serve()
    assert element(0x0900, status) in peer.responses[0]
    assert peer.ended == [request]


def test_a_cancel_is_ignored(tmp_path: Path) -> None:
    """It has no Message ID of its own, and gets no response."""
    peer = SomePeer(tmp_path)
    content = element(0x0100, b"\xff\x0f") + element(0x0120, b"\1\0")
    content += element(0x0800, b"\x01\x01")
    request = Messages(peer, CONTEXTS, SERVICES).take(command(content))
    assert request is not None
    request.serve()
    assert (peer.responses, peer.ended) == ([], [request])


def test_a_service_has_to_say_what_it_does(tmp_path: Path) -> None:
    """One that forgets is found by its first request."""
    request = messages(tmp_path).take(command(bare(C_ECHO_RQ)))
    assert request is not None
    with pytest.raises(NotImplementedError):
        request.serve()
    assert not issubclass(NotImplementedError, ReconcileError)
