"""`reconcile serve --demo`: a small hospital, played through the archive's own doors.

The demonstration has a data folder of its own, `demo` below the one that is configured.
It is emptied at each start; the archive beside it is never touched.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from reconcile.cli.demo_doors import Doors
from reconcile.cli.demo_story import Row, Shown, Story
from reconcile.db.embedded import EmbeddedPostgres
from reconcile.errors import ConfigurationError, ReconcileError, ServiceUnavailable
from reconcile.settings import Settings, load

#: Below the data folder that is configured.
FOLDER = "demo"
#: A folder without this file is somebody's, and is not emptied.
MARK = "emptied-at-each-start"
LAST_LINE = "serving; Ctrl-C stops"
WIDTH = 92

HOSPITAL = """\
# The sample hospital of `reconcile serve --demo`. Written anew at each start.
[archive]
domain = "E"

[listen]
dicom = "{dicom}"
hl7 = "{hl7}"
http = "{http}"

[serve]
receivers = {receivers}

[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
aliases = ["HISA"]

[[domain]]
name = "B"
universal_id = "1.2.3.2"
universal_id_type = "ISO"

[[source]]
ae_title = "CT_A"
domain = "A"
accession_issuer = "A"

[[source]]
ae_title = "MR_B"
domain = "B"
accession_issuer = "B"

[[feed]]
application = "RIS_A"
authority = ["A", "E"]
accession_issuer = "A"

[[feed]]
application = "RIS_B"
authority = ["B"]
accession_issuer = "B"
"""


# -- Before: a hospital to serve ------------------------------------------------------


def sample_hospital(settings: Settings) -> Settings:
    """The settings of the sample hospital, over an empty folder of its own.

    Doors stay where they are configured, or go to a free port where that one is taken.

    Raises:
        ServiceUnavailable: another demonstration runs, or the folder cannot be made.
        ConfigurationError: the folder is not a demonstration's.
    """
    folder = settings.data_dir / FOLDER
    _empty(folder)
    listen = settings.listen
    config = folder / "reconcile.toml"
    config.write_text(
        HOSPITAL.format(
            dicom=_free(listen.dicom),
            hl7=_free(listen.hl7),
            http=_free(listen.http),
            receivers=settings.serve.receivers,
        ),
        encoding="utf-8",
    )
    return load(config, folder, {})


def _empty(folder: Path) -> None:
    """Leave nothing of an earlier demonstration but its folder."""
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not a demonstration's: move it away")
    if folder.exists():
        _stop_left_over(folder)
    try:
        for each in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        # The database's user has to come through.
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise ServiceUnavailable(
            f"the folder of the demonstration, {folder}, cannot be emptied:"
            f" {error.strerror}"
        ) from error


def _stop_left_over(folder: Path) -> None:
    """Stop the database of a demonstration that was killed; refuse if one is running."""
    postgres = EmbeddedPostgres(folder)
    if postgres.is_running():
        postgres.stop()


def _free(address: str) -> str:
    """The address, or any free port of its host where it is taken or closed."""
    host, _, port = (address or "127.0.0.1:0").rpartition(":")
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError:
        return f"{host}:0"
    return f"{host}:{port}"


# -- After: the story, and where to look ----------------------------------------------


def play(settings: Settings, addresses: Mapping[str, str]) -> None:
    """Play the hospital's day and print it; the archive serves on, whatever happens."""
    try:
        story = Story(Doors(addresses, settings.archive.ae_title))
        lines = [*_told(story), *_where_to_look(settings, story), "", LAST_LINE]
    except Exception as error:  # noqa: BLE001
        # A thread that dies with a traceback would hide that the archive serves on.
        known = isinstance(error, (ReconcileError, OSError))
        said = (str(error) if known else "") or type(error).__name__
        lines = [f"the demonstration stopped: {said}", LAST_LINE]
    # In one piece: what the doors log meanwhile stands before it.
    print("\n".join(lines), flush=True)


def _told(story: Story) -> Iterator[str]:
    yield from ("", _bold("A small hospital"))
    yield "Two scanners, CT_A and MR_B, number their patients each in its own way."
    yield from ("Both have a patient 100. All names are invented.", "")
    for told in story.messages():
        yield f"  HL7   {told.text}: {told.answer}"
    for number, each in enumerate(story.images(), 1):
        yield from _instance(number, each)
    yield from _late(story.late_image())


def _instance(number: int, shown: Shown) -> Iterator[str]:
    yield from ("", _bold(f"{number}. {shown.title}"))
    yield f"   instance {shown.sop_instance_uid}"
    yield f"   {shown.scanner} was answered {_answer(shown)}"
    yield from ("", f"   {'attribute':<23}{'received':<30}given out")
    for row in shown.rows:
        yield from _row(row)
    yield ""
    for sentence in shown.why:
        yield textwrap.fill(
            sentence, WIDTH, initial_indent="   ", subsequent_indent="     "
        )
    if shown.held:
        yield f"   {_bold('Held')} as {shown.held}, until a person decides."


def _late(late: Shown) -> Iterator[str]:
    yield from ("", f"{_bold('Later')}, {late.title}")
    yield f"   instance {late.sop_instance_uid}"
    yield f"   {late.scanner} was answered {_answer(late)}"
    for row in late.rows:
        if row.keyword == "StudyInstanceUID":
            yield from _row(row)
    yield from (f"   {each}" for each in late.why if "Study Instance UID" in each)


def _answer(shown: Shown) -> str:
    answered = shown.answered
    comment = f' "{answered.comment}"' if answered.comment else ""
    return f"{answered.status:04X}{comment}"


def _row(row: Row) -> Iterator[str]:
    before, after = _said(row.received), _said(row.given_out)
    if row.received == row.given_out:
        yield f"   {row.keyword:<23}{before:<28}  the same"
    elif len(before) <= 28:
        yield f"   {row.keyword:<23}{before:<30}{_coloured(after)}"
    else:
        yield f"   {row.keyword:<23}{before}"
        yield f"{'':<26}{'given out':<10}{_coloured(after)}"


def _said(value: str | None) -> str:
    return "(absent)" if value is None else value or "(empty)"


def _where_to_look(settings: Settings, story: Story) -> Iterator[str]:
    url, first = story.doors.url, story.first
    instance = f"/api/v1/instances/{first}"
    yield from ("", _bold("Where to look"))
    for what, where in (
        ("all coercions", url("/api/v1/coercions")),
        ("Jane's", url("/api/v1/coercions", patient="E1^^^E")),
        ("history of 1.", url(f"{instance}/history")),
        ("as it came", url(f"{instance}/received")),
        ("as given out", url(f"{instance}/file")),
        ("why", url(f"/api/v1/studies/{story.order_uid}/explain")),
        ("held", url("/api/v1/holds", kind="hold", state="open")),
        ("all addresses", url("/docs")),
    ):
        yield f"   {what:<15}{where}"
    yield ""
    program, data = _program(), f"--data {shlex.quote(str(settings.data_dir))}"
    for command in (
        f"audit list {data} --attribute PatientID",
        f"study explain {data} {story.order_uid}",
        f"instance get {data} {first} -o given-out.dcm",
    ):
        yield f"   {program} {command}"


def _program() -> str:
    """How this process was called, as far as a person can type it."""
    called = Path(sys.argv[0])
    if called.name != "reconcile":
        return f"{sys.executable} -m reconcile"
    return os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if _colour() else text


def _coloured(text: str) -> str:
    return f"\033[33m{text}\033[0m" if _colour() else text


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
