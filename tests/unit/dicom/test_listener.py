"""A listener: one connection at a time, and none lost when there is no room for it."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from reconcile.dicom import listener
from reconcile.dicom.listener import Listener, listen
from reconcile.errors import ConfigurationError


class Poor(socket.socket):
    """A listening socket of a process that has no descriptors left, for a while."""

    failures = 0
    code = errno.EMFILE

    def accept(self) -> tuple[socket.socket, Any]:
        if Poor.failures:
            Poor.failures -= 1
            raise OSError(Poor.code, "")
        return super().accept()


def accepted(listening: socket.socket, count: int, inside: int = 0) -> list[float]:
    """When each of so many connections was accepted, in seconds of the loop."""
    loop = asyncio.SelectorEventLoop()
    times: list[float] = []

    def take(connection: socket.socket, address: str) -> None:
        assert address == "127.0.0.1"
        connection.close()
        times.append(loop.time())
        if len(times) == count:
            loop.stop()

    accepting = Listener(loop, listening, lambda: inside, take)
    peers = [socket.create_connection(listening.getsockname()) for _ in range(count)]
    accepting.start()
    loop.call_later(10, loop.stop)
    began = loop.time()
    loop.run_forever()
    accepting.stop()
    loop.close()
    for peer in peers:
        peer.close()
    return [time - began for time in times]


def test_every_connection_is_accepted() -> None:
    """All that waited, one after the other."""
    assert len(accepted(listen("127.0.0.1", 0), 20)) == 20


def test_who_has_more_associations_leaves_connections_to_others() -> None:
    """For longer, but not for ever."""
    (few,) = accepted(listen("127.0.0.1", 0), 1, inside=5)
    (many,) = accepted(listen("127.0.0.1", 0), 1, inside=10_000)
    assert few >= 5 * listener.WAIT_SECONDS
    assert listener.WAIT_SECONDS_MAX <= many < 5


@pytest.mark.parametrize(
    ("code", "is_said"), [(errno.EMFILE, True), (errno.EAGAIN, False), (errno.EINTR, False)]
)
def test_a_connection_that_cannot_be_taken_now_is_taken_later(
    code: int, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """No descriptors: said, and tried again; another process was quicker: nothing."""
    with listen("127.0.0.1", 0) as bound:
        poor = Poor(fileno=bound.detach())
    Poor.failures, Poor.code = 2, code
    assert len(accepted(poor, 3)) == 3
    assert ("EMFILE" in caplog.text) == is_said


def test_a_listener_may_be_stopped_while_it_waits() -> None:
    """In the midst of leaving a connection to others."""
    loop, listening = asyncio.SelectorEventLoop(), listen("127.0.0.1", 0)
    taken: list[str] = []
    accepting = Listener(
        loop, listening, lambda: 10_000, lambda _, address: taken.append(address)
    )
    with socket.create_connection(listening.getsockname()):
        accepting.start()
        loop.call_later(0.005, accepting.stop)
        loop.call_later(0.05, loop.stop)
        loop.run_forever()
    loop.close()
    assert not taken


def test_an_address_that_cannot_be_bound_is_a_wrong_configuration() -> None:
    """In one sentence."""
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
