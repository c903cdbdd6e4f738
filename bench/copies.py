"""Many rows out of one study's: a registry of any size, by COPY.

What a study with two instances left in the tables is read as text and written again and
again under other identifiers: what was there after the first instance once for each study,
what the second one added once for each instance more. So the rows are those that the
archive itself writes, whatever its tables look like. There are no files to them.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable, Iterator

from psycopg import sql

from bench.catalogue import NUMBERED, Connection, Rows, last, listed, rows, shapes
from bench.identity import COUNTER_DIGITS, Identity
from bench.template import Template, Values, fresh, new_ids, templates, tokens

INSTANCES_PER_STUDY = 100
STUDIES_PER_COMMIT = 100
#: A crash while filling would be a reason to begin anew.
WHILE_FILLING = {"full_page_writes": "off", "max_wal_size": "8GB"}
#: Runs from here on are copies.
FIRST_RUN = 1000


class Copies:
    """Writes copies of the one study in an otherwise empty registry.

    Make it when the first instance is stored, let it `learn` when the second one is.

    Args:
        connection: the superuser's: what refers to what is right, and not checked.
        identity: of the study that is there.
    """

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._identity = identity
        self._shapes = shapes(connection)
        self._first = self._all_rows()
        self._ids = new_ids()
        self._numbers: dict[str, Iterator[int]] = {}
        self.studies = 0

    def learn(self) -> None:
        """What is more than before came with the second instance."""
        now = self._all_rows()
        once, more = {}, {}
        for table, first in self._first.items():
            once[table] = {key: now[table][key] for key in first}
            more[table] = {k: row for k, row in now[table].items() if k not in first}
        of_study = tokens(once, self._shapes, "study's")
        of_instance = tokens(more, self._shapes, "instance's")
        self._study_names = list(of_study.values())
        self._instance_names = list(of_instance.values())
        number, uid = self._identity.number, self._identity.instance_uid(2)
        of_study |= {number: "number", number.encode().hex(): "number in hex"}
        of_instance |= {uid: "uid", uid.encode().hex(): "uid in hex"}
        self._of_study = templates(once, of_study)
        self._of_instance = templates(more, {**of_study, **of_instance})

    def fill_up(self, instances: int) -> None:
        """Add studies until there are as many copied instances."""
        began, execute = time.perf_counter(), self._connection.execute
        execute("set session_replication_role = replica")
        execute("set synchronous_commit = off")
        for name, value in WHILE_FILLING.items():
            execute(sql.SQL("alter system set {} = {}").format(*_setting(name, value)))
        execute("select pg_reload_conf()")
        for table, (_, sequence) in NUMBERED.items():
            self._numbers[table] = itertools.count(last(self._connection, sequence) + 1)
        while (missing := instances // INSTANCES_PER_STUDY - self.studies) > 0:
            with self._connection.transaction():
                self._write(min(missing, STUDIES_PER_COMMIT))
        execute("set session_replication_role = origin")
        for table, (_, sequence) in NUMBERED.items():
            execute("select setval(%s, %s)", [sequence, next(self._numbers[table])])
        execute("vacuum (analyze)")
        execute("alter system reset all")
        execute("select pg_reload_conf()")
        execute("checkpoint")
        took = time.perf_counter() - began
        print(f"{instances:,} instances in {took:.0f} s", file=sys.stderr)

    def study(self, number: int) -> Identity:
        """Whose the study of this number is; its instances are counted from 1."""
        return Identity(FIRST_RUN + number, 0)

    def _write(self, studies: int) -> None:
        numbers = range(self.studies, self.studies + studies)
        of_study = [self._study_values(self.study(number)) for number in numbers]
        of_instance = [
            {**values, **self._instance_values(values["uid of study"], counter)}
            for values in of_study
            for counter in range(2, INSTANCES_PER_STUDY + 1)
        ]
        for table in self._shapes:
            first = _filled(self._of_study[table], of_study)
            self._copy(table, [*first, *_filled(self._of_instance[table], of_instance)])
        self.studies += studies

    def _copy(self, table: str, filled: list[str]) -> None:
        if not filled:
            return
        columns = list(self._shapes[table].columns)
        if table in NUMBERED:
            columns.append(NUMBERED[table][0])
            filled = [f"{row}\t{next(self._numbers[table])}" for row in filled]
        statement = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(table), listed(columns)
        )
        with self._connection.cursor().copy(statement) as copy:
            copy.write("\n".join(filled) + "\n")

    def _study_values(self, identity: Identity) -> Values:
        return {
            **fresh(self._study_names, self._ids),
            "number": identity.number,
            "number in hex": identity.number.encode().hex(),
            "uid of study": identity.uid(4),
        }

    def _instance_values(self, uid_of_study: str, counter: int) -> Values:
        uid = f"{uid_of_study}{counter:0{COUNTER_DIGITS}}"
        values = fresh(self._instance_names, self._ids)
        return {**values, "uid": uid, "uid in hex": uid.encode().hex()}

    def _all_rows(self) -> dict[str, Rows]:
        return {t: rows(self._connection, t, shape) for t, shape in self._shapes.items()}


def _setting(name: str, value: str) -> tuple[sql.Composable, sql.Composable]:
    return sql.Identifier(name), sql.Literal(value)


def _filled(of: Iterable[Template], all_values: list[Values]) -> list[str]:
    return [template.fill(values) for template in of for values in all_values]
