"""`python -m tests.conformance.table`: what becomes of every SOP class, as a table.

A whole archive is started. Orders come over HL7, one instance of each class comes over
DIMSE and one by file import, and what is given out of them is compared with what came.
Exits 1 where a law is broken; the laws are those of `tests.support.compared`.

    received, bulk   "=": the data set as received, and pixel data as given out, are the
                     very bytes that were sent
    P S s            Patient ID, Study and Series Instance UID were coerced
    refs             nested references to renamed studies and series: followed / present
    set              the character set had to be widened, and was
    SRT              codes of SNOMED RT: said in SNOMED CT / present
    changed, expl.   top-level attributes that differ, and those whose difference is told
    check            differences that the archive's independent checker found explained
    dciodvfy         errors as received > as given out; "?": it does not know the class
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from reconcile.dataset.iods import SOP_CLASSES
from tests.support import dciodvfy
from tests.support.compared import IDENTITY
from tests.support.iods_rich import SOP_COMMON, Case
from tests.support.judged import CONFIG, Row, Way, run
from tests.support.running import Archive

_HEAD = (
    *("SOP class", "DIMSE", "import", "received", "bulk", "P S s", "refs", "set", "SRT"),
    *("changed", "expl.", "check", "dciodvfy"),
)
_WIDTHS = (62, 5, 8, 8, 5, 5, 7, 4, 5, 7, 7, 5, 9)


def line(row: Row) -> str:
    """A row of the table: where the two ways differ, both are shown."""
    shown = [_name(row), row.ways[0].answer, row.ways[1].answer]
    for cell in _CELLS:
        first, second = (cell(row.case, way) for way in row.ways)
        shown.append(first if first == second else f"{first}|{second}")
    return _aligned(shown) + ("  <" if row.broken else "")


def _aligned(cells: Iterable[str]) -> str:
    padded = (cell[:width].ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return " ".join(padded).rstrip()


def _mark(holds: bool) -> str:
    return "=" if holds else "!"


def _identity(case: Case, way: Way) -> str:
    if not case.has_patient:
        return "-"
    keywords = {"PatientID": "P", "StudyInstanceUID": "S", "SeriesInstanceUID": "s"}
    coerced = way.compared.coerced
    return " ".join(letter if each in coerced else "." for each, letter in keywords.items())


def _references(case: Case, way: Way) -> str:
    found = way.compared
    return f"{found.followed}/{found.named}" if case.has_patient else f"kept {found.named}"


def _set(case: Case, way: Way) -> str:
    return ("wide" if way.compared.widened else "no!") if case.is_wide else "-"


def _check(_: Case, way: Way) -> str:
    if way.verdict is None:
        return "none"
    return str(way.verdict["explained"]) if way.verdict["ok"] else "!"


def _iod(_: Case, way: Way) -> str:
    if not dciodvfy.IS_INSTALLED:
        return "-"
    if way.before is None or way.after is None:
        return "?"
    new = f" +{way.new}" if way.new else ""
    return f"{way.before.total()} > {way.after.total()}{new}"


_CELLS: tuple[Callable[[Case, Way], str], ...] = (
    lambda _, way: _mark(way.is_received),
    lambda _, way: _mark(way.compared.bulk),
    _identity,
    _references,
    _set,
    lambda _, way: f"{way.compared.recoded}/{way.compared.old_codes}",
    lambda _, way: str(len(way.compared.changed)),
    lambda _, way: str(len(way.compared.changed & way.compared.explained)),
    _check,
    _iod,
)


def totals(rows: list[Row]) -> list[tuple[str, str]]:
    """What the table adds up to."""
    of_patients = [row for row in rows if row.case.has_patient]
    ways = [way for row in rows for way in row.ways]
    found = [way.compared for way in ways]
    named = [way.compared for row in of_patients for way in row.ways]
    coerced = sum(len(each.coerced) == len(IDENTITY) for each in named)
    used: Counter[str] = sum((way.codes for way in ways), Counter())
    wide = sum(row.case.is_wide for row in rows)
    told = sum(len(each.changed) for each in found)
    return [
        ("SOP classes", f"{len(rows)}, {len(of_patients)} of them with a patient"),
        ("instances", f"{len(ways)}, half of them by file import"),
        ("received is what was sent", f"{sum(way.is_received for way in ways)}"),
        ("bulk data untouched", f"{sum(each.bulk for each in found)}"),
        ("Patient ID, Study and Series UID coerced", f"{coerced} of {len(named)}"),
        (
            "references followed",
            f"{sum(n.followed for n in named)} of {sum(n.named for n in named)}",
        ),
        ("character set widened", f"{sum(n.widened for n in found)} of {2 * wide}"),
        ("codes", f"{used.total()}, of SNOMED RT {used['SRT']}"),
        ("said in SNOMED CT", f"{sum(each.recoded for each in found)}"),
        ("attributes that differ", f"{told}"),
        ("unexplained by items", f"{sum(len(each.unexplained) for each in found)}"),
        ("explained, says the checker", f"{_explained(ways)}"),
        ("SOP Common attributes", f"{len(common(rows))} of {len(SOP_COMMON)}"),
        ("dciodvfy", _checked(rows)),
    ]


def _explained(ways: list[Way]) -> int:
    return sum(way.verdict["explained"] for way in ways if way.verdict)


def _checked(rows: list[Row]) -> str:
    if not dciodvfy.IS_INSTALLED:
        return "not installed"
    known = [row for row in rows if row.ways[0].before is not None]
    free = sum(not any(way.before for way in row.ways) for row in known)
    new = sum(way.new for row in known for way in row.ways)
    return f"knows {len(known)} classes, {free} begin without errors; new errors {new}"


def common(rows: list[Row]) -> frozenset[int]:
    """The SOP Common attributes that are in at least one instance."""
    return SOP_COMMON & {tag for row in rows for way in row.ways for tag in way.tags}


def main() -> int:
    """Print the table; 1 where a law is broken."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # the database server runs as somebody else
        with Archive(Path(folder, "archive"), None, CONFIG) as archive:
            rows = run(archive)
    print(_aligned(_HEAD))
    print("-" * (sum(_WIDTHS) + len(_WIDTHS)))
    for row in rows:
        print(line(row))
    print()
    for what, said in totals(rows):
        print(f"{what:42}{said}")
    wrong = [f"{_name(row)}, {law}" for row in rows for law in row.broken]
    if common(rows) != SOP_COMMON:
        wrong.append("every SOP Common attribute is there at least once")
    for each in wrong:
        print(f"BROKEN  {each}")
    return 1 if wrong else 0


def _name(row: Row) -> str:
    return SOP_CLASSES[row.case.sop_class][0].removesuffix(" Storage")


if __name__ == "__main__":
    sys.exit(main())
