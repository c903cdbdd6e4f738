"""The DICOM door on real sockets: what goes through, what is answered, what is kept out."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
)

from reconcile import errors
from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.flows.arrival import Arrival, Stored
from tests.support.certificates import server_and_client
from tests.support.door import (
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Doorway,
    Wire,
    associate_rq,
    c_store_rq,
    changed,
    doorway,
    element,
    eventually,
    instance,
    item,
    p_data,
    pdu,
    scu,
)

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Doorway]:
    with doorway(tmp_path) as opened:
        yield opened


def connect(
    way: Doorway, *contexts: Any, title: str = "CT_A", **kwargs: Any
) -> Association:
    ae = scu(*contexts, title=title)
    return ae.associate("127.0.0.1", way.port, ae_title="RECONCILE", **kwargs)


# --- what goes through


def test_echo(way: Doorway) -> None:
    """C-ECHO is answered 0000 (PS3.4 Annex A)."""
    association = connect(way)
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert way.is_empty()


def test_an_instance_is_stored_as_it_was_sent(way: Doorway) -> None:
    """The bytes of the data set are in the storage, and the flow was told about them."""
    association = connect(way)
    status = association.send_c_store(instance(), msg_id=17)
    association.release()
    assert status.Status == 0x0000
    assert "ErrorComment" not in status
    (arrival,) = way.arrivals
    assert (arrival.sop_class_uid, arrival.sop_instance_uid) == (CT, "1.2.3.4")
    assert (arrival.transfer_syntax, arrival.message_id) == (EXPLICIT, 17)
    assert (arrival.source, arrival.peer_address) == (Source("CT_A"), "127.0.0.1")
    stored = dcmread(way.storage.path(arrival.digest))
    assert stored == instance()
    assert way.spool_is_empty()


def test_coerced_is_answered_with_the_elements(way: Doorway) -> None:
    """B000 with Offending Element and Error Comment arrives at the sender."""
    way.answer = lambda _: Stored(coerced=("00100020", "0020000D"))
    association = connect(way)
    status = association.send_c_store(instance())
    association.release()
    assert status.Status == 0xB000
    assert list(status.OffendingElement) == [0x00100020, 0x0020000D]
    assert status.ErrorComment == "coerced PatientID StudyInstanceUID"


def test_a_source_that_wants_no_warning_is_answered_success(way: Doorway) -> None:
    """`warn = false`: 0000 although something was coerced."""
    way.answer = lambda _: Stored(coerced=("00100020",))
    association = connect(way, title="CT_QUIET")
    assert association.send_c_store(instance()).Status == 0x0000
    association.release()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StorageFull("no room"), 0xA701),
        (errors.SOPInstanceMismatch("1.2"), 0xA901),
        (errors.CannotUnderstand("not DICOM"), 0xC000),
        (errors.NotAuthorised("no"), 0x0124),
    ],
)
def test_an_error_of_the_flow_is_a_status(
    way: Doorway, error: errors.ReconcileError, code: int
) -> None:
    """The association lives on, and nothing stays in the spool."""

    def refuse(_: Arrival) -> Stored:
        raise error

    way.answer = refuse
    association = connect(way)
    status = association.send_c_store(instance())
    assert (status.Status, status.ErrorComment) == (code, str(error))
    assert way.spool_is_empty()
    way.answer = lambda _: Stored()
    assert association.send_c_store(instance()).Status == 0x0000
    association.release()


def test_an_unexpected_error_is_0110_and_says_nothing(
    way: Doorway, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log repeats what may be patient data."""

    def fail(_: Arrival) -> Stored:
        raise ValueError("DOE^JANE")

    way.answer = fail
    association = connect(way)
    with caplog.at_level(logging.INFO):
        status = association.send_c_store(instance())
    assert status.Status == 0x0110
    assert "DOE" not in str(status) + caplog.text
    assert "ValueError" in caplog.text
    assert "1.2.3.4" in caplog.text
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert way.spool_is_empty()


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("CT_small.dcm", "1.2.840.10008.1.2.1"),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2"),
        ("MR_small_bigendian.dcm", "1.2.840.10008.1.2.2"),
        ("MR_small_RLE.dcm", "1.2.840.10008.1.2.5"),
        ("image_dfl.dcm", "1.2.840.10008.1.2.1.99"),
        ("SC_rgb_jpeg_dcmtk.dcm", "1.2.840.10008.1.2.4.50"),
        ("MR_small_jpeg_ls_lossless.dcm", "1.2.840.10008.1.2.4.80"),
        ("JPEG2000.dcm", "1.2.840.10008.1.2.4.91"),
    ],
)
def test_every_transfer_syntax_is_taken_as_it_is(
    way: Doorway, name: str, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressed, deflated and big endian: nothing is converted."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # send it as it is
    path = str(get_testdata_file(name))
    sent = dcmread(path)
    association = connect(way, (str(sent.file_meta.MediaStorageSOPClassUID), syntax))
    assert association.send_c_store(path).Status == 0x0000
    association.release()
    (arrival,) = way.arrivals
    assert arrival.transfer_syntax == syntax
    assert Path(path).read_bytes().endswith(way.data_sets()[0])


@pytest.mark.parametrize(
    "uid", ["1.3.46.670589.11.0.0.12.1", "1.2.840.10008.5.1.4.1.1.999"]
)
def test_a_class_that_no_library_knows_is_stored(way: Doorway, uid: str) -> None:
    """Private storage classes, and standard ones to come."""
    association = connect(way, (uid, EXPLICIT))
    assert association.send_c_store(instance(sop_class=uid)).Status == 0x0000
    association.release()


def test_many_contexts_are_negotiated_quickly(way: Doorway) -> None:
    """128 contexts with 40 transfer syntaxes each do not stall the door."""
    from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

    uids = [str(cx.abstract_syntax) for cx in AllStoragePresentationContexts[:128]]
    began = time.perf_counter()
    association = connect(way, *((uid, list(ALL_TRANSFER_SYNTAXES)) for uid in uids))
    print(f"128 x {len(ALL_TRANSFER_SYNTAXES)}: {time.perf_counter() - began:.2f} s")
    assert len(association.accepted_contexts) == 128
    association.release()


# --- what is negotiated


@pytest.mark.parametrize(("title", "coerces"), [("CT_A", 1), ("CT_PLAIN", 0)])
def test_extended_negotiation_is_answered(way: Doorway, title: str, coerces: int) -> None:
    """Six bytes for each class proposed with the sub-item, and for no other."""
    proposal = SOPClassExtendedNegotiation()
    proposal.sop_class_uid = CT
    proposal.service_class_application_information = bytes((3, 0, 0, 0, 2, 0))
    association = connect(
        way, (CT, EXPLICIT), (MR, EXPLICIT), title=title, ext_neg=[proposal]
    )
    assert association.acceptor.sop_class_extended == {CT: bytes((2, 0, 1, 0, coerces, 0))}
    association.release()


def test_a_declared_storage_class_is_taken(way: Doorway) -> None:
    """SOP Class Common Extended Negotiation makes an unknown class storage."""
    uid = "1.2.840.10008.5.1.4.99.1"
    declaration = SOPClassCommonExtendedNegotiation()
    declaration.sop_class_uid = uid
    declaration.service_class_uid = "1.2.840.10008.4.2"
    cases: list[tuple[list[Any], bool]] = [([declaration], True), ([], False)]
    for ext_neg, taken in cases:
        ae = scu((VERIFICATION, IMPLICIT), (uid, EXPLICIT))
        association = ae.associate(
            "127.0.0.1", way.port, ae_title="RECONCILE", ext_neg=ext_neg
        )
        accepted = {str(cx.abstract_syntax) for cx in association.accepted_contexts}
        assert (uid in accepted) == taken
        association.release()


def test_what_is_not_storage_is_refused_by_context(way: Doorway) -> None:
    """Result 3 for query, worklist and media storage; the association stands."""
    others = ["1.2.840.10008.5.1.4.31", "1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1"]
    association = connect(
        way, (VERIFICATION, IMPLICIT), *((uid, EXPLICIT) for uid in others)
    )
    assert {str(cx.abstract_syntax): cx.result for cx in association.rejected_contexts} == (
        dict.fromkeys(others, 3)
    )
    association.release()


@pytest.mark.parametrize(
    ("calling", "called", "expected"),
    [
        ("NOBODY", "RECONCILE", (1, 1, 3)),
        ("CT_A", "OTHER", (1, 1, 7)),
        ("CT_FAR", "RECONCILE", (1, 1, 3)),
    ],
)
def test_who_is_not_expected_is_rejected(
    tmp_path: Path, calling: str, called: str, expected: tuple[int, ...]
) -> None:
    """Unknown calling AE title, wrong called AE title, wrong address."""
    peers = {"CT_A": Peer(Source("CT_A")), "CT_FAR": Peer(Source("CT_FAR"), "10.0.0.1")}
    with doorway(tmp_path, peers=peers) as way, Wire(way.port) as wire:
        wire.send(associate_rq(calling, called))
        kind, body = wire.receive()
        assert (kind, tuple(body[1:])) == (3, expected)
        assert wire.receive() == (0, b"")


def test_unknown_peers_are_taken_if_the_setting_says_so(tmp_path: Path) -> None:
    """`accept_unknown` with the defaults of a source."""
    with doorway(tmp_path, accept_unknown=True) as way:
        association = connect(way, title="NOBODY")
        association.send_c_store(instance())
        association.release()
        assert way.arrivals[0].source == Source("NOBODY")


# --- limits


def test_more_associations_than_the_limit_are_told_so(tmp_path: Path) -> None:
    """2/3/2, local limit exceeded; past the overflow the connection is closed."""
    with doorway(tmp_path, changed(associations_per_peer=2, overflow=1)) as way:
        inside = [Wire(way.port) for _ in range(2)]
        for wire in inside:
            wire.associate()
        with Wire(way.port) as third, Wire(way.port) as fourth:
            assert fourth.receive()[0] == 0
            third.send(associate_rq())
            kind, body = third.receive()
            assert (kind, tuple(body[1:])) == (3, (2, 3, 2))
        for wire in inside:
            wire.socket.close()
        assert way.is_empty()
        with Wire(way.port) as again:
            again.associate()


@pytest.mark.parametrize("established", [False, True])
@pytest.mark.parametrize("kind", [1, 4, 5, 7])
def test_a_length_that_lies_is_not_believed(
    way: Doorway, established: bool, kind: int
) -> None:
    """A PDU of 4 GiB is answered with A-ABORT before anything is allocated."""
    before = psutil.Process().memory_info().rss
    with Wire(way.port) as wire:
        if established:
            wire.associate()
        wire.send(pdu(kind, b"x" * 1000, length=0xFFFFFFFF))
        assert wire.receive()[0] == 7
        assert wire.receive()[0] == 0
    assert psutil.Process().memory_info().rss - before < 50 << 20
    assert way.is_empty()


def test_half_a_pdu_times_out(tmp_path: Path) -> None:
    """The deadline is for the whole PDU, however the bytes drip."""
    with doorway(tmp_path, changed(pdu_seconds=0.5)) as way, Wire(way.port) as wire:
        wire.associate()
        whole = p_data(3, c_store_rq())
        began = time.monotonic()
        for at in range(len(whole) - 1):
            try:
                wire.send(whole[at : at + 1])
            except OSError:
                break
            time.sleep(0.02)
        assert wire.receive()[0] in (7, 0)
        assert time.monotonic() - began < 4
        assert way.is_empty()


@pytest.mark.parametrize("sent", [b"", associate_rq()[:-1]], ids=["silent", "unfinished"])
def test_a_request_that_does_not_come_times_out(tmp_path: Path, sent: bytes) -> None:
    """A connection does not hold its place for ever (ARTIM, PS3.8 section 9.1.5)."""
    with doorway(tmp_path, changed(request_seconds=0.5)) as way, Wire(way.port) as wire:
        wire.send(sent)
        began = time.monotonic()
        while wire.receive()[0]:
            pass
        assert time.monotonic() - began < 3
        assert way.is_empty()


def test_a_peer_that_says_nothing_is_aborted(tmp_path: Path) -> None:
    """Between messages, and in the midst of one."""
    with doorway(tmp_path, changed(idle_seconds=0.5)) as way:
        for begun in (b"", p_data(3, c_store_rq()) + p_data(0, b"x" * 10)):
            with Wire(way.port) as wire:
                wire.associate()
                wire.send(begun)
                assert wire.receive()[0] == 7
                assert way.is_empty()
        assert way.spool_is_empty()


def test_a_peer_that_hangs_up_gives_back_its_place(way: Doorway) -> None:
    """At once: before its request, and after it."""
    for request in (b"", associate_rq()):
        with Wire(way.port) as wire:
            wire.send(request)
            assert eventually(lambda: way.door.associations == 1)
        assert way.is_empty()


def test_too_many_contexts_are_refused(way: Doorway) -> None:
    """A request with 129 presentation contexts is aborted, not decoded."""
    request = associate_rq()
    context = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2") + item(0x40, b"1.2"))
    with Wire(way.port) as wire:
        wire.send(pdu(1, request[6:] + context * 128))
        assert wire.receive()[0] == 7
        assert way.is_empty()


def test_a_command_set_has_a_limit(way: Doorway) -> None:
    """It is aborted when it grows past it, in however many fragments."""
    with Wire(way.port) as wire:
        wire.associate()
        wire.send(*[p_data(1, bytes(16_000)) for _ in range(5)])
        assert wire.receive()[0] == 7
        assert way.is_empty()


def test_an_instance_past_the_limit_is_a702(tmp_path: Path) -> None:
    """It is read to its end, refused, and leaves no file; the association lives."""
    with doorway(tmp_path, changed(instance_bytes=3 << 20)) as way:
        association = connect(way)
        assert association.send_c_store(instance(size=4 << 20)).Status == 0xA702
        assert way.spool_is_empty()
        assert association.send_c_store(instance(size=2 << 20)).Status == 0x0000
        association.release()
        assert len(way.arrivals) == 1


def test_an_instance_that_does_not_end_is_aborted(tmp_path: Path) -> None:
    """Past twice the limit nobody listens any more."""
    with doorway(tmp_path, changed(instance_bytes=1000)) as way, Wire(way.port) as wire:
        wire.associate()
        wire.send(p_data(3, c_store_rq()), *[p_data(0, bytes(500)) for _ in range(5)])
        assert wire.receive()[0] == 7
        assert way.spool_is_empty()


# --- what breaks the protocol


@pytest.mark.parametrize(
    "pdus",
    [
        [p_data(2, b"x")],
        [p_data(3, c_store_rq()), p_data(3, c_store_rq())],
        [p_data(3, c_store_rq(), context=3)],
        [p_data(3, c_store_rq()), p_data(2, b"x", context=3)],
        [p_data(3, element(0x0100, b"\x20\x00") + element(0x0800, b"\x01\x01"))],
        [p_data(3, element(0x0100, b"\x00\x01") + element(0x0800, b"\x01\x01"))],
        [p_data(3, b"\0\0\0")],
        [pdu(4, b"\xff\xff\xff\xff\x01\x03")],
        [pdu(4, b"\0\0\0\x01\x01")],
        [pdu(9, b"")],
        [pdu(2, b"")],
        [associate_rq()],
    ],
    ids=[
        "data without command",
        "command twice",
        "context not accepted",
        "context changed",
        "C-FIND",
        "N-EVENT-REPORT",
        "no command set",
        "value too long",
        "value too short",
        "unknown PDU",
        "A-ASSOCIATE-AC",
        "second request",
    ],
)
def test_what_breaks_the_protocol_is_aborted(way: Doorway, pdus: list[bytes]) -> None:
    """A-ABORT, nothing in the spool, and the next peer is served."""
    with Wire(way.port) as wire:
        wire.associate()
        wire.send(*pdus)
        assert wire.receive()[0] == 7
    assert way.is_empty()
    assert way.spool_is_empty()
    with Wire(way.port) as wire:
        wire.associate()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c_store_rq(uid=""), 0xC001),
        (c_store_rq(uid="../../../etc/passwd"), 0xC002),
        (c_store_rq(uid="1" * 65), 0xC002),
        (c_store_rq(sop_class=MR), 0x0122),
        (
            c_store_rq().replace(
                element(0x0800, b"\x01\x00"), element(0x0800, b"\x01\x01")
            ),
            0xC000,
        ),
    ],
    ids=["no UID", "path as UID", "long UID", "class of no context", "no data set"],
)
def test_a_request_that_cannot_be_is_answered(
    way: Doorway, command: bytes, code: int
) -> None:
    """Its data set is read and dropped, and it gets a status of its own."""
    with Wire(way.port) as wire:
        wire.associate()
        wire.send(p_data(3, command))
        if code != 0xC000:
            wire.send(p_data(2, b"data set"))
        assert wire.status() == code
        wire.send(p_data(3, c_store_rq()), p_data(2, b"data set"))
        assert wire.status() == 0x0000
    assert len(way.arrivals) == 1
    assert way.spool_is_empty()


