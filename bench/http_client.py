"""One HTTP connection that is kept open, and JSON over it."""

from __future__ import annotations

import json
from http.client import HTTPConnection, RemoteDisconnected
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

SECONDS = 60


class Client:
    """A client of one peer; of one thread at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = HTTPConnection(host, port, timeout=SECONDS)

    def get(self, path: str, **query: str) -> Any:
        """What is answered, as JSON."""
        return json.loads(self.read(path, **query))

    def read(self, path: str, **query: str) -> bytes:
        """What is answered, as it comes.

        Raises:
            LookupError: anything but 200.
        """
        status, content = self.ask(path, **query)
        if status != 200:
            raise LookupError(f"{status} in answer to GET")
        return content

    def ask(self, path: str, **query: str) -> tuple[int, bytes]:
        """Status, and what is answered; anew where the connection was idle too long."""
        where = path + (f"?{urlencode(query)}" if query else "")
        try:
            return self._asked(where)
        except RemoteDisconnected:
            self._connection.close()
            return self._asked(where)

    def _asked(self, where: str) -> tuple[int, bytes]:
        self._connection.request("GET", where)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post(self, path: str, content: bytes) -> Any:
        self._connection.request("POST", path, content)
        return json.loads(self._connection.getresponse().read())

    def say(self, path: str, said: object) -> Any:
        """What is answered to JSON.

        Raises:
            LookupError: anything but 201.
        """
        kind = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(said).encode(), kind)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 201:
            raise LookupError(f"{answer.status} in answer to POST")
        return json.loads(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
