"""Every route as everybody: who may ask is what the documentation says.

The table under "Who may" in docs/reference/http.md is read and tried, so that neither it
nor a route that is added later can be wrong about this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from fastapi.routing import APIRoute

from reconcile.db.embedded import Urls
from reconcile.flows.keys import ROLES, make_key
from reconcile.web.app import TOPICS
from reconcile.web.pages import site
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.hospital import Hospital

PAGE = Path(__file__).parents[2] / "docs/reference/http.md"
NOBODY = "nobody"
_ROW = re.compile(r"\| (GET|POST) \| `([^`]+)` \|(.*)\|")
#: In place of what a path names; nothing is so called.
_NAMED = {"study": "1.9", "series": "1.9", "instance": "1.9", "uid": "1.9", "frames": "1"}


class Row(NamedTuple):
    """Requests to paths that begin so, and what each may: `yes`, `source` or nothing."""

    method: str
    path: str
    may: dict[str, str]


def table() -> list[Row]:
    """The documented one."""
    rows = []
    for method, path, cells in _ROW.findall(PAGE.read_text(encoding="utf-8")):
        said = [cell.strip() for cell in cells.split("|")]
        rows.append(Row(method, path, dict(zip((NOBODY, *ROLES), said, strict=True))))
    return rows


@pytest.fixture
def everybody(database_urls: Urls, tmp_path: Path) -> Iterator[dict[str, httpx.Client]]:
    """A client for each role, and one of nobody."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=True)
    with open_door(parts) as door, ExitStack() as stack:
        clients = {}
        for who in (NOBODY, *ROLES):
            key = make_key(hospital.database, name=who, role=who) if who in ROLES else ""
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            client = httpx.Client(base_url=door.base_url, headers=headers, timeout=60)
            clients[who] = stack.enter_context(client)
        yield clients
    hospital.database.close()


def routes() -> list[tuple[str, str]]:
    """Every one that programs or people ask."""
    return [
        (method, route.path)
        for topic in (*TOPICS, *site.TOPICS)
        for route in topic.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]


def test_every_route_answers_everybody_as_documented(
    everybody: dict[str, httpx.Client],
) -> None:
    """401 without a key, 403 for a role that may not, and neither for one that may."""
    rows, wrong = table(), []
    asked = routes()
    assert len(asked) > 50
    for method, path in asked:
        row = next(r for r in rows if r.method == method and path.startswith(r.path))
        named = re.sub(r"\{(\w+)(:path)?\}", lambda m: _NAMED.get(m[1], "0" * 8), path)
        for who, client in everybody.items():
            status = _status(client.request(method, named, json={}))
            if status != _expected(row.may[who], who, status):
                wrong.append((method, path, who, status))
    assert not wrong


def _status(answer: httpx.Response) -> int:
    """Of a form that was not taken from a page: who sent it may, and is in."""
    return 400 if "not made here" in answer.text else answer.status_code


def _expected(may: str, who: str, status: int) -> int:
    """The status that is right; whatever else it is, for who may."""
    if not may:
        return 401 if who == NOBODY else 403
    if may == "source":
        return 403 if status in (401, 403) else status
    return status if status not in (401, 403) else 200
