"""The pages over a real registry: the facts on them, and what they refuse."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reconcile.db import views_holds
from reconcile.db.views import Where
from reconcile.flows.keys import make_key
from reconcile.web.app import make_app
from tests.support.database import Cluster
from tests.support.paged import HOSTILE, Day, a_day

BASE = "http://127.0.0.1"
FROM_HERE = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def day(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day that nobody changes."""
    with cluster.database() as urls:
        played = a_day(urls, tmp_path_factory.mktemp("instances"))
        yield played
        played.hospital.database.close()


@pytest.fixture(scope="module")
def browser(day: Day) -> TestClient:
    """Asks as a browser on this machine."""
    return TestClient(make_app(day.parts()), BASE, follow_redirects=False)


def item(day: Day, study: str) -> str:
    """The id of the open hold of a study."""
    with day.hospital.database.read_only() as connection:
        page = views_holds.holds(connection, Where(), kind="hold", state="open")
    return next(str(x.id) for x in page.items if x.study_instance_uid == study)


def token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found, page
    return found[1]


def text(page: str) -> str:
    """What a page says, without its marks."""
    said = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(said))


def test_the_start_page_counts_what_waits_and_what_was_coerced(
    browser: TestClient,
) -> None:
    """Each figure leads to what it counts; the picture is also a table."""
    page = browser.get("/")
    assert page.status_code == 200
    said = text(page.text)
    assert "2 held" in said
    assert "DEMOGRAPHIC-CONFLICT" in said
    assert "SUSPECTED-OVERLAY" in said
    assert re.search(r"CT_A: \d+ today, \d+ in seven days", said)
    assert "<table" in page.text
    assert re.search(r"True at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", said)
