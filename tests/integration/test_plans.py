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

import reconcile.db
from reconcile.db import groups
from reconcile.db.database import Database
from reconcile.db.embedded import Urls
from reconcile.db.groups import Connection
from reconcile.db.prepared import Prepared

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
    return [each["Relation Name"] for each in reads if "Index Cond" not in each]


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
