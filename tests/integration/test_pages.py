"""The pages over a real registry: the facts on them, and what they refuse."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from reconcile.db import views_audit, views_holds
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery, Event
from reconcile.db.views_holds import Hold
from reconcile.flows.keys import make_key
from reconcile.flows.steward import By
from reconcile.flows.steward_patients import StewardPatients
from reconcile.flows.undo import Undo
from reconcile.web.app import make_app
from reconcile.web.pages import events as audit_page
from reconcile.web.pages import inbox as inbox_page
from reconcile.web.pages import worklist as worklist_page
from tests.support.database import Cluster
from tests.support.paged import HOSTILE, Day, a_day, open_app, open_pages


@pytest.fixture(scope="module")
def day(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day that nobody changes, but for what a test decides itself."""
    with cluster.database() as urls:
        played = a_day(urls, tmp_path_factory.mktemp("instances"))
        yield played
        played.hospital.database.close()


@pytest.fixture(scope="module")
def browser(day: Day) -> Iterator[httpx.Client]:
    """Asks as a browser on this machine."""
    with open_pages(day.parts()) as base, httpx.Client(base_url=base) as client:
        client.headers["Accept"] = "text/html"
        yield client


def items(day: Day, **filters: Any) -> tuple[Hold, ...]:
    with day.hospital.database.read_only() as connection:
        return views_holds.holds(connection, Where(), **filters).items


def held(day: Day, study: str, state: str = "open") -> Hold:
    found = items(day, kind="hold", state=state)
    return next(each for each in found if each.study_instance_uid == study)


def events(day: Day, **filters: Any) -> tuple[Event, ...]:
    with day.hospital.database.read_only() as connection:
        return views_audit.events(connection, AuditQuery(**filters), Where(1000)).items


def token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found, page
    return found[1]


def text(page: str) -> str:
    """What a page says, without its marks."""
    said = re.sub(r"<[^>]+>", " ", page)
    return re.sub(r"\s+", " ", html.unescape(said))


def seen(browser: httpx.Client, address: str) -> str:
    """The text of a page that there is."""
    page = browser.get(address)
    assert page.status_code == 200, page.text
    said = text(page.text)
    assert "True at 20" in said
    return said