def test_requests_that_do_not_wait_are_all_answered(tmp_path: Path) -> None:
    """A peer may send on without waiting; what waits here is bounded."""

    def slow(_: Arrival) -> Stored:
        time.sleep(0.01)
        return Stored()

    with doorway(tmp_path, changed(pipelined=2)) as way, Wire(way.port) as wire:
        way.answer = slow
        wire.associate()
        for number in range(20):
            wire.send(
                p_data(3, c_store_rq(number, f"1.2.{number}")), p_data(2, b"%d" % number)
            )
        assert [wire.status() for _ in range(20)] == [0] * 20
        assert way.data_sets() == [b"%d" % number for number in range(20)]


def test_fragments_may_be_cut_anywhere(way: Doorway) -> None:
    """Command and data set in any number of fragments, several in one PDU."""
    command, content = c_store_rq(), os.urandom(5000)
    random = Random(7)
    pieces = [(1, part) for part in cut(command, random)] + [
        (0, part) for part in cut(content, random)
    ]
    last_command = max(n for n, (control, _) in enumerate(pieces) if control)
    pieces[last_command] = (3, pieces[last_command][1])
    pieces[-1] = (2, pieces[-1][1])
    with Wire(way.port) as wire:
        wire.associate()
        values = [p_data(control, part)[6:] for control, part in pieces]
        for at in range(0, len(values), 3):
            wire.send(pdu(4, b"".join(values[at : at + 3])))
        assert wire.status() == 0x0000
    assert way.data_sets() == [content]


