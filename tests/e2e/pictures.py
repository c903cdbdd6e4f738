"""`make pictures`: every page of the demonstration, as docs/pictures/pages shows them.

The demonstration is started as a person starts it; what its day lacks (a merge, a
message that waits, a second scanner's images) is played through the same front doors.
"""

from __future__ import annotations

import re
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

from reconcile.cli.demo_doors import Doors
from reconcile.cli.demo_images import CT_FILE, MR_FILE, image, patient, study
from tests.e2e.test_demo import Demo, demo
from tests.support.chromium import LAPTOP, chromium, reading_room
from tests.support.messages import adt, joined

FOLDER = Path(__file__).parents[2] / "docs" / "pictures" / "pages"
#: What is below the second window of a page is not in the picture.
HEIGHT_MAX = 2 * LAPTOP["height"]
COLOURS = 64
BY_NIGHT = ("start", "item", "patient", "study")

RICHARD = patient("200", "ROE^RICHARD", "19750506", "M")
#: A technologist took the line above on the worklist, and typed the name.
TYPED = patient("200", "ROE^RICHARDA", "19750605", "F")


def play(doors: Doors) -> None:
    """The rest of the day."""
    for number, message in enumerate(
        (
            adt("A04", "200^^^A", "ROE^RICHARD", "19750506", "M"),
            adt("A04", "101^^^A", "DOE^JANE M", "19800102", "F"),
            adt("A04", "102^^^A", "DOE^J", "19800102", "F"),
            joined("A40", "101^^^A", "102^^^A", "DOE^JANE M", "19800102", "F"),
            joined("A40", "100^^^A", "101^^^A", "DOE^JANE", "19800102", "F"),
            adt("A08", "200^^^A", "ROE^ANNABELLA", "19990101", "F"),
        )
    ):
        doors.tell(message.replace("{id}", f"DAY-{number}"))
    one, other = study(), study()
    for source, file, who, where in (
        ("CT_A", CT_FILE, RICHARD, one),
        ("CT_A", CT_FILE, RICHARD, one),
        ("CT_A", CT_FILE, TYPED, other),
        ("MR_B", MR_FILE, patient("300", "MEIER^ANNE", "19900304", "F"), study()),
    ):
        doors.send(source, image(file, **who, **where))


def addresses(shown: Demo) -> dict[str, str]:
    """Pages by the name of their picture."""
    holds = shown.get("/api/v1/holds", kind="hold", state="open")["items"]
    (message,) = shown.get("/api/v1/messages", state="held")["items"]
    uid = shown.instances[0]
    event = shown.get(f"/api/v1/instances/{uid}/history")["items"][0]
    jane = shown.get("/api/v1/patients", identifier="100^^^A")["items"][0]
    return {
        "start": "/",
        "worklist": "/worklist",
        "item": f"/worklist/{holds[-1]['id']}",
        "patient": f"/patients/{jane['id']}",
        "study": f"/studies/{event['study_instance_uid']}",
        "instance": f"/instances/{uid}",
        "audit": "/audit",
        "event": f"/audit/{event['id']}",
        "happening": f"/happenings/{event['happening']}",
        "inbox": "/inbox",
        "message": f"/inbox/{message['id']}",
        "orders": "/orders",
        "deliveries": "/deliveries",
        "configuration": "/configuration",
    }


def take(page: Page, name: str) -> None:
    """A picture of what is shown, of few colours: it is looked at, not printed."""
    height = page.evaluate("document.documentElement.scrollHeight")
    clip: Any = {
        "x": 0,
        "y": 0,
        "width": LAPTOP["width"],
        "height": min(height, HEIGHT_MAX),
    }
    shot = Image.open(BytesIO(page.screenshot(full_page=True, clip=clip)))
    few = shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png")


def look(page: Page, item: str) -> None:
    """What an assignment of a held study would do: the picture of a dry run."""
    page.goto(item)
    study_of = page.get_by_role("link", name=re.compile(r"^2\.25\.|^1\.")).first
    page.goto(str(study_of.get_attribute("href")))
    page.get_by_text("Assign it to a patient").click()
    page.get_by_label("Patient (ID^^^DOMAIN)").fill("100^^^A")
    page.locator("#reason-assign").fill("asked the ward")
    page.locator("#reason-assign").press("Enter")
    page.get_by_text("Nothing is changed yet.").wait_for()


def take_all(browser: Browser, shown: Demo) -> None:
    """Every page by day, and some by night; and one of a correction that is looked at."""
    base, pages = str(shown.http.base_url), addresses(shown)
    with reading_room(browser, base) as page:
        for name, address in pages.items():
            page.goto(address)
            take(page, name)
        look(page, pages["item"])
        take(page, "dry-run")
    with reading_room(browser, base, "dark") as page:
        for name in BY_NIGHT:
            page.goto(pages[name])
            take(page, f"{name}-dark")


def main() -> None:
    """Start the demonstration, play, take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reconcile-pictures-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with demo(folder) as shown, chromium() as browser:
            play(Doors(_addresses(shown), "RECONCILE"))
            take_all(browser, shown)
            shown.stop()


def _addresses(shown: Demo) -> dict[str, str]:
    """HOST:PORT by door, as the first line of the demonstration says."""
    return dict(re.findall(r"(\w+)=(\S+)", shown.printed[0]))


if __name__ == "__main__":
    main()
