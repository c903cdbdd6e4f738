"""What all tests may ask for: a PostgreSQL for the run, a database for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconcile.db.embedded import Urls
from reconcile.dicom.steady import make_steady
from tests.support import database, fresh, scratch

FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the run: made by who controls it, told to its workers."""
    scratch.choose()
    make_steady()
    given = getattr(config, "workerinput", {}).get("run_folder")
    config.stash[FOLDER] = Path(given) if given else database.name_folder()
    os.environ[fresh.FOLDER] = str(config.stash[FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_folder"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller ends last: nobody uses the server any more."""
    if not hasattr(config, "workerinput"):
        database.release(config.stash[FOLDER])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the cluster runs again on Debian's own PostgreSQL."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> database.Cluster:
    """The run's server, with a migrated template."""
    return database.obtain(pytestconfig.stash[FOLDER])


@pytest.fixture
def database_urls(cluster: database.Cluster) -> Iterator[Urls]:
    """A migrated database of the test's own."""
    with cluster.database() as urls:
        yield urls