def cut(content: bytes, random: Random) -> list[bytes]:
    parts = []
    while content:
        size = random.randint(1, 400)
        parts.append(content[:size])
        content = content[size:]
    return parts


def test_no_garbage_stops_the_door(way: Doorway) -> None:
    """Requests and messages with bytes changed at random: the door lives."""
    random = Random(42)
    good = associate_rq() + p_data(3, c_store_rq()) + p_data(2, b"data set")
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(random.randint(1, 8)):
            bad[random.randrange(len(bad))] = random.randrange(256)
        with Wire(way.port) as wire:
            wire.send(bytes(bad[: random.randint(1, len(bad))]))
            wire.socket.shutdown(socket.SHUT_WR)
            while wire.receive()[0]:
                pass
    assert way.is_empty()
    assert way.spool_is_empty()
    association = connect(way)
    assert association.send_c_echo().Status == 0x0000
    association.release()


# --- what is cut off


@pytest.mark.parametrize("end", ["close", "reset", "abort"])
def test_a_dropped_association_leaves_no_file(way: Doorway, end: str) -> None:
    """In the midst of a data set that is already on disk."""
    with Wire(way.port) as wire:
        wire.associate()
        wire.send(p_data(3, c_store_rq()), *[p_data(0, bytes(100_000)) for _ in range(30)])
        assert eventually(lambda: len(way.storage.spooled()) == 1)
        if end == "reset":
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if end == "abort":
            wire.send(pdu(7, bytes(4)))
            assert wire.receive()[0] == 0
    assert way.spool_is_empty()
    assert way.is_empty()
    assert not way.arrivals


