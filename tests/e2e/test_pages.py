"""A steward at work, in a browser, by keyboard only; and who else can use the pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from reconcile.db import views_audit, views_holds
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery
from tests.support.chromium import PATH, Scheme, chromium, reading_room
from tests.support.database import Cluster
from tests.support.paged import Day, a_day, open_pages


@pytest.fixture(scope="module")
def day(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    with cluster.database() as urls:
        played = a_day(urls, tmp_path_factory.mktemp("instances"))
        yield played
        played.hospital.database.close()


@pytest.fixture(scope="module")
def base(day: Day) -> Iterator[str]:
    with open_pages(day.parts()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not PATH:
        pytest.skip("no chromium on PATH; .ci/run installs it")
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser, base: str) -> Iterator[Page]:
    """A page whose console has nothing to complain of."""
    with reading_room(browser, base) as found:
        said: list[str] = []
        found.on("console", lambda message: said.append(message.text))
        found.on("pageerror", lambda error: said.append(str(error)))
        yield found
        assert said == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, words: str, most: int = 40) -> None:
    """Go on by Tab until what has the focus says so."""
    for _ in range(most):
        press(page, "Tab")
        if words in page.evaluate("document.activeElement.textContent || ''"):
            return
    raise AssertionError(f"nothing says {words!r} within {most} steps")


def focus_is_seen(page: Page) -> bool:
    """Whether the element with the focus is outlined, and inside of the window."""
    return bool(
        page.evaluate(
            """() => {
                const at = document.activeElement, box = at.getBoundingClientRect();
                const style = getComputedStyle(at);
                return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
                    && box.bottom > 0 && box.top < innerHeight;
            }"""
        )
    )


def test_a_steward_works_by_keyboard_only(day: Day, page: Page) -> None:
    """Find a held study, compare, assign, see the audit, undo: no mouse is touched."""
    page.goto("/")
    press(page, "w")
    page.wait_for_url("**/worklist")

    press(page, "j")
    assert focus_is_seen(page)
    expect(page.locator(":focus")).to_have_text("DEMOGRAPHIC-CONFLICT")
    press(page, "Enter")
    page.wait_for_url("**/worklist/*")
    item = page.url

    beside = page.get_by_role("table", name="The received header beside")
    expect(beside).to_contain_text("OTHER^BODY")
    expect(beside.locator("td.differs mark")).to_have_text(["ROE^RICHARD", "19750506", "M"])

    press(page, "1")
    expect(page.get_by_role("radio", name="Assign")).to_be_checked()
    expect(page.locator(":focus")).to_have_id("reason")
    page.keyboard.type("asked the ward: it is Richard")
    press(page, "Control+Enter")
    page.wait_for_url("**/worklist/*?done=1")
    status = page.get_by_role("status")
    expect(status).to_contain_text("Resolved by local")
    expect(status).to_contain_text("asked the ward: it is Richard")

    tab_to(page, "What it did")
    press(page, "Enter")
    page.wait_for_url("**/happenings/*")
    expect(page.get_by_role("main")).to_contain_text("resolve")
    expect(page.get_by_role("main")).to_contain_text("PatientID")
    assert owner(day, day.held) == "E2"

    press(page, "u")
    page.keyboard.type("it was not Richard")
    press(page, "Control+Enter")
    expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    expect(page.get_by_text("takes back resolve")).to_be_visible()
    expect(page.get_by_role("button", name="Do it")).to_be_focused()
    assert owner(day, day.held) == "E2"
    press(page, "Enter")
    page.wait_for_url("**/happenings/*done=1*")
    expect(page.get_by_role("status")).to_contain_text("Done.")
    assert owner(day, day.held) is None

    page.goto(item)
    expect(page.get_by_text("This decision was taken back")).to_be_visible()


def owner(day: Day, study: str) -> str | None:
    """The archive's ID under which a study is filed; None: it is held."""
    with day.hospital.database.read_only() as connection:
        query = AuditQuery(study=study, cause="resolve")
        found = views_audit.events(connection, query, Where(1000)).items
    live = [each for each in found if each.undone_by is None and each.patient]
    return live[-1].patient["id"] if live and live[-1].patient else None


def test_who_is_second_sees_who_was_first(day: Day, browser: Browser, base: str) -> None:
    """Two stewards have an item open; the second keeps their words and is told."""
    address = f"/worklist/{item_of(day, day.hostile)}"
    with reading_room(browser, base) as one, reading_room(browser, base) as other:
        for page in (one, other):
            page.goto(address)
            press(page, "n")
            page.keyboard.type("nobody whom we know")
        press(one, "Control+Enter")
        one.wait_for_url("**done=1")
        press(other, "Control+Enter")
        expect(other.get_by_role("alert")).to_contain_text("resolved by local at")