def send(browser: httpx.Client, address: str, form: str, **fields: str) -> httpx.Response:
    """A form of the page `form`, sent as a browser on it does."""
    fields["token"] = token(browser.get(form).text)
    origin = {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return browser.post(address, data=fields, headers=origin)


# -- What they show -----------------------------------------------------------------------


def test_the_start_page_counts_what_waits_and_what_was_coerced(
    day: Day, browser: httpx.Client
) -> None:
    """Each figure is that of the registry; the picture is said in words and as a table."""
    said = seen(browser, "/")
    holds = items(day, kind="hold", state="open")
    assert f"{len(holds)} held" in said
    assert "DEMOGRAPHIC-CONFLICT" in said
    assert "SUSPECTED-OVERLAY" in said
    of_ct = len(events(day, source="CT_A"))
    assert f"CT_A: {of_ct} today, {of_ct} in seven days." in said
    assert "127.0.0.1:11112" in said


def test_the_worklist_filters_by_kind_code_source_and_state(
    day: Day, browser: httpx.Client
) -> None:
    """Every filter alone leaves what the interface for programs leaves."""
    for filters in (
        {"kind": "review"},
        {"code": "DEMOGRAPHIC-CONFLICT"},
        {"source": "MR_B"},
        {"state": "closed"},
    ):
        page = browser.get("/worklist", params=filters).text
        found = set(re.findall(r'<a href="/worklist/([0-9a-f-]{36})">', page))
        assert found == {
            str(each.id) for each in items(day, **({"state": "open"} | filters))
        }
    assert browser.get("/worklist", params={"kind": "nothing"}).status_code == 400


def test_an_item_shows_the_header_beside_the_candidates(
    day: Day, browser: httpx.Client
) -> None:
    """What differs is said in words, not by colour alone; reasons stand below it."""
    said = seen(browser, f"/worklist/{held(day, day.held).id}")
    assert "OTHER^BODY" in said
    assert "differs: ROE^RICHARD" in said
    assert "same: 200^^^A" in said
    assert "birth date differs" in said
    assert "It is held: the identifiers name a person whom" in said
    assert "naming person 200^^^A" in said


def test_names_of_whoever_sent_them_are_text(day: Day, browser: httpx.Client) -> None:
    """A PatientName with markup in it is shown, and does nothing, on every page."""
    hold = held(day, day.hostile)
    for address in ("/worklist", f"/worklist/{hold.id}"):
        shown = browser.get(address).text
        assert html.escape(HOSTILE) in shown
        assert "<script>alert" not in shown
    hostile = '"><script>alert(1)</script>'
    for address, name in (("/find", "q"), ("/audit", "cause"), ("/worklist", "source")):
        assert "<script>alert" not in browser.get(address, params={name: hostile}).text


def test_a_study_shows_why_it_is_whose_it_is(day: Day, browser: httpx.Client) -> None:
    """By every UID that means it: series, map, timeline with before and since."""
    said = seen(browser, f"/studies/{day.received}")
    for each in (day.study, day.received, "THORAX", "LUNG", "order-uid", "DOE^JANE"):
        assert each in said
    assert "It was given the Study Instance UID of its order." in said
    assert "PatientID 100 → became E1" in said
    assert browser.get("/studies/1.2.3").status_code == 404


def test_an_instance_shows_its_arrivals_and_events(day: Day, browser: httpx.Client) -> None:
    """And the word of the independent checker."""
    said = seen(browser, f"/instances/{day.images[0].SOPInstanceUID}")
    assert "Received, given out and history explain each other." in said
    assert "given out" in said
    assert "StudyInstanceUID" in said


def test_a_patient_shows_identifiers_merges_and_who_they_were(
    day: Day, browser: httpx.Client
) -> None:
    """The merge is drawn and told; `as_of` before it shows the two apart."""
    answer = browser.get("/patients", params={"identifier": "101^^^A"})
    assert answer.status_code == 303
    address = answer.headers["location"]
    page = browser.get(address).text
    assert '<path class="edge"' in page
    said = text(page)
    assert "DOE^JANE" in said
    assert "101^^^A (merged)" in said
    assert day.study in said
    merged = browser.get(f"/api/v1{address}").json()["merges"][0]
    before = browser.get(
        "/patients", params={"identifier": "101^^^A", "as_of": _before(merged)}
    )
    assert before.headers["location"].startswith(f"/patients/{merged['prior']}")
    assert "As they were known at" in seen(browser, before.headers["location"])
    assert browser.get("/patients", params={"identifier": "999^^^B"}).status_code == 404


def _before(merge: dict[str, Any]) -> str:
    """The microsecond before a merge."""
    began = datetime.fromisoformat(merge["recorded_at"]) - timedelta(microseconds=1)
    return began.isoformat()


def test_the_audit_search_takes_every_filter(day: Day, browser: httpx.Client) -> None:
    """Each finds what the interface finds; what is no question is said, not answered."""
    event = events(day, source="CT_A")[0]
    for name, value in {
        "patient": "100^^^A",
        "study": day.received,
        "series": str(event.series_instance_uid),
        "instance": str(event.sop_instance_uid),
        "accession": "ACC1",
        "cause": "c-store",
        "cause_id": event.cause_id,
        "reason": "COERCE",
        "rule": "identity",
        "source": "MR_B",
        "actor": "CT_A",
        "attribute": "StudyInstanceUID",
        "from": "2026-01-01",
        "to": "2099-01-01",
    }.items():
        asked = {name: value}
        wanted = browser.get("/api/v1/coercions", params=asked | {"limit": 50}).json()
        page = browser.get("/audit", params=asked).text
        found = re.findall(r'<th scope="row"><a href="/audit/([0-9a-f-]{36})">', page)
        assert found == [each["id"] for each in wanted["items"]], name
        assert found, name
    wrong = browser.get("/audit", params={"attribute": "NoSuchThing"})
    assert wrong.status_code == 400
    assert "attribute is a keyword" in wrong.text


@pytest.mark.parametrize(
    ("module", "address", "row"),
    [
        (audit_page, "/audit?source=CT_A", r'row"><a href="/audit/([0-9a-f-]{36})">'),
        (worklist_page, "/worklist?state=", r'row"><a href="/worklist/([0-9a-f-]{36})">'),
        (inbox_page, "/inbox?sender=", r'row"><a href="/inbox/([0-9a-f-]{36})">'),
    ],
    ids=["audit", "worklist", "inbox"],
)
def test_lists_are_turned_over_without_a_gap(
    browser: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    address: str,
    row: str,
) -> None:
    """Next page after next page shows what one long page does, in the same order."""
    whole = re.findall(row, browser.get(address).text)
    monkeypatch.setattr(module, "PAGE", 2)
    found: list[str] = []
    following: str | None = address
    while following:
        page = browser.get(following).text
        found += re.findall(row, page)
        link = re.search(r'<a rel="next" href="([^"]+)"', page)
        following = html.unescape(link[1]) if link else None
    assert found == whole
    assert len(found) > 3


def test_the_export_has_every_event_of_the_question(
    day: Day, browser: httpx.Client
) -> None:
    """One JSON object a line, whole."""
    lines = browser.get("/audit/export", params={"source": "CT_A"}).text.splitlines()
    assert len(lines) == len(events(day, source="CT_A"))
    assert all(json.loads(line)["original_attributes"] for line in lines)


def test_an_event_and_its_happening_can_be_sent_to_a_colleague(
    day: Day, browser: httpx.Client
) -> None:
    """Each has its address; the one leads to the other."""
    event = events(day, study=day.study)[0]
    said = seen(browser, f"/audit/{event.id}")
    assert "E1^^^E" in said
    assert "not sealed yet" in said
    assert f"/happenings/{event.happening}" in browser.get(f"/audit/{event.id}").text
    assert "identity@" in seen(browser, f"/happenings/{event.happening}")


def test_the_inbox_shows_what_came_and_what_a_replay_would_do(
    day: Day, browser: httpx.Client
) -> None:
    """Looked at first: nothing is changed."""
    (item,) = items(day, kind="message")
    address = f"/inbox/{item.message_id}"
    assert "SUSPECTED-OVERLAY" in seen(browser, "/inbox?state=held")
    assert "MEIER^ANNA" in seen(browser, address)
    looked = send(browser, f"{address}/replay", address, reason="again", step="look")
    assert looked.status_code == 200
    assert "Nothing is changed yet. Acted on now, it would be held" in text(looked.text)
    assert "MEIER^ANNA" in seen(browser, address)


def test_orders_deliveries_and_configuration_are_shown(
    day: Day, browser: httpx.Client
) -> None:
    """With the studies of an order, and what waits for a destination."""
    said = seen(browser, "/orders?accession=ACC1")
    assert day.study in said
    assert "100^^^A" in said
    said = seen(browser, "/deliveries")
    assert day.study in said
    assert "VIEWER" in said
    assert '"CT_A"' in seen(browser, "/configuration")


@pytest.mark.parametrize(
    ("said", "leads_to"),
    [("100^^^A", "/patients/"), ("study", "/studies/"), ("instance", "/instances/")],
)
def test_find_leads_to_what_is_named(
    day: Day, browser: httpx.Client, said: str, leads_to: str
) -> None:
    """By identifier, or by a UID of any level."""
    names = {"study": day.received, "instance": str(day.images[0].SOPInstanceUID)}
    answer = browser.get("/find", params={"q": names.get(said, said)})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(leads_to)


def test_a_bare_id_finds_everybody_who_has_it(browser: httpx.Client) -> None:
    """Whatever the domain: who it is, is for a person to say."""
    answer = browser.get("/find", params={"q": "300"})
    assert answer.headers["location"].startswith("/patients/")
    assert "Nobody has this ID" in seen(browser, "/find?q=ACC1")


# -- What a steward does ------------------------------------------------------------------


def test_a_correction_is_looked_at_and_then_done_and_taken_back(
    day: Day, browser: httpx.Client
) -> None:
    """Nothing is changed by looking; what is done leads to what it did, and back."""
    study = f"/studies/{day.walk_in}"
    fields = {"action": "assign", "patient": "200^^^A", "reason": "wrong wristband"}
    looked = send(browser, f"{study}/correct", study, **fields, step="look")
    assert looked.status_code == 200
    assert "Nothing is changed yet." in looked.text
    assert "300^^^B" in seen(browser, study)

    done = send(browser, f"{study}/correct", study, **fields, step="do")
    assert done.status_code == 303
    happening = done.headers["location"].partition("?")[0]
    assert "wrong wristband" in seen(browser, happening)
    assert "200^^^A" in seen(browser, study)

    undo = {"reason": "it was right"}
    looked = send(browser, f"{happening}/undo", happening, **undo, step="look")
    assert "takes back steward" in looked.text
    assert (
        send(browser, f"{happening}/undo", happening, **undo, step="do").status_code == 303
    )
    assert "300^^^B" in seen(browser, study)
    again = send(browser, f"{happening}/undo", study, **undo, step="do")
    assert again.status_code == 409
    assert "It was taken back already" in again.text


def test_who_comes_second_is_told_who_was_first(day: Day, browser: httpx.Client) -> None:
    """409 on the page of the item, with who resolved it; what was decided can be undone."""
    item = held(day, day.held)
    address = f"/worklist/{item.id}"
    fields = {"version": str(item.version), "reason": "asked the ward"}
    wrong = send(
        browser, f"{address}/resolve", address, **fields, action="assign", other_patient="x"
    )
    assert wrong.status_code == 400
    assert 'value="asked the ward"' in wrong.text
    assert "a patient is named ID^^^DOMAIN" in text(wrong.text)

    stale = {**fields, "version": "0", "action": "new-patient"}
    assert send(browser, f"{address}/resolve", address, **stale).status_code == 409

    fields |= {"action": "assign", "patient": "100^^^A"}
    first = send(browser, f"{address}/resolve", address, **fields)
    assert first.status_code == 303
    second = send(browser, f"{address}/resolve", study_form(day), **fields)
    assert second.status_code == 409
    said = text(second.text)
    assert "Somebody else has decided" in said
    assert "resolved by local at" in said
    said = seen(browser, first.headers["location"])
    assert "“asked the ward”" in said
    assert "Take back…" in said


def study_form(day: Day) -> str:
    """A page with a form, whatever is decided meanwhile."""
    return f"/studies/{day.study}"


def test_what_waits_for_a_destination_is_left_out(day: Day, browser: httpx.Client) -> None:
    """By the same flow as over the interface."""
    fields = {"destination": "VIEWER", "study": day.study}
    done = send(browser, "/deliveries/skip", "/deliveries", **fields)
    assert done.headers["location"] == "/deliveries?told=4"
    again = send(browser, "/deliveries/skip", "/deliveries", **fields)
    assert again.status_code == 400
    assert "nothing of this study waits" in again.text


def test_what_a_source_did_is_taken_back_together(day: Day, browser: httpx.Client) -> None:
    """Looked at first: how many, and each study now and then; then done under one."""
    asked = {
        "source": "MR_B",
        "from": "2026-01-01",
        "to": str(datetime.now(UTC)),
        "reason": "x",
    }
    wrong = send(browser, "/undo", "/undo", **{**asked, "source": ""}, step="look")
    assert wrong.status_code == 400
    assert "say whose doings" in wrong.text
    looked = text(send(browser, "/undo", "/undo", **asked, step="look").text)
    counted = re.search(r"Nothing is changed yet. (\d+ happenings?) would be taken", looked)
    assert counted, looked
    assert day.walk_in in looked
    assert not any(each.undone_by for each in events(day, source="MR_B", cause="c-store"))
    done = text(send(browser, "/undo", "/undo", **asked, step="do").text)
    assert f"Done. {counted[1]} taken back under one happening" in done
    assert all(each.undone_by for each in events(day, source="MR_B", cause="c-store"))
    again = text(send(browser, "/undo", "/undo", **asked, step="do").text)
    assert "There is nothing to take back." in again


# -- What they refuse ---------------------------------------------------------------------


def test_a_form_that_was_not_made_here_is_refused(day: Day, browser: httpx.Client) -> None:
    """Another site, another origin, no word of where, no token, somebody else's cookie."""
    address, page = f"/studies/{day.study}/correct", f"/studies/{day.study}"
    fields = {"action": "assign", "patient": "200^^^A", "reason": "x", "step": "do"}
    right = {**fields, "token": token(browser.get(page).text)}
    here = str(browser.base_url).rstrip("/")
    for headers, said in (
        ({"Sec-Fetch-Site": "cross-site", "Origin": here}, right),
        ({"Sec-Fetch-Site": "same-site", "Origin": here}, right),
        ({"Origin": "http://evil.example"}, right),
        ({"Origin": "null"}, right),
        ({}, right),
        ({"Sec-Fetch-Site": "same-origin"}, fields),
        ({"Sec-Fetch-Site": "same-origin"}, {**fields, "token": "0" * 64}),
        ({"Sec-Fetch-Site": "same-origin", "Cookie": "reconcile=other"}, right),
    ):
        answer = browser.post(address, data=said, headers=headers)
        assert answer.status_code == 403, headers
        assert "The form was not made here" in answer.text
    assert not events(day, cause="steward", study=day.study)


def test_no_frame_no_script_of_others_and_nothing_kept(browser: httpx.Client) -> None:
    """Headers of every page; our own files alone may be kept."""
    page = browser.get("/worklist")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|javascript:", page.text)
    for name in ("style.css", "keys.js", "sign.svg"):
        assert "max-age" in browser.get(f"/{name}").headers["cache-control"]


def test_the_cookie_goes_to_nobody_else(day: Day) -> None:
    """No script reads it, no other site sends it."""
    with open_pages(day.parts()) as base:
        cookie = httpx.get(f"{base}/worklist").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_what_is_wrong_is_a_page_for_people_and_a_document_for_programs(
    browser: httpx.Client,
) -> None:
    """404 and 400 alike, whoever asks for what."""
    for address in ("/nothing", "/worklist/none", "/audit/none", "/happenings/none"):
        page = browser.get(address)
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>" in page.text
    for address in ("/api/v1/nothing", "/api/v1/holds/none"):
        answer = browser.get(address)
        assert answer.headers["content-type"] == "application/problem+json"
    program = browser.get("/nothing", headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"


def test_back_leads_nowhere_else(day: Day, browser: httpx.Client) -> None:
    """A link that somebody sends cannot make of ours a link to theirs."""
    happening = events(day, study=day.study)[0].happening
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        page = browser.get(f"/happenings/{happening}", params={"back": back})
        assert "evil.example" not in page.text


def test_who_may_not_see_protected_patients_does_not_see_them_here(day: Day) -> None:
    """Neither what they are called nor what changed, on any page; the rest stays."""
    steward = StewardPatients(day.archive.kept)
    by = By("ann", "asked for it")
    done = steward.protect("100^^^A", by, protected=True)
    try:
        with (
            open_pages(day.parts(protected_roles=())) as base,
            httpx.Client(base_url=base, headers={"Accept": "text/html"}) as client,
        ):
            patient = client.get("/patients?identifier=100^^^A").headers["location"]
            event = events(day, study=day.study)[0]
            (item,) = items(day, kind="message")
            for address in (
                patient,
                "/find?q=100",
                "/orders?accession=ACC1",
                "/audit?source=CT_A",
                f"/audit/{event.id}",
                f"/happenings/{event.happening}",
                f"/inbox/{item.message_id}",
                f"/worklist/{item.id}",
                *(f"/worklist/{each.id}" for each in items(day, kind="review")),
            ):
                said = client.get(address, follow_redirects=True)
                assert said.status_code in (200, 403), address
                for word in ("DOE^JANE", "E1^^^E", "100^^^A ", "MEIER^ANNA|"):
                    assert word not in text(said.text), (address, word)
            assert client.get(f"/audit/{event.id}").status_code == 403
            assert "CT_A" in client.get("/audit", params={"source": "CT_A"}).text
            assert client.get(f"/studies/{day.study}").status_code == 403
            exported = client.get("/audit/export", params={"study": day.study}).text
            assert '"E1"' not in exported
    finally:
        Undo(day.archive.kept).happening(str(done.happening), by)


def test_reading_the_history_on_a_page_is_told(day: Day) -> None:
    """Who read what, as over the interface."""
    app = make_app(day.parts())
    with open_app(app) as base:
        httpx.get(f"{base}/audit", params={"actor": "CT_A"}).raise_for_status()
        app.state.readings.write()
        told = httpx.get(f"{base}/api/v1/audit-readings").json()["items"]
    assert any(each["what"] == "/audit" and "CT_A" in str(each) for each in told)


def test_the_start_page_tells_how_far_the_history_is_sealed(browser: httpx.Client) -> None:
    """Nobody seals here: all that was recorded is still to be sealed."""
    said = seen(browser, "/")
    assert re.search(r"seal \d+ to seal no checkpoint yet", said), said


# Once there has been a key, every door over this database asks for one: the last one.
def test_pages_ask_for_a_key_where_the_door_does(day: Day) -> None:
    """401 in one sentence; with a key by its role: a reader looks and does not decide."""
    database = day.hospital.database
    with open_pages(day.parts(require_keys=True)) as base:
        refused = httpx.get(f"{base}/worklist")
        assert refused.status_code == 401
        assert "Authorization: Bearer KEY" in text(refused.text)
        assert httpx.get(f"{base}/style.css").status_code == 200
        keys = {
            role: make_key(database, name=role, role=role) for role in ("reader", "auditor")
        }
        for role, key in keys.items():
            headers = {"Authorization": f"Bearer {key}", "Sec-Fetch-Site": "same-origin"}
            with httpx.Client(base_url=base, headers=headers) as client:
                page = client.get(f"/worklist/{held(day, day.hostile).id}")
                assert page.status_code == 200
                assert 'name="action"' not in page.text
                may_read = client.get("/inbox").status_code
                assert may_read == (403 if role == "reader" else 200)
                answer = client.post(f"/studies/{day.study}/correct", data={"action": "x"})
                assert answer.status_code == 403
