"""An association that we ask for: whatever the other side does, it ends, and by name."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reconcile.dicom.commands import C_STORE_RSP, store_request
from reconcile.dicom.destinations import Remote
from reconcile.dicom.limits import Limits
from reconcile.dicom.requestor import Lost, Requestor
from tests.support.certificates import server_and_client
from tests.support.door import CT, EXPLICIT, element, p_data, pdu
from tests.support.instances import instance
from tests.support.retrieving import free_port, taker

PAIR = (CT, EXPLICIT)


def accept(context_id: int = 1, result: int = 0) -> bytes:
    """An A-ASSOCIATE-AC that answers one context."""
    syntax = b"\x40\0" + struct.pack(">H", len(EXPLICIT)) + EXPLICIT.encode()
    answered = bytes((context_id, 0, result, 0)) + syntax
    body = b"\0\1\0\0" + bytes(64) + b"\x21\0" + struct.pack(">H", len(answered)) + answered
    user = b"\x51\0\0\4\0\0\x40\0"
    return pdu(2, body + b"\x50\0" + struct.pack(">H", len(user)) + user)


def store_rsp(status: int = 0, message_id: int = 1) -> bytes:
    body = (
        element(0x0100, struct.pack("<H", C_STORE_RSP))
        + element(0x0120, struct.pack("<H", message_id))
        + element(0x0800, b"\1\1")
        + element(0x0900, struct.pack("<H", status))
    )
    return element(0x0000, struct.pack("<I", len(body))) + body


@contextmanager
def peer(*answers: bytes) -> Iterator[Remote]:
    """Says one thing after whatever it is sent, and the next after more; then it closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            for answer in answers:
                connection.recv(65536)
                connection.sendall(answer)
            if not answers:
                return
            connection.settimeout(5)
            with suppress(OSError):
                while connection.recv(65536):
                    """Until the other side closes."""

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield Remote("PEER", "127.0.0.1", listening.getsockname()[1])
    finally:
        serving.join(10)
        listening.close()


def ask(remote: Remote) -> int | None:
    requestor = Requestor(remote, "RECONCILE", [PAIR], Limits())
    command = store_request(1, CT, "1.2.3")
    requestor.ask(PAIR, command, iter([(b"data", False), (b" set", True)]))
    status = requestor.answer().status
    requestor.release()
    return status


def test_what_is_answered_is_told() -> None:
    """A status, whatever it is; the release need not be answered."""
    with peer(accept(), p_data(3, store_rsp(0xB007), 1)) as remote:
        assert ask(remote) == 0xB007


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((), "has closed"),
        ((pdu(3, b"\0\1\1\1"),), "refuses"),
        ((pdu(7, b"\0\0\2\0"),), "as the protocol says"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "keep to the protocol"),
        ((accept(3),), "that was not proposed"),
        ((accept(), pdu(7, b"\0\0\2\0")), "has ended"),
        ((accept(), p_data(2, b"what")), "with a data set"),
        ((accept(), b"\x04\0\xff\xff\xff\xff"), "keep to the protocol"),
    ],
)
def test_whatever_else_it_says_the_association_is_lost(
    answers: tuple[bytes, ...], why: str
) -> None:
    """And nobody waits for it."""
    with peer(*answers) as remote, pytest.raises(Lost, match=why):
        ask(remote)


def test_nobody_listens() -> None:
    """It is said at once."""
    with pytest.raises(Lost, match="cannot be reached"):
        ask(Remote("PEER", "127.0.0.1", free_port()))


def test_a_context_that_is_not_accepted_is_none() -> None:
    """What may be sent is what was accepted."""
    with peer(accept(result=3)) as remote:
        requestor = Requestor(remote, "RECONCILE", [PAIR], Limits())
        assert requestor.accepted.contexts == {}
        assert requestor.accepted.maximum_length == 0x4000
        requestor.abort()


def test_over_tls(tmp_path: Path) -> None:
    """With our certificate; a peer whose certificate we cannot believe gets nothing."""
    server, client, _ = server_and_client(tmp_path)
    port, image = free_port(), instance()
    with taker(port, "PEER", {CT: [EXPLICIT]}, server) as taken:
        requestor = Requestor(
            Remote("PEER", "127.0.0.1", port, tls=client), "RECONCILE", [PAIR], Limits()
        )
        data = bytes(image.PixelData)
        sent = b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", len(data)) + data
        command = store_request(1, CT, "1.2.3", ("CT_A", 5))
        requestor.ask(PAIR, command, iter([(sent, True)]))
        assert requestor.answer().status == 0
        requestor.release()
        assert taken.datasets[0].PixelData == data
        assert taken.originators == [("CT_A", 5)]
        stranger = ssl.create_default_context()
        with pytest.raises(Lost, match="TLS"):
            Requestor(
                Remote("PEER", "127.0.0.1", port, tls=stranger), "X", [PAIR], Limits()
            )
