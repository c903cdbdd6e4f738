"""One running archive for the programs of others to talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import running
from tests.support.database import Cluster
from tests.support.retrieving import free_port

APPS = free_port()
DESTINATION = f"""
[[destination]]
ae_title = "APPS"
host = "127.0.0.1"
port = {APPS}
"""


@pytest.fixture(scope="session")
def archive(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[running.Archive]:
    """The hospital of the scenarios, P1 to P5 registered, its doors open."""
    with (
        cluster.database() as urls,
        running.archive(
            tmp_path_factory.mktemp("archive"), urls, running.HOSPITAL + DESTINATION
        ) as opened,
    ):
        yield opened
