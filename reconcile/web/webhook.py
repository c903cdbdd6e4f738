"""Tell a web address of ours what happened: one POST, signed, of JSON.

Not followed: redirects, lest a secret's signature goes where nobody configured it to.
Not read: what is answered, but for its status.
"""

from __future__ import annotations

import hmac
import json
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from reconcile import __version__
from reconcile.flows.notify import Notice, NotTold

#: For the connection, and for each part of the answer.
SECONDS = 10.0
SIGNATURE = "X-Reconcile-Signature"
NOTICE_ID = "X-Reconcile-Notification"

#: The service is away, whatever it is told (RFC 9110 15.6, RFC 6585 4).
_AWAY = frozenset({429, 502, 503, 504})


def webhook(url: str, secret_file: str = "") -> Callable[[Notice], None]:
    """What tells this address; the secret is read anew each time, so it can be changed."""

    def send(notice: Notice) -> None:
        body = json.dumps(notice.document(), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"reconcile/{__version__}",
            NOTICE_ID: str(notice.id),
        }
        if secret_file:
            headers[SIGNATURE] = signature(_secret(secret_file), body)
        _check(_post(urlsplit(url), body, headers))

    return send


def signature(secret: bytes, body: bytes) -> str:
    """HMAC-SHA256 over a body, as it stands in the header."""
    return f"sha256={hmac.digest(secret, body, 'sha256').hex()}"


def _secret(file: str) -> bytes:
    try:
        secret = Path(file).read_bytes().strip()
    except OSError as error:
        raise NotTold(f"its secret cannot be read: {error.strerror}", away=True) from error
    if not secret:
        raise NotTold("the file of its secret is empty", away=True)
    return secret


def _post(url: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = _connection(url)
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        # What an error says may be what the other side said: its kind is enough.
        raise NotTold(f"no answer: {type(error).__name__}", away=True) from None
    finally:
        connection.close()


def _connection(url: SplitResult) -> HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context()
        return HTTPSConnection(host, url.port, timeout=SECONDS, context=context)
    return HTTPConnection(host, url.port, timeout=SECONDS)


def _check(status: int) -> None:
    if not 200 <= status < 300:
        redirected = ", and redirects are not followed" if 300 <= status < 400 else ""
        raise NotTold(f"answered {status}{redirected}", away=status in _AWAY)
