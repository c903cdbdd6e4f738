"""The DICOM door against peers that ask too much or break the protocol."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from random import Random

import psutil
import pytest

from reconcile.dicom.acceptor import listen
from reconcile.flows.arrival import Arrival, Stored
from tests.support.door import (
    MR,
    Doorway,
    Wire,
    associate_rq,
    c_store_rq,
    changed,
    connect,
    doorway,
    element,
    eventually,
    instance,
    item,
    p_data,
    pdu,
    serving,
)

NO_DATA = element(0x0800, b"\x01\x01")


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


def test_a_peer_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """Its answers wait only so long; it is not read from meanwhile."""
    with doorway(tmp_path, changed(pdu_seconds=0.5)) as way, Wire(way.port) as wire:
        wire.associate()
        echo = element(0x0100, b"\x30\x00") + element(0x0110, b"\x07\x00")
        echoes = p_data(3, echo + NO_DATA) * 10_000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(wire, echoes)
        assert way.is_empty()


def send_for_ever(wire: Wire, content: bytes) -> None:
    while True:
        wire.send(content)


def test_requests_without_end_keep_few_bytes_here(way: Doorway) -> None:
    """Ten thousand at once are answered in order, a few of them read at a time."""
    with Wire(way.port) as wire:
        wire.associate()
        echo = element(0x0002, b"1.2\0") + element(0x0100, b"\x30\x00")
        echoes = [
            p_data(3, echo + element(0x0110, number.to_bytes(2, "little")) + NO_DATA)
            for number in range(10_000)
        ]
        sending = threading.Thread(target=wire.send, args=echoes)
        sending.start()
        for number in range(10_000):
            _, body = wire.receive()
            assert element(0x0120, number.to_bytes(2, "little")) in body
        sending.join()


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
