"""What runs for every instance that is decided asks by key, however large the registry.

Plans are generic and kept; one that reads a whole table is as good as the others while
the table is small, and stops an archive years later. So they are looked at: no table is
read from end to end, be it in the order of an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import asyncpg

import reconcile.db
from reconcile.core.identity import PatientIdentifier
from reconcile.core.matchkeys import OneOf, Wild
from reconcile.core.querykeys import Level
from reconcile.db import groups
from reconcile.db.database import Database
from reconcile.db.embedded import Urls
from reconcile.db.groups import Connection
from reconcile.db.prepared import Prepared
from reconcile.db.views_found import Asked, PatientKey, found_by

READS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan")


def statements() -> Iterator[tuple[str, str, int]]:
    """(name, text with $n, number of parameters) of all that are prepared."""
    for module in iter_modules(reconcile.db.__path__):
        loaded = import_module(f"reconcile.db.{module.name}")
        for name, value in vars(loaded).items():
            if isinstance(value, Prepared) and name.startswith("_"):
                yield f"{module.name}.{name}", value.text, value.parameters
    for name in ("_RECORD", "_LOCATIONS"):
        pieces = getattr(groups, name).split("%s")
        marked = (f"{piece}${n}" for n, piece in enumerate(pieces[:-1], 1))
        yield f"groups.{name}", "".join(marked) + pieces[-1], len(pieces) - 1


def plan(connection: Connection, text: str, count: int) -> dict[str, Any]:
    """How the server carries it out, whatever it is given."""
    connection.execute(f"PREPARE looked AS {text}".encode())
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    explain = f"EXPLAIN (FORMAT JSON) EXECUTE looked{given}"
    [[told]] = connection.execute(explain.encode()).fetchall()
    connection.execute("DEALLOCATE looked")
    found: dict[str, Any] = told[0]["Plan"]
    return found


def nodes(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, from the top."""
    yield of
    for below in of.get("Plans", ()):
        yield from nodes(below)


def read_whole(of: dict[str, Any]) -> list[str]:
    """Tables of which a plan reads every row."""
    reads = [each for each in nodes(of) if each["Node Type"] in READS]
    named = [each.get("Relation Name") or each["Index Name"] for each in reads]
    return [n for n, each in zip(named, reads, strict=True) if "Index Cond" not in each]


def test_no_table_is_read_from_end_to_end(database_urls: Urls) -> None:
    """With the settings with which the archive connects, and empty tables."""
    database = Database(database_urls.writer)
    found = {}
    with database.group() as connection:
        for name, text, count in statements():
            found[name] = read_whole(plan(connection, text, count))
    database.close()
    assert len(found) > 25
    assert {name: tables for name, tables in found.items() if tables} == {}


NAMED = PatientKey((PatientIdentifier("100", "A"),), held="H1")
ASKED = {
    "patient": Asked(Level.STUDY, patient=NAMED),
    "accession": Asked(Level.STUDY, accession=OneOf(("ACC1",))),
    "accession pattern": Asked(Level.STUDY, accession=Wild("ACC*")),
    "study": Asked(Level.STUDY, study_uids=("1.2.3",)),
    "series": Asked(Level.SERIES, series_uids=("1.2.3",)),
    "instance": Asked(Level.IMAGE, instance_uids=("1.2.3",)),
    "birth date": Asked(Level.STUDY, birth_date=OneOf(("19800102",))),
}


@pytest.mark.parametrize("key", ASKED)
def test_what_a_query_names_is_found_by_an_index(database_urls: Urls, key: str) -> None:
    """A plan that knows no value: an index that leaves something out must be told so."""
    found = found_by(ASKED[key])
    assert found is not None
    compiled = select(found.c.id).compile(
        dialect=asyncpg.dialect(), compile_kwargs={"render_postcompile": True}
    )
    database = Database(database_urls.writer)
    with database.group() as connection:
        read = read_whole(plan(connection, str(compiled), len(compiled.params)))
    database.close()
    assert set(read) <= {"pk_domain"}  # there are a few