def test_a_peer_that_leaves_while_it_is_served_disturbs_nobody(way: Doorway) -> None:
    """The store is finished; the answer has nobody to go to."""
    going, gone = threading.Event(), threading.Event()

    def wait(_: Arrival) -> Stored:
        going.set()
        gone.wait(10)
        return Stored()

    way.answer = wait
    with Wire(way.port) as wire:
        wire.associate()
        two = c_store_rq(2, "1.2.5")
        wire.send(
            p_data(3, c_store_rq()), p_data(2, b"one"), p_data(3, two), p_data(2, b"two")
        )
        assert going.wait(10)
        assert eventually(lambda: len(way.storage.spooled()) == 2)
    gone.set()
    assert way.is_empty()
    assert way.spool_is_empty()
    assert way.data_sets() == [b"one"]


def test_a_stop_lets_what_runs_finish(tmp_path: Path) -> None:
    """The running store is answered, idle associations are aborted, nobody new comes."""
    going = threading.Event()

    def slow(_: Arrival) -> Stored:
        going.set()
        time.sleep(1.0)
        return Stored()

    with doorway(tmp_path) as way, Wire(way.port) as idle, Wire(way.port) as busy:
        way.answer = slow
        idle.associate()
        busy.associate()
        busy.send(p_data(3, c_store_rq()), p_data(2, b"data set"))
        assert going.wait(10)
        stopping = threading.Thread(target=way.door.stop, args=(10,))
        stopping.start()
        assert busy.status() == 0x0000
        assert idle.receive()[0] == 7
        assert busy.receive()[0] == 7
        stopping.join(10)
        assert not stopping.is_alive()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", way.port), timeout=2)
        assert way.data_sets() == [b"data set"]


