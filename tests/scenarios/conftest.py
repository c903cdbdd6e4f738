"""One running archive for each worker: every row brings what it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import running
from tests.support.database import Cluster
from tests.support.retrieving import free_port

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

[[source]]
ae_title = "FWD_CT"
domain = "A"
"""
#: Peers that what FWD_CT sends is sent on to, by what a correction does there.
PEER = """
[[destination]]
ae_title = "{title}"
host = "127.0.0.1"
port = {port}
on_correction = "{title}"

[[forward]]
to = "{title}"
sources = ["FWD_CT"]
"""


@pytest.fixture(scope="session")
def peers() -> dict[str, int]:
    """Ports of the peers that images are sent on to, by AE title."""
    return {title: free_port() for title in ("resend", "task")}


@pytest.fixture(scope="session")
def archive(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, peers: dict[str, int]
) -> Iterator[running.Archive]:
    """The hospital of the scenarios, P1 to P5 registered, its doors open."""
    folder, config = tmp_path_factory.mktemp("archive"), running.HOSPITAL + MORE
    config += "".join(PEER.format(title=each, port=peers[each]) for each in peers)
    with cluster.database() as urls, running.archive(folder, urls, config) as opened:
        yield opened
