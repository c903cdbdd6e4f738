"""The DICOM door when associations are cut off, when it stops, and over TLS."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from reconcile.core.facts import Source
from reconcile.dicom.policy import Peer
from reconcile.flows.arrival import Arrival, Stored
from tests.support.certificates import server_and_client
from tests.support.door import (
    Doorway,
    Wire,
    associate_rq,
    c_store_rq,
    changed,
    connect,
    doorway,
    eventually,
    instance,
    p_data,
    pdu,
)


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


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_a_peer_that_leaves_while_it_is_served_disturbs_nobody(
    tmp_path: Path, memory_bytes: int
) -> None:
    """The store is finished; the answer has nobody to go to."""
    with doorway(tmp_path, changed(memory_bytes=memory_bytes)) as way:
        leave_while_served(way, files=0 if memory_bytes else 2)


def leave_while_served(way: Doorway, files: int) -> None:
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
        assert eventually(lambda: len(way.storage.spooled()) == files)
    gone.set()
    assert way.is_empty()
    assert way.spool_is_empty()
    # What it had sent before it left may be stored too: it depends on who looks first.
    assert way.data_sets() in ([b"one"], [b"one", b"two"])


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


def test_a_peer_that_never_rests_is_stopped_too(tmp_path: Path) -> None:
    """It goes on for the grace time, gets its last answer, and then an A-ABORT."""
    with doorway(tmp_path) as way, Wire(way.port) as wire:
        wire.associate()
        stopping = threading.Thread(target=way.door.stop, args=(0.5,))
        answers, kind = 0, 4
        began = time.monotonic()
        while kind == 4:
            wire.send(p_data(3, c_store_rq(answers)), p_data(2, b"data set"))
            kind, _ = wire.receive()
            answers += kind == 4
            if answers == 10:
                stopping.start()
        assert kind == 7
        assert 0.5 <= time.monotonic() - began < 5
        stopping.join(10)
        assert answers <= len(way.arrivals) <= answers + 1
        assert way.spool_is_empty()


def test_a_store_that_outlasts_the_grace_time_is_answered(tmp_path: Path) -> None:
    """What is being carried out is finished, answered, and only then aborted."""
    going = threading.Event()

    def slow(_: Arrival) -> Stored:
        going.set()
        time.sleep(1.5)
        return Stored()

    with doorway(tmp_path) as way, Wire(way.port) as wire:
        way.answer = slow
        wire.associate()
        two = c_store_rq(2, "1.2.5")
        wire.send(
            p_data(3, c_store_rq()), p_data(2, b"one"), p_data(3, two), p_data(2, b"two")
        )
        assert going.wait(10)
        began = time.monotonic()
        way.door.stop(grace=0.2)
        assert time.monotonic() - began < 5
        assert wire.status() == 0x0000
        assert wire.receive()[0] == 7
        assert way.data_sets() == [b"one"]
        assert way.spool_is_empty()


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