def test_a_stop_with_an_end_of_patience(tmp_path: Path) -> None:
    """After the grace time an association that never rests is aborted all the same."""
    with doorway(tmp_path) as way, Wire(way.port) as wire:
        wire.associate()
        wire.send(p_data(3, c_store_rq()), p_data(0, b"half a"))
        assert eventually(lambda: way.door.associations == 1)
        began = time.monotonic()
        way.door.stop(grace=0.5)
        assert time.monotonic() - began < 5
        assert wire.receive()[0] == 7
        assert way.spool_is_empty()


# --- many at once


def test_idle_associations_cost_nothing(tmp_path: Path) -> None:
    """Nothing polls: the processor time of 60 idle associations is printed."""
    with doorway(tmp_path, changed(associations_per_peer=100)) as way:
        wires = [Wire(way.port) for _ in range(60)]
        for wire in wires:
            wire.associate()
        process = psutil.Process()
        before = sum(process.cpu_times()[:2])
        time.sleep(2)
        spent = sum(process.cpu_times()[:2]) - before
        print(f"60 idle associations: {spent / 2:.1%} of a core")
        for wire in wires:
            wire.socket.close()
        assert way.is_empty()


def test_many_peers_store_at_once(way: Doorway) -> None:
    """Eight associations, fifty instances each: all there, each answered once."""

    def send(number: int) -> None:
        association = connect(way)
        for n in range(50):
            assert association.send_c_store(instance(f"1.{number}.{n}")).Status == 0
        association.release()

    senders = [threading.Thread(target=send, args=(n,)) for n in range(1, 9)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len({a.sop_instance_uid for a in way.arrivals}) == 400
    assert len(list(way.storage.digests())) == 400
    assert way.is_empty()


def test_two_processes_serve_one_socket(tmp_path: Path) -> None:
    """A door answers on a socket that was bound elsewhere and came by descriptor."""
    listening = listen("127.0.0.1", 0)
    with serving(tmp_path, listening) as process:
        way = Doorway(None, None, listening.getsockname()[1])  # type: ignore[arg-type]
        association = connect(way)
        assert association.send_c_store(instance()).Status == 0x0000
        association.release()
        assert process.poll() is None


# --- TLS


def test_a_silent_peer_does_not_stall_tls(tmp_path: Path) -> None:
    """Handshakes are made in the connection's own thread, with an end."""
    server, client, _ = server_and_client(tmp_path)
    limits = changed(handshake_seconds=1.0)
    with doorway(tmp_path, limits, tls=server) as way:
        silent = [Wire(way.port) for _ in range(5)]
        began = time.monotonic()
        association = connect(way, tls_args=(client, "localhost"))
        assert association.send_c_echo().Status == 0x0000
        assert association.send_c_store(instance(size=3 << 20)).Status == 0x0000
        association.release()
        assert time.monotonic() - began < 1.0
        for wire in silent:
            assert wire.receive()[0] == 0
            wire.socket.close()
        assert way.is_empty()


def test_a_peer_without_tls_is_not_served_over_tls(tmp_path: Path) -> None:
    """A plain request on a TLS port ends in nothing."""
    server, _, _ = server_and_client(tmp_path)
    with doorway(tmp_path, tls=server) as way, Wire(way.port) as wire:
        wire.send(associate_rq())
        wire.receive()
        assert way.is_empty()


@pytest.mark.parametrize(("wanted", "taken"), [("peer", True), ("other", False)])
def test_a_certificate_is_asked_for_where_named(
    tmp_path: Path, wanted: str, taken: bool
) -> None:
    """An AE title may be bound to a client certificate."""
    server, client, fingerprint = server_and_client(tmp_path)
    named = fingerprint if wanted == "peer" else "0" * 64
    peers = {"CT_A": Peer(Source("CT_A"), certificate=named)}
    with doorway(tmp_path, tls=server, peers=peers) as way:
        association = connect(way, tls_args=(client, "localhost"))
        assert association.is_established == taken
        if taken:
            association.release()


# --- memory

SERVER = """
import socket, sys
from pathlib import Path
from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor
from reconcile.dicom.policy import Policy
from reconcile.flows.arrival import Stored
from reconcile.storage.local import LocalStorage

storage = LocalStorage(Path(sys.argv[2]))

def store(arrival):
    storage.adopt(arrival.path, arrival.digest)
    return Stored()

policy = Policy("RECONCILE", lambda title: None, accept_unknown=True)
door = DicomDoor(policy, store, storage.spool_dir)
door.serve(socket.socket(fileno=int(sys.argv[1])))
print("ready", flush=True)
sys.stdin.read()
door.stop(1)
"""


class serving:  # noqa: N801 - reads as what it does
    """A door in a process of its own, on a socket that is handed over."""

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        descriptor = listening.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(descriptor), str(folder / "other")],
            pass_fds=[descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.listening = listening

    def __enter__(self) -> subprocess.Popen[str]:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=30)
        self.listening.close()


