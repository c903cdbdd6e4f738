"""`python -m tests.conformance.corpus`: what becomes of every file of the corpora.

Files that others made, broken ones among them: those that pydicom brings, those of
`pydicom-data` where it is installed (`make corpus` does so), real MR images where they
lie beside the checkout. Each is sent as it is, byte for byte, and sent again; what is given
out of it is sent back. Exits 1 where a law is broken.

    became     the status, and the outcome of the receipt that names its bytes; or why it
               was refused
    events     its coercion events
    again      the status of the same bytes, sent again
    back       the status of what is given out, sent back; no event is added by it
    check      what the archive's own independent checker says
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pydicom import dcmread
from pydicom.uid import UID

from reconcile.dataset.part10 import split
from reconcile.errors import CannotUnderstand
from tests.support.archive import Sent, Told, send
from tests.support.instances import data_offset, uid
from tests.support.running import Archive
from tests.unit.dataset.made import bundled

STORED = {0x0000, 0xB000}
SR = "1.2.840.10008.5.1.4.1.1.88.33"
_BESIDE = Path(__file__).parents[3] / "shared" / "data" / "mr"


class File(NamedTuple):
    """A file of a corpus; `sent` is None where it holds no data set."""

    corpus: str
    path: Path
    sent: Sent | None

    @property
    def name(self) -> str:
        return self.path.name


class Doors(NamedTuple):
    """Where an archive takes and gives."""

    dicom: int
    http: httpx.Client


class Became(NamedTuple):
    """What became of a data set.

    Attributes:
        again: the answer to the same bytes; `back`: to what was given out of it.
        outcome: of the receipt that names its bytes; empty: there is none.
        added: events that sending again and back has added.
    """

    file: File
    told: Told
    again: Told | None = None
    back: Told | None = None
    outcome: str = ""
    events: int = 0
    added: int = 0
    check: str = "-"

    @property
    def is_stored(self) -> bool:
        return self.told.status in STORED

    @property
    def broken(self) -> list[str]:
        """The laws that do not hold."""
        if not self.is_stored:
            return ["refused with a status"] if self.told.status <= 0 else []
        laws = {
            "its bytes are kept": bool(self.outcome),
            "the same again is answered alike": self.told.status
            == (self.again or self.told).status,
            "what is given out is known when it comes back": self.back is None
            or self.back.status == 0,
            "nothing is added by either": not self.added,
            "the checker agrees": self.check in ("ok", "-"),
        }
        return [law for law, holds in laws.items() if not holds]


# -- What there is ----------------------------------------------------------------------


def files() -> list[File]:
    """Everything that is here, by corpus."""
    return [File(corpus, path, announced(path)) for corpus, path in _paths()]


def _paths() -> Iterator[tuple[str, Path]]:
    for path in bundled():
        if path.suffix != ".pyc":
            yield "pydicom", path
    more = find_spec("data_store")
    if more is not None and more.origin is not None:
        for path in sorted(Path(more.origin).parent.glob("data/**/*.dcm")):
            yield "pydicom-data", path
    for path in sorted(_BESIDE.rglob("*.dcm")):
        yield "mr", path


def announced(path: Path) -> Sent | None:
    """The file as a C-STORE; None: it holds no data set.

    What names no class or instance is announced as something, and will be refused.
    """
    whole = path.read_bytes()
    try:
        taken = split(whole)
    except CannotUnderstand:
        return None
    sop_class, sop_instance = _uids(path)
    return Sent(
        sop_class or SR,
        sop_instance or uid(),
        taken.transfer_syntax,
        whole[taken.data_set_offset :],
    )


def _uids(path: Path) -> tuple[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = ["SOPClassUID", "SOPInstanceUID"]
            found = dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted)
            return str(found.get("SOPClassUID", "")), str(found.get("SOPInstanceUID", ""))
        except Exception:  # noqa: BLE001 - what pydicom cannot read is sent as well
            return "", ""


def digest(sent: Sent) -> str:
    return hashlib.sha256(sent.data).hexdigest()


# -- What becomes of it -----------------------------------------------------------------


def run(doors: Doors, found: Iterable[File]) -> list[Became]:
    """Send every data set, and look at it through the public faces."""
    sendable = [(file, file.sent) for file in found if file.sent is not None]
    told = send(doors.dicom, (sent for _, sent in sendable))
    became = [Became(f, t) for (f, _), t in zip(sendable, told, strict=True)]
    stored = [each for each in became if each.is_stored]
    before = {_uid(each): _events(doors, _uid(each)) for each in stored}
    again = iter(send(doors.dicom, (_sent(each) for each in stored)))
    back = dict(zip(before, send(doors.dicom, given(doors, before)), strict=True))
    return [
        _looked_at(doors, each, next(again), back[_uid(each)], before[_uid(each)])
        if each.is_stored
        else each
        for each in became
    ]


def given(doors: Doors, uids: Iterable[str]) -> Iterator[Sent]:
    """What is given out of instances, as who retrieved it would send it."""
    for sop_instance in uids:
        answer = doors.http.get(f"/api/v1/instances/{sop_instance}/file")
        whole = answer.raise_for_status().content
        meta = _meta(whole)
        yield Sent(meta[0], sop_instance, meta[1], whole[data_offset(whole) :])


def _meta(whole: bytes) -> tuple[str, str]:
    """(SOP class, transfer syntax) of a file that this archive wrote."""
    meta = dcmread(BytesIO(whole), stop_before_pixels=True, specific_tags=[]).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _looked_at(
    doors: Doors, became: Became, again: Told, back: Told, events: int
) -> Became:
    uid = _uid(became)
    receipts = _get(doors, f"/api/v1/instances/{uid}/receipts")["items"]
    outcomes = {each["digest"]: each["outcome"] for each in reversed(receipts)}
    checked = doors.http.get(f"/api/v1/instances/{uid}/check")
    return became._replace(
        again=again,
        back=back,
        outcome=outcomes.get(digest(_sent(became)), ""),
        events=events,
        added=_events(doors, uid) - events,
        check=_verdict(checked),
    )


def _verdict(checked: httpx.Response) -> str:
    if checked.status_code == 404:
        return "-"
    return "ok" if checked.raise_for_status().json()["ok"] else "!"


def _events(doors: Doors, uid: str) -> int:
    return len(_get(doors, f"/api/v1/instances/{uid}/history")["items"])


def _get(doors: Doors, path: str) -> dict[str, Any]:
    found: dict[str, Any] = doors.http.get(path).raise_for_status().json()
    return found


def _sent(became: Became) -> Sent:
    assert became.file.sent is not None
    return became.file.sent


def _uid(became: Became) -> str:
    return _sent(became).sop_instance_uid


# -- The table --------------------------------------------------------------------------

_HEAD = ("corpus", "file", "transfer syntax", "became", "events", "again", "back", "check")
_WIDTHS = (12, 44, 50, 32, 6, 5, 4, 5)


def line(became: Became) -> str:
    """A row of the table."""
    syntax = UID(_sent(became).transfer_syntax).name
    told = f"{became.told.status:04X} {became.outcome or became.told.comment}"
    cells = [became.file.corpus, became.file.name, syntax, told]
    if became.is_stored:
        answers = (each.status if each else -1 for each in (became.again, became.back))
        cells.append(str(became.events))
        cells += [*(f"{status:04X}" for status in answers), became.check]
    return _aligned(cells) + ("  <" if became.broken else "")


def _aligned(cells: Iterable[str]) -> str:
    pairs = zip(cells, _WIDTHS, strict=False)
    return " ".join(cell[:width].ljust(width) for cell, width in pairs).rstrip()


def totals(found: list[File], became: list[Became]) -> Iterator[str]:
    """What the table adds up to, by corpus."""
    for corpus in dict.fromkeys(file.corpus for file in found):
        rows = [each for each in became if each.file.corpus == corpus]
        said = Counter(_outcome(each) for each in rows)
        none = sum(file.corpus == corpus and file.sent is None for file in found)
        words = ", ".join(f"{count} {what}" for what, count in said.most_common())
        yield f"{corpus}: {len(rows)} data sets, {words}; {none} files that are none"


def _outcome(became: Became) -> str:
    return became.outcome or f"refused {became.told.status:04X}"


def main() -> int:
    """Print the table; 1 where a law is broken."""
    found = files()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # the database server runs as somebody else
        with Archive(Path(folder, "archive")) as archive:
            archive.register()
            became = run(Doors(archive.doors.dicom[1], archive.http), found)
    print(_aligned(_HEAD))
    print("-" * (sum(_WIDTHS) + len(_WIDTHS)))
    for each in became:
        print(line(each))
    print()
    print("\n".join(totals(found, became)))
    wrong = [f"{each.file.name}, {law}" for each in became for law in each.broken]
    for law in wrong:
        print(f"BROKEN  {law}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
