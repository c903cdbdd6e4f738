"""The way to a destination that instances are forwarded to by STOW-RS, as user agent.

One request for each instance, streamed, over a connection that is kept: what is answered
is then of that instance. Not followed: redirects, lest a key goes where nobody configured
it to go.

Source:
    PS3.18 sections 10.5 (Store Transaction) and I.2 (Store Instances Response Module).
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconcile import __version__
from reconcile.dataset.convert import EXPLICIT_VR
from reconcile.flows.delivering import NotDelivered, Opened
from reconcile.flows.retrieve import Outgoing
from reconcile.flows.several import Ready

#: For the connection and for each part of the way; a server that stores takes its time.
SECONDS = 60.0
ANSWER_BYTES_MAX = 1 << 20
_FAILED, _REFERENCED = "00081198", "00081199"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
#: Referenced Transfer Syntax not supported: PS3.18 Table I.2-2.
_SYNTAX = 0xC122
#: The server is away, or does not let us in, whatever it is sent: an outage of the lane.
_AWAY = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429})


@dataclass(frozen=True, slots=True)
class Server:
    """A DICOMweb server.

    Attributes:
        url: of the service, to which "/studies" is added.
        key_file, key_env: where the bearer key is; both empty: there is none. It is read
            anew each time, so that it can be changed.
        tls: how its certificate is looked at; None: as the system does.
    """

    url: str
    key_file: str = ""
    key_env: str = ""
    tls: ssl.SSLContext | None = None


def stow(server: Server) -> Opened:
    """What opens a way to a server."""

    @contextmanager
    def opened(kinds: Collection[tuple[str, str]]) -> Iterator[_Courier]:
        connection = _connection(server)
        try:
            yield _Courier(server, connection)
        finally:
            connection.close()

    return opened


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    said: Mapping[str, Any]

    def reason(self, sequence: str, tag: str) -> int | None:
        """A reason of the only item of a sequence; None: it has none."""
        try:
            return int(self.said[sequence]["Value"][0][tag]["Value"][0])
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    @property
    def failed(self) -> bool:
        """Whether an instance is named that was not stored."""
        element = self.said.get(_FAILED)
        return isinstance(element, dict) and bool(element.get("Value"))


class _Courier:
    """Hands instances over, one after the other."""

    def __init__(self, server: Server, connection: HTTPConnection) -> None:
        self._server = server
        self._connection = connection

    def deliver(self, ready: Ready) -> int:
        """See `flows.delivering.Courier`."""
        stored = ready.transfer_syntax_uid
        answer = self._post(ready.give())
        refused = answer.reason(_FAILED, _FAILURE_REASON) == _SYNTAX or answer.status == 415
        if refused and stored != EXPLICIT_VR:
            answer = self._post(ready.give((EXPLICIT_VR,)))
        return _judged(answer)

    def _post(self, outgoing: Outgoing) -> _Answer:
        boundary = secrets.token_hex(16)
        chunks = outgoing.file()
        try:
            # What is thrown while it is read is ours, and leaves half a request behind.
            return self._exchange(_multipart(boundary, chunks), boundary)
        except BaseException:
            self._connection.close()
            raise
        finally:
            chunks.close()

    def _exchange(self, body: Iterator[bytes], boundary: str) -> _Answer:
        headers = {
            "Content-Type": 'multipart/related; type="application/dicom"; '
            f"boundary={boundary}",
            "Accept": "application/dicom+json",
            "User-Agent": f"reconcile/{__version__}",
            **_authorization(self._server),
        }
        path = urlsplit(self._server.url).path.rstrip("/") + "/studies"
        connection = self._connection
        whole = False
        try:
            # A server that refuses early may close before it has read all.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", path, body, headers, encode_chunked=True)
                whole = True
            answer = _read(connection)
            if not whole:
                connection.close()
            return answer
        except (OSError, HTTPException) as error:
            # What an error says may be what the other side said: its kind is enough.
            raise NotDelivered(f"no answer: {type(error).__name__}", away=True) from None


def _connection(server: Server) -> HTTPConnection:
    url = urlsplit(server.url)
    host = url.hostname or ""
    if url.scheme == "https":
        context = server.tls or ssl.create_default_context()
        return HTTPSConnection(host, url.port, timeout=SECONDS, context=context)
    return HTTPConnection(host, url.port, timeout=SECONDS)


def _authorization(server: Server) -> dict[str, str]:
    if not (server.key_file or server.key_env):
        return {}
    try:
        key = (
            Path(server.key_file).read_text(encoding="ascii")
            if server.key_file
            else os.environ.get(server.key_env, "")
        ).strip()
    except (OSError, UnicodeDecodeError):
        raise NotDelivered("its key cannot be read", away=True) from None
    if not key or not key.isprintable() or not key.isascii():
        raise NotDelivered("its key is empty, or none", away=True)
    return {"Authorization": f"Bearer {key}"}


def _multipart(boundary: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """One part (PS3.18 section 8.6.1.2)."""
    yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    yield from (chunk for chunk in chunks if chunk)  # an empty one would end the body
    yield f"\r\n--{boundary}--\r\n".encode()


def _read(connection: HTTPConnection) -> _Answer:
    response = connection.getresponse()
    until, raw = time.monotonic() + SECONDS, b""
    while data := response.read1(1 << 16):
        raw += data
        if len(raw) > ANSWER_BYTES_MAX or time.monotonic() > until:
            raise NotDelivered("it answers more than the limit", away=True)
    response.close()  # which read1 does not, at the end of a length that was said
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = {}
    if isinstance(said, list):  # some put the one data set into a list
        said = said[0] if said else {}
    return _Answer(response.status, said if isinstance(said, dict) else {})


def _judged(answer: _Answer) -> int:
    """The status of an answer, as one of C-STORE: success, or a warning.

    Raises:
        NotDelivered: it was not stored.
    """
    status, reason = answer.status, answer.reason(_FAILED, _FAILURE_REASON)
    if status in (200, 202) and not answer.failed:
        return answer.reason(_REFERENCED, _WARNING_REASON) or 0
    if answer.failed and status in (200, 202, 409):
        why = f"STOW-RS was answered {status}"
        why += f", Failure Reason {reason:04X}" if reason is not None else ""
        passing = reason is not None and reason & 0xFF00 == 0xA700
        raise NotDelivered(why, away=passing, status=reason)
    raise NotDelivered(f"STOW-RS was answered {status}", away=_is_passing(status))


def _is_passing(status: int) -> bool:
    """Whether another instance would not have been taken either (RFC 9110 section 15)."""
    return status < 400 or status in _AWAY or status >= 500
