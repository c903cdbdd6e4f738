"""Many rows out of one patient's: a registry of any size, by COPY.

What one patient with one order and one stored instance left in the tables is read as
text and written again and again under other identifiers. So the rows are those that the
archive itself writes, whatever its tables look like. There are no files to them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from psycopg import sql

from bench.data import COUNTER_DIGITS, Identity

PER_STUDY = (
    "person",
    "identity",
    "identity_link",
    "demographics",
    "imaging_order",
    "requested_procedure",
    "scheduled_procedure_step",
    "study",
    "study_order",
    "assignment",
    "series",
    "uid_map",
)
PER_INSTANCE = ("happening", "receipt", "instance", "coercion_event", "coercion_value")
#: Of a table, what is numbered on and cannot be found by its text.
POSITION = {"coercion_event": "position"}
INSTANCES_PER_STUDY = 100
STUDIES_PER_COMMIT = 100
#: Runs from here on are copies.
FIRST_RUN = 1000

Connection = psycopg.Connection[tuple[Any, ...]]
Values = dict[str, str]


class Template:
    """A row as text, with gaps where copies differ."""

    def __init__(self, text: str, tokens: Values) -> None:
        # The longest first: one token may begin like another.
        known = sorted(tokens, key=len, reverse=True)
        pieces = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
        self._literal = pieces[::2]
        self._names = [tokens[piece] for piece in pieces[1::2]]

    def fill(self, values: Values) -> str:
        """A copy; what is not in `values` cannot be a gap."""
        row = [self._literal[0]]
        for name, literal in zip(self._names, self._literal[1:], strict=True):
            row += (values[name], literal)
        return "".join(row)


class Copies:
    """Writes copies of the one patient in an otherwise empty registry.

    Args:
        connection: the superuser's: what refers to what is right, and not checked.
        identity: of the patient who is there; one instance, with counter 1.
    """

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._identity = identity
        self._ids = _ids()
        self._of_study = self._study_tokens()
        self._of_instance = self._instance_tokens()
        tokens = {**self._of_study, **self._of_instance}
        self._templates = {
            table: [Template(row, tokens) for row in self._rows(table)]
            for table in (*PER_STUDY, *PER_INSTANCE)
        }
        self._columns = {table: self._column_names(table) for table in self._templates}
        self._position = 0
        self.studies = 0

    def fill_up(self, instances: int) -> None:
        """Add studies until there are as many copied instances."""
        self._connection.execute("set session_replication_role = replica")
        self._position = self._scalar("select last_value from coercion_event_position")
        while self.studies * INSTANCES_PER_STUDY < instances:
            left = instances // INSTANCES_PER_STUDY - self.studies
            with self._connection.transaction():
                self._write(min(left, STUDIES_PER_COMMIT))
        self._connection.execute("set session_replication_role = origin")
        move = "select setval('coercion_event_position', %s)"
        self._connection.execute(move, [self._position])
        self._connection.execute("vacuum (analyze)")
        self._connection.execute("checkpoint")

    def study(self, number: int) -> Identity:
        """Whose the study of this number is."""
        return Identity(FIRST_RUN + number, 0)

    def instance_uid(self, number: int, counter: int) -> str:
        """One of its instances; the first has 1."""
        return self.study(number).counted + f"{counter:0{COUNTER_DIGITS}}"

    def _write(self, studies: int) -> None:
        numbers = range(self.studies, self.studies + studies)
        of_study = [self._study_values(number) for number in numbers]
        of_instance = [
            {**values, **self._instance_values(values, counter)}
            for values in of_study
            for counter in range(1, INSTANCES_PER_STUDY + 1)
        ]
        for table in PER_STUDY:
            self._copy(table, of_study)
        for table in PER_INSTANCE:
            self._copy(table, of_instance)
        self.studies += studies

    def _copy(self, table: str, all_values: Iterable[Values]) -> None:
        columns = map(sql.Identifier, self._columns[table])
        statement = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(table), sql.SQL(", ").join(columns)
        )
        with self._connection.cursor().copy(statement) as copy:
            for values in all_values:
                for template in self._templates[table]:
                    row = template.fill(values)
                    if table in POSITION:
                        self._position += 1
                        row = f"{row}\t{self._position}"
                    copy.write(row + "\n")

    # -- what differs -------------------------------------------------------------------

    def _study_tokens(self) -> Values:
        """Text in the one patient's rows -> name of the gap that it leaves."""
        known = self._identity
        tokens = {
            known.uid(0)[:-1]: "uid",
            known.patient_id: "patient",
            known.accession: "accession",
            f"E{known.number}": "enterprise",
        }
        for at, row in enumerate(
            self._read("select encode(digest, 'hex') from assignment")
        ):
            tokens[row] = f"assignment-digest-{at}"
        for table in PER_STUDY:
            for at, row in enumerate(self._rows(table)):
                # The primary key is the first column of every table.
                tokens[row.partition("\t")[0]] = f"{table}-{at}"
        return tokens

    def _instance_tokens(self) -> Values:
        tokens = {self._identity.counted + f"{1:0{COUNTER_DIGITS}}": "sop-instance"}
        tokens[self._scalar("select happening_id::text from instance")] = "happening-id"
        tokens[self._scalar("select receipt_id::text from instance")] = "receipt-id"
        tokens[self._scalar("select id::text from instance")] = "instance-id"
        tokens[self._scalar("select id::text from coercion_event")] = "event-id"
        tokens[self._scalar("select encode(digest, 'hex') from receipt")] = "digest"
        return tokens

    def _study_values(self, number: int) -> Values:
        identity = self.study(number)
        values = {name: next(self._ids) for name in self._of_study.values()}
        for name in values:
            if name.startswith("assignment-digest"):
                values[name] = secrets.token_hex(32)
        # Study-level rows name the one happening that is not copied with them.
        kept = {name: text for text, name in self._of_instance.items()}
        return {
            **kept,
            **values,
            "uid": identity.uid(0)[:-1],
            "patient": identity.patient_id,
            "accession": identity.accession,
            "enterprise": f"E{identity.number}",
        }

    def _instance_values(self, of_study: Values, counter: int) -> Values:
        uid = f"{of_study['uid']}4{counter:0{COUNTER_DIGITS}}"
        values = {name: next(self._ids) for name in self._of_instance.values()}
        digest = hashlib.sha256(uid.encode()).hexdigest()
        return {**values, "sop-instance": uid, "digest": digest}

    # -- what is there ------------------------------------------------------------------

    def _rows(self, table: str) -> list[str]:
        """The one patient's rows as COPY writes them; one, where they are per instance."""
        columns = sql.SQL(", ").join(
            map(sql.Identifier, self._column_names(table, read=True))
        )
        wanted = sql.SQL("true")
        if table == "happening":
            wanted = sql.SQL("id = (select happening_id from instance)")
        query = sql.SQL("copy (select {} from {} where {}) to stdout").format(
            columns, sql.Identifier(table), wanted
        )
        with self._connection.cursor().copy(query) as copy:
            return b"".join(map(bytes, copy)).decode().splitlines()

    def _column_names(self, table: str, *, read: bool = False) -> list[str]:
        """In the table's order, then what is numbered on, which is not read."""
        query = (
            "select column_name from information_schema.columns"
            " where table_schema = 'public' and table_name = %s order by ordinal_position"
        )
        names = [str(row[0]) for row in self._connection.execute(query, [table])]
        last = POSITION.get(table)
        return [n for n in names if n != last] + ([last] if last and not read else [])

    def _read(self, query: str) -> list[str]:
        return [str(row[0]) for row in self._connection.execute(query.encode())]

    def _scalar(self, query: str) -> Any:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def _ids() -> Iterator[str]:
    """UUIDv7 of some days ago, in their order, one for each millisecond."""
    milliseconds = int(time.time() * 1000) - 30 * 24 * 3600 * 1000
    while True:
        milliseconds += 1
        text = f"{milliseconds:012x}7{secrets.token_hex(2)[1:]}8{secrets.token_hex(8)[1:]}"
        yield "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