def item_of(day: Day, study: str) -> str:
    with day.hospital.database.read_only() as connection:
        page = views_holds.holds(connection, Where(), kind="hold", state="open")
    return next(str(x.id) for x in page.items if x.study_instance_uid == study)


def test_single_keys_can_be_turned_off(page: Page) -> None:
    """Who speaks to the computer turns them off, and it stays so (WCAG 2.1.4)."""
    page.goto("/")
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("checkbox").uncheck()
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.reload()
    press(page, "w")
    assert page.url.endswith("/")
    press(page, "Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    press(page, "Enter")
    expect(page.locator("main")).to_be_focused()


def test_it_works_without_a_script(day: Day, browser: Browser, base: str) -> None:
    """Everything is a link or a form: a review is looked at and closed."""
    context = browser.new_context(base_url=base, java_script_enabled=False)
    page = context.new_page()
    page.goto("/worklist?kind=review")
    page.get_by_role("link", name="PROVISIONAL").click()
    page.get_by_role("radio", name="Accept").check()
    page.get_by_label("Reason, in your words").fill("seen")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_role("status")).to_contain_text("Resolved by local")
    context.close()


# -- Who else can use them ----------------------------------------------------------------


def addresses(day: Day) -> dict[str, str]:
    """One of each page."""
    with day.hospital.database.read_only() as connection:
        events = views_audit.events(connection, AuditQuery(study=day.study), Where()).items
        holds = views_holds.holds(connection, Where()).items
        message = views_holds.messages(connection, Where(1), state="held").items[0]
    event = events[0]
    of_kind: dict[str, Any] = {each.kind: each.id for each in holds}
    return {
        "start": "/",
        "worklist": "/worklist?state=",
        "hold": f"/worklist/{of_kind['hold']}",
        "review": f"/worklist/{of_kind['review']}",
        "study": f"/studies/{day.study}",
        "instance": f"/instances/{day.images[0].SOPInstanceUID}",
        "patient": "/patients?identifier=100^^^A",
        "audit": "/audit?source=CT_A",
        "event": f"/audit/{event.id}",
        "happening": f"/happenings/{event.happening}",
        "inbox": "/inbox",
        "message": f"/inbox/{message.id}",
        "orders": "/orders",
        "deliveries": "/deliveries?done=1",
        "configuration": "/configuration",
        "find": "/find?q=100",
        "undo": "/undo?source=CT_A",
        "problem": "/nothing",
    }


#: Between them they have every colour that there is.
COLOURED = ("start", "hold", "patient", "message")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"


@pytest.mark.parametrize(
    ("scheme", "rules"),
    [
        ("light", {"type": "tag", "values": LEVELS}),
        ("dark", {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}),
    ],
    ids=["light", "dark"],
)
def test_axe_finds_nothing_that_keeps_people_out(
    day: Day, browser: Browser, base: str, scheme: Scheme, rules: dict[str, Any]
) -> None:
    """On every page, by day and by night: no violation of WCAG 2.2 A and AA at all."""
    found: dict[str, list[str]] = {}
    pages = {n: a for n, a in addresses(day).items() if scheme == "light" or n in COLOURED}
    with reading_room(browser, base, scheme) as page:
        for name, address in pages.items():
            page.goto(address)
            page.evaluate(OPEN_ALL)
            report = Axe().run(
                page, options={"runOnly": rules, "resultTypes": ["violations"]}
            )
            for each in report.response["violations"]:
                told = [f"{each['id']}: {node['html'][:150]}" for node in each["nodes"]]
                found.setdefault(name, []).extend(told)
    assert found == {}


#: What stands out to the right, unless something around it can be scrolled.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll('main *, header *, footer *')]
        .filter(each => !each.closest('.wide, .hl7, .unseen')
            && each.getBoundingClientRect().right > innerWidth)
        .map(each => each.outerHTML.slice(0, 120))"""


def test_nothing_is_wider_than_a_small_window(
    day: Day, browser: Browser, base: str
) -> None:
    """At 320 CSS pixels nothing but tables is scrolled sideways (WCAG 1.4.10)."""
    with reading_room(browser, base) as page:
        page.set_viewport_size({"width": 320, "height": 640})
        for name, address in addresses(day).items():
            page.goto(address)
            assert page.evaluate(TOO_WIDE) == [], name
