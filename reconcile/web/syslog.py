"""Messages to a syslog server over TLS (RFC 5425), and whether it has taken them.

Syslog answers nothing: what was written to a connection that breaks may be lost. So the
connection is closed after a few messages, and they count as taken when the server has
closed it in turn, as RFC 5425 section 4.4 has it do: it has read all before that.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Sequence

from reconcile.core.audit_message import AuditMessage, framed, syslog, xml
from reconcile.flows.auditing import NotTaken

#: For the connection, for each write, and for the server to close in turn.
SECONDS = 15.0
APPLICATION = "reconcile"
PORT = 6514


def repository(
    address: tuple[str, int], tls: ssl.SSLContext, source_id: str, site: str = ""
) -> Callable[[Sequence[AuditMessage]], None]:
    """What has messages taken by the syslog server at an address, or raises NotTaken."""
    host = socket.gethostname()
    process = str(os.getpid())

    def send(messages: Sequence[AuditMessage]) -> None:
        written = (
            framed(syslog(xml(each, source_id, site), each.at, host, APPLICATION, process))
            for each in messages
        )
        try:
            with socket.create_connection(address, SECONDS) as plain:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with tls.wrap_socket(plain, server_hostname=address[0]) as secured:
                    secured.sendall(b"".join(written))
                    _close(secured)
        except (OSError, ValueError) as error:
            raise NotTaken(
                f"{type(error).__name__} at {address[0]}:{address[1]}"
            ) from error

    return send


def _close(secured: ssl.SSLSocket) -> None:
    """Say that nothing more comes, and wait until the server has read that.

    Raises:
        OSError: the connection broke, or the server has not closed it in time.
    """
    try:
        secured.unwrap()
    except ssl.SSLEOFError:
        pass  # it has read to our end and closed without saying so
    except ssl.SSLError as error:
        if "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" not in str(error.reason):
            raise
