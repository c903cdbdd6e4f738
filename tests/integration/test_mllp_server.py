"""The MLLP listener over real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconcile.errors import ReconcileError
from reconcile.hl7.feed import Peer
from reconcile.hl7.mllp import Framer, frame
from reconcile.hl7.server import serve

Handle = Callable[[bytes, Peer], bytes]


def echo(raw: bytes, peer: Peer) -> bytes:
    return b"ACK " + raw


@dataclass
class Listening:
    address: tuple[str, int]
    stop: Callable[[], None]
    thread: threading.Thread

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)


@contextmanager
def listening(handle: Handle = echo, **options: Any) -> Iterator[Listening]:
    """A listener in a thread of its own, on a free port, stopped at the end."""
    bound = socket.create_server(("127.0.0.1", 0))
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve([bound], handle, stop=stop, **options))
    )
    thread.start()

    def end() -> None:
        loop.call_soon_threadsafe(stop.set)

    try:
        yield Listening(bound.getsockname(), end, thread)
    finally:
        end()
        thread.join(20)
        assert not thread.is_alive()
        loop.close()


def receive(connection: socket.socket, count: int) -> list[bytes]:
    """The next answers; fewer where the connection ends."""
    framer = Framer()
    found: list[bytes] = []
    while len(found) < count:
        data = connection.recv(65536)
        if not data:
            break
        found += framer.feed(data)
    return found


def test_many_messages_in_flight_are_answered_in_order() -> None:
    """All are sent before the first answer is read; early ones take longest."""

    def slow_first(raw: bytes, peer: Peer) -> bytes:
        time.sleep(0.02 if int(raw) < 5 else 0)
        return raw

    with listening(slow_first) as server, server.connect() as connection:
        connection.sendall(b"".join(frame(b"%d" % n) for n in range(200)))
        assert receive(connection, 200) == [b"%d" % n for n in range(200)]


def test_connections_do_not_wait_for_each_other() -> None:
    """One message that takes long holds up its own connection only."""
    release = threading.Event()

    def handle(raw: bytes, peer: Peer) -> bytes:
        if raw == b"slow":
            release.wait(10)
        return raw

    with listening(handle) as server, server.connect() as one, server.connect() as other:
        one.sendall(frame(b"slow"))
        other.sendall(frame(b"quick"))
        assert receive(other, 1) == [b"quick"]
        release.set()
        assert receive(one, 1) == [b"slow"]


def test_one_message_of_a_connection_is_handled_at_a_time() -> None:
    """Else their effects would overtake each other."""
    inside, most = 0, 0
    lock = threading.Lock()

    def handle(raw: bytes, peer: Peer) -> bytes:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.001)
        with lock:
            inside -= 1
        return raw

    with listening(handle) as server, server.connect() as connection:
        connection.sendall(frame(b"x") * 50)
        assert len(receive(connection, 50)) == 50
    assert most == 1


def test_a_message_may_come_byte_by_byte_and_be_large() -> None:
    """A slow sender is served; five megabytes too."""
    with listening() as server, server.connect() as connection:
        for byte in frame(b"slow sender"):
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        assert receive(connection, 1) == [b"ACK slow sender"]
        large = b"x" * (5 << 20)
        connection.sendall(frame(large))
        assert receive(connection, 1) == [b"ACK " + large]


def test_a_message_that_never_ends_is_dropped() -> None:
    """Its time is counted from its first byte, however many follow."""
    with listening(frame_seconds=0.3) as server, server.connect() as connection:
        began = time.monotonic()
        connection.sendall(b"\x0bMSH|")
        with pytest.raises(ConnectionError):
            trickle(connection, seconds=8)
        assert time.monotonic() - began < 5


def trickle(connection: socket.socket, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.sendall(b"x")
        time.sleep(0.05)


def test_a_silent_connection_is_closed() -> None:
    """After its time; before, it may come back."""
    with listening(idle_seconds=0.3) as server, server.connect() as connection:
        connection.sendall(frame(b"1"))
        assert receive(connection, 1) == [b"ACK 1"]
        time.sleep(0.1)
        connection.sendall(frame(b"2"))
        assert receive(connection, 1) == [b"ACK 2"]
        assert connection.recv(1) == b""


def test_a_sender_that_reads_no_answers_is_not_read_either() -> None:
    """Memory does not grow with what a peer sends faster than it takes."""
    handled = 0

    def handle(raw: bytes, peer: Peer) -> bytes:
        nonlocal handled
        handled += 1
        return b"x" * (256 << 10)

    with listening(handle) as server, server.connect() as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.sendall(frame(b"m" * 1000) * 100_000)
        assert handled < 500


def test_a_message_that_is_too_large_is_refused_and_the_connection_closed() -> None:
    """The refusal arrives although the rest of the message was never read."""

    def refuse(head: bytes, error: ReconcileError) -> bytes:
        return b"AR " + head[:5]

    with listening(refuse=refuse, message_bytes_max=1000) as server:
        with server.connect() as connection:
            connection.sendall(frame(b"first") + b"\x0bMSH|^" + b"x" * 500_000)
            assert receive(connection, 3) == [b"ACK first", b"AR MSH|^"]
        with server.connect() as connection:
            connection.sendall(frame(b"still here"))
            assert receive(connection, 1) == [b"ACK still here"]


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\n" * 500, b"\x0b", b"\x1c\r"])
def test_other_protocols_are_dropped_and_the_listener_lives(stream: bytes) -> None:
    """Whatever one peer sends, the next is served."""
    with listening() as server:
        with server.connect() as connection:
            connection.sendall(stream)
            connection.shutdown(socket.SHUT_WR)
            assert receive(connection, 1) == []
        with server.connect() as connection:
            connection.sendall(frame(b"1"))
            assert receive(connection, 1) == [b"ACK 1"]


def test_a_handler_that_fails_costs_its_connection_only() -> None:
    """No answer: the sender sends again; what was said goes to no log."""

    def handle(raw: bytes, peer: Peer) -> bytes:
        if raw == b"bad":
            raise ValueError("DOE^JANE")
        return raw

    with listening(handle) as server:
        with server.connect() as connection:
            connection.sendall(frame(b"bad"))
            assert receive(connection, 1) == []
        with server.connect() as connection:
            connection.sendall(frame(b"good"))
            assert receive(connection, 1) == [b"good"]


def test_no_answer_is_sent_where_there_is_none() -> None:
    """An acknowledgement is not acknowledged."""
    with (
        listening(lambda raw, peer: b"" if raw == b"ACK" else raw) as server,
        server.connect() as connection,
    ):
        connection.sendall(frame(b"ACK") + frame(b"ADT"))
        assert receive(connection, 1) == [b"ADT"]


def test_one_connection_too_many_is_closed() -> None:
    """Those that are open go on; when one ends, the next is taken."""
    with listening(connections_max=2) as server, ExitStack() as stack:
        open_ones = [stack.enter_context(server.connect()) for _ in range(2)]
        for connection in open_ones:
            connection.sendall(frame(b"1"))
            assert receive(connection, 1) == [b"ACK 1"]
        with server.connect() as third:
            assert receive(third, 1) == []
        open_ones[0].sendall(frame(b"2"))
        assert receive(open_ones[0], 1) == [b"ACK 2"]
        open_ones[1].close()
        time.sleep(0.2)
        with server.connect() as next_one:
            next_one.sendall(frame(b"3"))
            assert receive(next_one, 1) == [b"ACK 3"]


def test_stopping_answers_what_it_began_and_takes_nothing_new() -> None:
    """The message in hand is answered; the ones behind it are left to their sender."""
    begun, release = threading.Event(), threading.Event()
    handled: list[bytes] = []

    def handle(raw: bytes, peer: Peer) -> bytes:
        handled.append(raw)
        begun.set()
        release.wait(10)
        return b"ACK " + raw

    with listening(handle) as server:
        with server.connect() as connection, server.connect() as idle:
            connection.sendall(frame(b"1") + frame(b"2"))
            assert begun.wait(10)
            server.stop()
            assert receive(idle, 1) == []
            assert not is_served(server)
            release.set()
            assert receive(connection, 2) == [b"ACK 1"]
        server.thread.join(10)
        assert not server.thread.is_alive()
    assert handled == [b"1"]


def is_served(server: Listening) -> bool:
    try:
        with server.connect() as late:
            return answers(late)
    except OSError:
        return False


def test_a_peer_is_known_by_its_address() -> None:
    """Without TLS there is no certificate."""
    seen: list[Peer] = []

    def handle(raw: bytes, peer: Peer) -> bytes:
        seen.append(peer)
        return raw

    with listening(handle) as server, server.connect() as connection:
        connection.sendall(frame(b"1"))
        receive(connection, 1)
    assert seen == [Peer("127.0.0.1", "")]


# -- TLS ---------------------------------------------------------------------------


def test_over_tls_a_peer_is_known_by_its_certificate(tmp_path: Path) -> None:
    """MLLP under ITI-19: mutual TLS, messages in flight in order."""
    server_files, client_files = (
        certificate(tmp_path, "archive"),
        certificate(tmp_path, "RIS_A"),
    )
    seen: set[Peer] = set()

    def handle(raw: bytes, peer: Peer) -> bytes:
        seen.add(peer)
        return raw

    accepting = tls(ssl.Purpose.CLIENT_AUTH, server_files, client_files[0])
    accepting.verify_mode = ssl.CERT_REQUIRED
    offering = tls(ssl.Purpose.SERVER_AUTH, client_files, server_files[0])
    with (
        listening(handle, ssl=accepting) as server,
        server.connect() as plain,
        offering.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"".join(frame(b"%d" % n) for n in range(50)))
        assert receive(connection, 50) == [b"%d" % n for n in range(50)]
    [peer] = seen
    assert (peer.address, peer.certificate) == ("127.0.0.1", "CN=RIS_A,O=Hospital")
    assert peer.names == {"RIS_A"}
    assert len(peer.fingerprint) == 64


def test_without_a_certificate_nothing_is_taken(tmp_path: Path) -> None:
    """And a peer that speaks no TLS at all stops nobody."""
    server_files, client_files = (
        certificate(tmp_path, "archive"),
        certificate(tmp_path, "RIS_A"),
    )
    accepting = tls(ssl.Purpose.CLIENT_AUTH, server_files, client_files[0])
    accepting.verify_mode = ssl.CERT_REQUIRED
    nameless = ssl.create_default_context(cafile=str(server_files[0]))
    with listening(ssl=accepting) as server:
        with server.connect() as plain:
            assert not answers(plain)
        with server.connect() as plain:
            assert not answers(plain, nameless)


def answers(connection: socket.socket, context: ssl.SSLContext | None = None) -> bool:
    """Whether a message is answered; a TLS alert is no answer."""
    try:
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
        with connection:
            connection.sendall(frame(b"MSH|^~\\&|RIS_A"))
            return bool(receive(connection, 1))
    except (OSError, ReconcileError):
        return False


def tls(purpose: ssl.Purpose, own: tuple[Path, Path], trusted: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose, cafile=str(trusted))
    context.load_cert_chain(*own)
    return context


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hospital"),
        ]
    )
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