def test_a_large_instance_takes_constant_memory(tmp_path: Path) -> None:
    """300 MB pass through a process that grows by less than 100 MB."""
    listening = listen("127.0.0.1", 0)
    with serving(tmp_path, listening) as process, Wire(listening.getsockname()[1]) as wire:
        server = psutil.Process(process.pid)
        before = peak = server.memory_info().rss
        wire.associate()
        wire.send(p_data(3, c_store_rq()))
        part = p_data(0, bytes(100_000))
        began = time.perf_counter()
        for number in range(3000):
            wire.send(part)
            if number % 100 == 0:
                peak = max(peak, server.memory_info().rss)
        wire.send(p_data(2, b""))
        assert wire.status() == 0x0000
        seconds = time.perf_counter() - began
        peak = max(peak, server.memory_info().rss)
        print(f"300 MB: {300 / seconds:.0f} MB/s, grew by {(peak - before) >> 20} MB")
        assert peak - before < 100 << 20
    (stored,) = (tmp_path / "other").rglob("*.dcm")
    assert stored.stat().st_size > 300_000_000


def test_associations_leave_nothing_behind(way: Doorway) -> None:
    """Descriptors and threads are given back."""
    process = psutil.Process()
    counts = []
    for _ in range(3):
        for _ in range(30):
            with Wire(way.port) as wire:
                wire.associate()
                wire.send(p_data(3, c_store_rq()), p_data(2, b"x"))
                assert wire.status() == 0
        assert way.is_empty()
        assert eventually(lambda: threading.active_count() < 20)
        counts.append(process.num_fds())
    assert counts[2] <= counts[0] + 2


def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    """Wrong configuration, not a traceback."""
    taken = listen("127.0.0.1", 0)
    with pytest.raises(errors.ConfigurationError):
        listen("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_an_ae_title_that_is_none_is_a_wrong_configuration(tmp_path: Path) -> None:
    """Said when the door is built."""
    with pytest.raises(errors.ConfigurationError):
        DicomDoor(Policy("X" * 17, lambda _: None), lambda _: Stored(), tmp_path, Limits())


def test_tls_contexts_are_what_they_seem(tmp_path: Path) -> None:
    """The certificates of these tests require a client certificate."""
    server, _, _ = server_and_client(tmp_path)
    assert server.verify_mode is ssl.CERT_REQUIRED
