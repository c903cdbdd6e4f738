"""`reconcile serve --demo`: a small hospital, played through the archive's own doors.

The demonstration has a data folder of its own, `demo` below the one that is configured.
It is emptied at each start; the archive beside it is never touched.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from reconcile.cli.demo_doors import Doors
from reconcile.cli.demo_story import Row, Shown, Story
from reconcile.db.embedded import EmbeddedPostgres
from reconcile.errors import ConfigurationError, ReconcileError, ServiceUnavailable
from reconcile.settings import Settings, load

log = logging.getLogger(__name__)

#: Below the data folder that is configured.
FOLDER = "demo"
#: A folder without this file is somebody's, and is not emptied.
MARK = "emptied-at-each-start"
LAST_LINE = "serving; Ctrl-C stops"

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
        _tell(settings, Story(Doors(addresses, settings.archive.ae_title)))
    except (ReconcileError, OSError, ValueError) as error:
        said = str(error) or type(error).__name__
        say(f"\nThe demonstration stopped: {said}. The archive serves on; Ctrl-C stops.")
    except Exception as error:
        # A thread's traceback would hide what matters: that the archive serves on.
        say(f"\nThe demonstration failed ({type(error).__name__}). The archive serves on.")
        log.debug("demo failed", exc_info=True)


def say(line: str = "") -> None:
    """Print, now."""
    print(line, flush=True)


def _tell(settings: Settings, story: Story) -> None:
    say("\n" + _bold("A small hospital"))
    say("Two scanners, CT_A and MR_B, number their patients each in its own way.")
    say("Both have a patient 100. All names are invented.\n")
    for told in story.messages():
        say(f"  HL7   {told.text}: {told.answer}")
    shown = story.images()
    for number, each in enumerate(shown, 1):
        _show(number, each)
    if story.late:
        _show_late(story.late)
    _where_to_look(settings, story.doors, shown)
    say("\n" + LAST_LINE)


def _show(number: int, shown: Shown) -> None:
    say(f"\n{_bold(f'{number}. {shown.title}')}")
    say(f"   instance {shown.sop_instance_uid}")
    say(f"   {shown.scanner} was answered {_answer(shown)}")
    say(f"\n   {'attribute':<23}{'received':<30}given out")
    for row in shown.rows:
        say(_line(row))
    say()
    for sentence in shown.why:
        say(f"   {sentence}")
    if shown.held:
        say(f"   {_bold('Held')} as {shown.held}, until a person decides.")


def _show_late(late: Shown) -> None:
    uid = next(row for row in late.rows if row.keyword == "StudyInstanceUID")
    say(f"\n{_bold('Later')}, one more image of the first study under the scanner's UID")
    say(f"   {late.scanner} was answered {_answer(late)}")
    say(_line(uid))
    say(f"   {late.why[-2]}")


def _answer(shown: Shown) -> str:
    answered = shown.answered
    comment = f' "{answered.comment}"' if answered.comment else ""
    return f"{answered.status:04X}{comment}"


def _line(row: Row) -> str:
    before, after = _said(row.received), _said(row.given_out)
    text = f"{row.keyword:<23}{_cut(before, 28):<30}{after}"
    return "   " + (_coloured(text) if row.received != row.given_out else text)


def _said(value: str | None) -> str:
    return "(absent)" if value is None else value or "(empty)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _where_to_look(settings: Settings, doors: Doors, shown: list[Shown]) -> None:
    first = shown[0].sop_instance_uid
    study = next(r for r in shown[0].rows if r.keyword == "StudyInstanceUID").given_out
    instance = f"/api/v1/instances/{first}"
    say("\n" + _bold("Where to look"))
    for what, url in (
        ("all coercions", doors.url("/api/v1/coercions")),
        ("Jane's", doors.url("/api/v1/coercions", patient="E1^^^E")),
        ("history of 1.", doors.url(f"{instance}/history")),
        ("as it came", doors.url(f"{instance}/received")),
        ("as given out", doors.url(f"{instance}/file")),
        ("why", doors.url(f"/api/v1/studies/{study}/explain")),
        ("held", doors.url("/api/v1/holds", kind="hold", state="open")),
        ("all addresses", doors.url("/docs")),
    ):
        say(f"   {what:<15}{url}")
    program = _program()
    data = f"--data {settings.data_dir}"
    say()
    for command in (
        f"audit list {data} --attribute PatientID",
        f"study explain {study} {data}",
        f"instance get {first} {data} -o given-out.dcm",
    ):
        say(f"   {program} {command}")


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
