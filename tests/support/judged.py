"""Everything that is staged, sent to a running archive over DIMSE and by file import, and
what became of each instance.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.datadict import tag_for_keyword

from tests.support import dciodvfy
from tests.support.archive import send
from tests.support.compared import ORIGINALS, Compared, broken, compare, read
from tests.support.instances import data_offset, part10
from tests.support.iods_rich import PEOPLE, Case, codes
from tests.support.messages import Ordered, adt, orm
from tests.support.running import HOSPITAL, Archive, code
from tests.support.staged import Stage, sent, stage, syntax_of

_CT_A = 'ae_title = "CT_A"'
CONFIG = HOSPITAL.replace(_CT_A, f'{_CT_A}\ncodes = "deep"')


class Way(NamedTuple):
    """How one instance of a class went in, and what became of it.

    Attributes:
        answer: the status, or what the import said.
        verdict: of the archive's own independent checker; None where it does not answer.
        before, after: what dciodvfy says; None where it knows the class not, or is not
            there.
    """

    answer: str
    is_received: bool
    compared: Compared
    tags: frozenset[int]
    codes: Counter[str]
    verdict: dict[str, Any] | None
    before: Counter[str] | None
    after: Counter[str] | None
    broken: list[str]

    @property
    def new(self) -> int:
        if self.before is None or self.after is None:
            return 0
        return (self.after - self.before).total()


class Row(NamedTuple):
    """One SOP class: over DIMSE, and by file import."""

    case: Case
    ways: tuple[Way, Way]

    @property
    def broken(self) -> list[str]:
        pairs = zip(("DIMSE", "import"), self.ways, strict=True)
        return [f"{name}: {law}" for name, way in pairs for law in way.broken]


# -- What is sent -----------------------------------------------------------------------


def order_all(archive: Archive, made: Stage) -> None:
    """Tell the archive of the people and of what was ordered for them."""
    messages = [
        adt(
            "A28",
            f"{p.number}^^^A~{p.assigned}^^^E",
            p.said.name.alphabetic,
            p.said.birth_date,
            p.said.sex,
        )
        for p in PEOPLE
    ]
    for person, accession, rp_id, study_uid in made.orders:
        said = person.said
        messages.append(
            orm(
                f"{person.number}^^^A",
                said.name.alphabetic,
                said.birth_date,
                said.sex,
                Ordered(rp_id, description="", study_uid=study_uid),
                accession=accession,
            )
        )
    for message in messages:
        answer = archive.send(message)
        assert code(answer) == "AA", str(answer)


def over_dimse(archive: Archive, files: Iterable[bytes]) -> list[str]:
    """C-STORE the data sets of files, byte for byte; the statuses."""
    told = send(archive.doors.dicom[1], map(sent, files))
    return [f"{each.status:04X}" for each in told]


def by_import(archive: Archive, files: Iterable[bytes]) -> list[str]:
    """`reconcile import` the files; what became of each."""
    folder = archive.folder / "import"
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:03}.dcm").write_bytes(file)
    command = [sys.executable, "-m", "reconcile", "import", "--json", "--source", "CT_A"]
    command += ["--config", str(archive.folder / "hospital.toml")]
    command += ["--data", str(archive.folder / "data"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    became = {Path(each["path"]).name: str(each["became"]) for each in said}
    assert became, done.stderr
    return [became.get(path.name, "nothing") for path in sorted(folder.iterdir())]


# -- What became of it ------------------------------------------------------------------


class Returned(NamedTuple):
    """What the archive gives back of an instance: two files, and its checker's verdict."""

    received: bytes
    given: bytes
    verdict: dict[str, Any] | None


def returned(archive: Archive, sop_instance_uid: str) -> Returned:
    """An instance as it came, as given out, and what the archive's checker says."""
    path = f"/api/v1/instances/{sop_instance_uid}"
    received, given = (
        archive.http.get(f"{path}/{what}").raise_for_status().content
        for what in ("received", "file")
    )
    checked = archive.http.get(f"{path}/check")
    return Returned(received, given, checked.json() if checked.is_success else None)


def judge(
    archive: Archive, case: Case, file: bytes, answer: str, renamed: dict[str, str]
) -> Way:
    """What became of one instance; `renamed` is without the series of the case."""
    came = read(file)
    back = returned(archive, str(came.SOPInstanceUID))
    out = read(back.given)
    if case.has_patient:
        own = {case.received.study: case.assigned_study}
        own[case.received.series] = str(out.SeriesInstanceUID)
        renamed = renamed | own
    found = compare(came, out, renamed)
    is_received = back.received[data_offset(back.received) :] == file[data_offset(file) :]
    before, after = _errors(archive, file), _errors(archive, back.given)
    wrong = broken(case, came, out, found)
    if not is_received:
        wrong.append("what was received is kept")
    if answer not in (_COERCED if found.changed else _UNCHANGED):
        wrong.append("the answer says whether it was coerced")
    if before is not None and after is not None and after - before:
        wrong += sorted(after - before)
    wrong += _disputed(back.verdict, found)
    used = Counter(str(each.CodingSchemeDesignator) for each in codes(came).values())
    tags = frozenset(map(int, came.keys()))
    return Way(answer, is_received, found, tags, used, back.verdict, before, after, wrong)


_COERCED, _UNCHANGED = ("B000", "coerced"), ("0000", "stored")


def _disputed(verdict: dict[str, Any] | None, found: Compared) -> list[str]:
    """Where the checker finds what we do not, or not what we do."""
    if verdict is None:
        return ["the archive's checker answers"]
    wrong = [str(each) for each in verdict["findings"]]
    told = {tag_for_keyword(keyword) for keyword in verdict["changed"]}
    if not found.changed - {ORIGINALS} <= told:
        wrong.append("events name what differs")
    return wrong


def _errors(archive: Archive, file: bytes) -> Counter[str] | None:
    return dciodvfy.errors(file, archive.folder) if dciodvfy.IS_INSTALLED else None


def run(archive: Archive) -> list[Row]:
    """Send everything, and judge what comes back."""
    made = stage()
    order_all(archive, made)
    answers = over_dimse(archive, map(part10, made.first))
    assert set(answers) == {"B000"}, Counter(answers)
    renamed = _named(archive, made)
    sets = [_files(made, way) for way in (0, 1)]
    told = [over_dimse(archive, sets[0]), by_import(archive, sets[1])]
    judged = [
        [
            judge(archive, case, file, answer, renamed)
            for case, file, answer in zip(made.cases, files, answers, strict=True)
        ]
        for files, answers in zip(sets, told, strict=True)
    ]
    first, second = judged
    rows = zip(made.cases, zip(first, second, strict=True), strict=True)
    return [Row(case, ways) for case, ways in rows]


def _files(made: Stage, way: int) -> list[bytes]:
    return [part10(case.dataset(syntax_of(case, way))) for case in made.cases]


def _named(archive: Archive, made: Stage) -> dict[str, str]:
    """What references name, as received -> as assigned."""
    renamed = {}
    for image in made.named.values():
        out = read(returned(archive, str(image.SOPInstanceUID)).given)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
            assert image[keyword] != out[keyword], keyword
            renamed[str(image[keyword].value)] = str(out[keyword].value)
    return renamed
