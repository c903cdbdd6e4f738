"""One running archive for each worker: every row brings what it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import running
from tests.support.database import Cluster

#: Peers of single rows: who only queries, and who means more by its messages.
MORE = """
[[feed]]
application = "EMPI_1"
authority = ["A", "B", "E", "T", "X"]
a47_as_merge = true
a37_unmerges = true

[[destination]]
ae_title = "VIEWER"
host = "127.0.0.1"
port = 11119
"""


@pytest.fixture(scope="session")
def archive(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[running.Archive]:
    """The hospital of the scenarios, P1 to P5 registered, its doors open."""
    folder, config = tmp_path_factory.mktemp("archive"), running.HOSPITAL + MORE
    with cluster.database() as urls, running.archive(folder, urls, config) as opened:
        yield opened
