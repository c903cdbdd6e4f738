"""Who is told: a web server, a mail server and a DICOM peer, as large as tests need."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import Event

from reconcile.dicom.availability import SOP_CLASS


@dataclass
class Heard:
    """What a web server was sent: headers and body of each request, in order."""

    url: str
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: Callable[[int], int] = lambda _: 204
    location: str = ""


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[Heard]:
    """A server that answers the n-th POST with `answers(n)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append((dict(self.headers), body))
            self.send_response(heard.answers(len(heard.requests)))
            if heard.location:
                self.send_header("Location", heard.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Tests look at what was heard."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https" if tls else "http"
        heard = Heard(f"{scheme}://127.0.0.1:{server.server_address[1]}/told?by=us")
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield heard
        finally:
            server.shutdown()
            serving.join()


@dataclass
class Postbox:
    """What a mail server took; `said` are the lines of its clients."""

    port: int
    letters: list[EmailMessage] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    refuses: bool = False


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[Postbox]:
    """A server that speaks as much of SMTP (RFC 5321) as is needed to hand a mail over."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 here\r\n")
            if _converse(self.request, box) and tls:
                self.request.sendall(b"220 go on\r\n")
                with suppress(ssl.SSLError):  # it does not believe us
                    _converse(tls.wrap_socket(self.request, server_side=True), box)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        box = Postbox(server.server_address[1])
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield box
        finally:
            server.shutdown()
            serving.join()


def _converse(opened: socket.socket, box: Postbox) -> bool:
    """Answer until the client goes, or wants to go on with TLS: then True."""
    answers = {
        "EHLO": b"250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
        "MAIL": b"250 ok\r\n",
        "RCPT": b"550 nobody\r\n" if box.refuses else b"250 ok\r\n",
        "RSET": b"250 ok\r\n",
        "AUTH": b"235 come in\r\n",
        "DATA": b"354 go on\r\n",
        "QUIT": b"221 bye\r\n",
    }
    with opened.makefile("rb", buffering=0) as reading:
        for line in reading:
            box.said.append(line.decode().strip())
            verb = line.decode()[:4].upper()
            if verb == "STAR":
                return True
            opened.sendall(answers.get(verb, b"500 what\r\n"))
            if verb == "DATA":
                box.letters.append(_letter(reading))
                opened.sendall(b"250 taken\r\n")
    return False


def _letter(reading: Any) -> EmailMessage:
    lines: list[bytes] = []
    for line in reading:
        if line == b".\r\n":
            break
        lines.append(line)
    letter = BytesParser(policy=default).parsebytes(b"".join(lines))
    assert isinstance(letter, EmailMessage)
    return letter


@dataclass
class Notified:
    """What a DICOM peer was told: (SOP Instance UID, attributes) of each N-CREATE."""

    port: int = 0
    told: list[tuple[str, Dataset]] = field(default_factory=list)
    status: int = 0x0000


@contextmanager
def availability_scp() -> Iterator[Notified]:
    """A peer that takes Instance Availability Notifications, as WORKFLOW."""
    notified = Notified()

    def create(event: Event) -> tuple[int, Dataset]:
        request: Any = event.request
        notified.told.append((str(request.AffectedSOPInstanceUID), event.attribute_list))
        return notified.status, Dataset()

    entity = ApplicationEntity("WORKFLOW")
    entity.require_called_aet = True
    entity.add_supported_context(
        SOP_CLASS, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    )
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_CREATE, create)]
    )
    assert server is not None
    notified.port = server.server_address[1]
    try:
        yield notified
    finally:
        server.shutdown()
