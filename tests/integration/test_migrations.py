"""The schema's revisions, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, pool, text

from reconcile.db import migrate
from reconcile.db.embedded import Urls
from reconcile.db.roles import make_extension
from reconcile.errors import ServiceUnavailable
from tests.support.database import Cluster


@pytest.fixture
def empty_urls(cluster: Cluster) -> Iterator[Urls]:
    """A database as an administrator hands it over: empty, with the extension."""
    with cluster.database("template0") as urls:
        name = urls.owner.rpartition("/")[2].partition("?")[0]
        with cluster.connect(name) as connection:
            make_extension(connection)
        yield urls


def tables(url: str) -> set[str]:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        found = connection.execute(
            text("select tablename from pg_tables where schemaname = 'public'")
        )
        return set(found.scalars())


def test_up_down_up(empty_urls: Urls) -> None:
    """Every revision can be taken back, and taken again; nothing stays behind."""
    migrate.upgrade(empty_urls.owner)
    first = tables(empty_urls.owner)
    migrate.downgrade(empty_urls.owner, "base")
    assert tables(empty_urls.owner) == {"alembic_version"}
    migrate.upgrade(empty_urls.owner)
    assert tables(empty_urls.owner) == first


def test_head_is_what_the_tables_say(database_urls: Urls) -> None:
    """The revisions and the tables in the code describe one schema."""
    assert migrate.check(database_urls.owner) == []


def test_a_schema_behind_the_program_is_said(empty_urls: Urls) -> None:
    """An empty database is behind, not different."""
    (finding,) = migrate.check(empty_urls.owner)
    assert finding.startswith("the schema is at nothing")


def test_upgrade_twice_changes_nothing(database_urls: Urls) -> None:
    """Each start of the archive may run the migrations."""
    migrate.upgrade(database_urls.owner)
    assert migrate.check(database_urls.owner) == []


def test_a_server_that_is_away_is_said(tmp_path: str) -> None:
    """What cannot be reached is a service that is unavailable, not a traceback."""
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    with pytest.raises(ServiceUnavailable):
        migrate.upgrade(url)
    with pytest.raises(ServiceUnavailable):
        migrate.check(url)


def test_writers_may_not_migrate(database_urls: Urls) -> None:
    """Only the owner changes tables: the writer has no right to."""
    with pytest.raises(Exception, match=r"permission denied|must be owner"):
        migrate.downgrade(database_urls.writer, "base")
