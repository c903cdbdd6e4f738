"""One running archive for the programs of others to talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import running
from tests.support.database import Cluster


@pytest.fixture(scope="session")
def archive(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[running.Archive]:
    """The hospital of the scenarios, P1 to P5 registered, its doors open."""
    with (
        cluster.database() as urls,
        running.archive(tmp_path_factory.mktemp("archive"), urls) as opened,
    ):
        yield opened
