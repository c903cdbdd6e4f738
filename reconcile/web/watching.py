"""Read a log over HTTP, as a witness on another host does. Redirects are not followed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from reconcile import __version__
from reconcile.core.note import NOTE_BYTES_MAX
from reconcile.core.tiles import Tile
from reconcile.errors import NotAuthorised, NotFound, ServiceUnavailable, WrongUse

#: For the connection, and for each part of the answer.
SECONDS = 20.0
_TILE_BYTES_MAX = 8192


@dataclass(frozen=True, slots=True)
class HttpLog:
    """A log below an address, such as https://pacs.example.org/tlog.

    `api_key` is an archive's key of any role; empty: none is needed.
    """

    url: str
    api_key: str = ""

    def checkpoint(self) -> str:
        """The newest signed note; raises NotFound, NotAuthorised, ServiceUnavailable."""
        try:
            return self._get("checkpoint", NOTE_BYTES_MAX).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WrongUse("the log answers no checkpoint") from error

    def tile(self, tile: Tile) -> bytes:
        """The hashes of a tile; raises as `checkpoint` does."""
        return self._get(f"tile/{tile.path}", _TILE_BYTES_MAX)

    def _get(self, path: str, most: int) -> bytes:
        connection, base = self._connection()
        headers = {"User-Agent": f"reconcile/{__version__}"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            connection.request("GET", f"{base}/{path}", headers=headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read(most + 1)
        except (OSError, HTTPException, ValueError) as error:
            kind = type(error).__name__
            raise ServiceUnavailable(f"the log cannot be reached: {kind}") from None
        finally:
            connection.close()
        _check(status, path)
        if len(content) > most:
            raise WrongUse(f"the log answers too much for {path}")
        return content

    def _connection(self) -> tuple[HTTPConnection, str]:
        url = urlsplit(self.url)
        host, base = url.hostname or "", url.path.rstrip("/")
        if url.scheme == "https":
            context = ssl.create_default_context()
            secure = HTTPSConnection(host, url.port, timeout=SECONDS, context=context)
            return secure, base
        return HTTPConnection(host, url.port, timeout=SECONDS), base


def _check(status: int, path: str) -> None:
    if status == 404:
        raise NotFound(f"the log has no {path}")
    if status in (401, 403):
        raise NotAuthorised("the log wants an API key (--api-key-file)")
    if status != 200:
        raise ServiceUnavailable(f"the log answers {status} for {path}")
