"""What an archive still has, as it is seen through its front doors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from bench.data import Encoded
from bench.http_client import Client
from bench.identity import Identity
from bench.ours import Reconcile
from bench.request import data_set

CLIENTS = 4
PAGE = 1000
#: Of a DICOM file: preamble, prefix and (0002,0000), which says how long the rest of the
#: meta information is (PS3.10 section 7.1).
BEFORE_META = 144


def received(
    server: Reconcile, encoded: Encoded, sent: Mapping[str, tuple[Identity, int]]
) -> tuple[int, int]:
    """How many of them are not there, and how many are not what was sent."""

    def look(peer: Client, uid: str) -> str:
        status, content = peer.ask(f"/api/v1/instances/{uid}/received")
        if status != 200:
            return "missing"
        wanted = hashlib.sha256(data_set(encoded, *sent[uid])).digest()
        found = hashlib.sha256(without_meta(content)).digest()
        return "whole" if found == wanted else "altered"

    seen = list(_each(server, sent, look))
    return seen.count("missing"), seen.count("altered")


def there(server: Reconcile, uids: Iterable[str]) -> set[str]:
    """Those of which the archive has the bytes."""

    def look(peer: Client, uid: str) -> str:
        status, _ = peer.ask(f"/api/v1/instances/{uid}/received")
        return uid if status == 200 else ""

    return set(_each(server, uids, look)) - {""}


def events(server: Reconcile, since: datetime) -> Iterator[str]:
    """SOP Instance UIDs of all audit rows since then, one for each row."""
    cursor: dict[str, str] = {}
    with server.client() as peer:
        while True:
            page: dict[str, Any] = peer.get(
                "/api/v1/coercions",
                **{"from": since.isoformat()},
                limit=str(PAGE),
                **cursor,
            )
            yield from (each["sop_instance_uid"] for each in page["items"])
            if not page["next"]:
                return
            cursor = {"cursor": page["next"]}


def without_meta(file: bytes) -> bytes:
    """The data set of a DICOM file."""
    return file[
        BEFORE_META + int.from_bytes(file[BEFORE_META - 4 : BEFORE_META], "little") :
    ]


def _each(
    server: Reconcile, uids: Iterable[str], look: Callable[[Client, str], str]
) -> Iterator[str]:
    """Look at all of them, over several connections."""
    wanted = list(uids)

    def share(at: int) -> list[str]:
        with server.client() as peer:
            return [look(peer, uid) for uid in wanted[at::CLIENTS]]

    with ThreadPoolExecutor(CLIENTS) as pool:
        for found in pool.map(share, range(CLIENTS)):
            yield from found
