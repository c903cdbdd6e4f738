"""The hunt for duplicates, over a real registry: it finds pairs, and changes nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import log2
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.core.identity import Demographics, PersonName
from reconcile.db import history, suggesting
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.db.ids import uuid7
from reconcile.db.links import not_same
from reconcile.db.suggestions import duplicate_suggestion
from reconcile.db.views import Where
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.hunt import BLOCK_MAX, HuntFlow
from tests.safety.people import person
from tests.support.archive import http_door
from tests.support.hospital import RIS_B, Hospital, clock

STRANGERS = 60
EVA = Demographics(PersonName("QUIRIN^EVA"), "19710203", "F")
TYPED = Demographics(PersonName("ABERNATHY^JOSHUA"), "19630907", "M")
BORN = Demographics(PersonName("ZYLSTRA^NOAH"), "20110405", "M")


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    """Strangers; two that are one in two domains; one mistyped; two who are twins."""
    found = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    random = Random(5)
    for number in range(STRANGERS):
        found.patient(person(random).said(), f"{70000 + 37 * number}^^^A")
    found.patient(EVA, "100^^^A")
    found.patient(EVA, "955^^^B", feed=RIS_B)
    found.patient(TYPED, "200^^^A")
    found.patient(replace(TYPED, name=PersonName("ABERNATY^JOSHUA")), "4711^^^A")
    found.patient(BORN, "300^^^A")
    found.patient(replace(BORN, name=PersonName("ZYLSTRA^LIAM")), "301^^^A")
    yield found
    found.database.close()


def hunt(hospital: Hospital) -> Any:
    return HuntFlow(hospital.database, hospital.rules, clock).run()


def listed(hospital: Hospital, state: str = "open") -> dict[frozenset[str], Any]:
    """Suggestions by the identifiers outside the archive's own domain."""
    with hospital.database.read_only() as connection:
        page = suggesting.suggestions(connection, Where(1000), "E", state=state)
    return {
        frozenset(i for p in each.patients for i in p["identifiers"] if i[-1] != "E"): each
        for each in page.items
    }


def dismiss(hospital: Hospital, suggestion_id: str, actor: str) -> None:
    hospital.database.run(lambda c: suggesting.dismiss(c, suggestion_id, actor))


ONE = frozenset(("100^^^A", "955^^^B"))
SLIP = frozenset(("200^^^A", "4711^^^A"))
TWINS = frozenset(("300^^^A", "301^^^A"))


def test_two_who_are_one_are_found_among_strangers(hospital: Hospital) -> None:
    """
    Equal in two domains, or mistyped in one: both are suggested, with their reasons.
    """
    told = hunt(hospital)
    found = listed(hospital)
    best = sorted(found, key=lambda each: -found[each].bits)[:2]

    assert (told.persons, told.suggested) == (STRANGERS + 6, len(found))
    assert best[0] == ONE
    assert SLIP in found
    reasons = [each["reason"] for each in found[SLIP].reasons]
    assert "family name nearly equal" in reasons
    assert "has another identifier in the same domain" in reasons
    for each in found.values():
        total = sum(reason["bits"] for reason in each.reasons)
        assert each.bits == pytest.approx(total, abs=0.4)


def test_a_rare_name_weighs_more_than_the_shipped_value(hospital: Hospital) -> None:
    """
    Frequencies are those of the index that is hunted through.
    """
    hunt(hospital)
    bits = {each["reason"]: each["bits"] for each in listed(hospital)[ONE].reasons}
    share = 2 / (STRANGERS + 6)
    assert bits["family name equal"] == pytest.approx(log2(0.92 / share), abs=0.06)


def test_twins_are_told_to_be_twins(hospital: Hospital) -> None:
    """
    Two born on one day of one family may be suggested, but never without that word.
    """
    hunt(hospital)
    found = listed(hospital).get(TWINS)
    words = [each["reason"] for each in found.reasons] if found else ["may be a twin"]
    assert any(word.startswith("may be a twin") for word in words)


def test_a_hunt_changes_no_patient(hospital: Hospital) -> None:
    """
    It suggests. Persons, identities, edges and studies are as before.
    """

    def everything() -> list[Any]:
        with hospital.database.read_only() as connection:
            tables = (
                t.person,
                t.identity_link,
                t.merge_edge,
                t.demographics,
                history.happening,
            )
            rows = [connection.execute(select(each)).all() for each in tables]
        return [sorted(map(str, each)) for each in rows]

    before = everything()
    assert hunt(hospital).suggested > 0
    assert everything() == before


def test_hunting_again_finds_the_same_once(hospital: Hospital) -> None:
    """
    A pair is one suggestion, however often it is found.
    """
    first = hunt(hospital)
    ids = {each.id for each in listed(hospital).values()}
    assert hunt(hospital) == first
    assert {each.id for each in listed(hospital).values()} == ids


def test_what_a_person_dismissed_stays_dismissed(hospital: Hospital) -> None:
    """
    The next hunt finds the pair again, and does not bring it up; nor is it forgotten.
    """
    hunt(hospital)
    wanted = str(listed(hospital)[ONE].id)
    dismiss(hospital, wanted, "meier")
    dismiss(hospital, wanted, "later")
    hunt(hospital)
    assert ONE not in listed(hospital)
    assert listed(hospital, "settled")[ONE].settled_by == "meier"
    for unknown in ("nonsense", str(uuid7())):
        with pytest.raises((NotFound, WrongUse)):
            dismiss(hospital, unknown, "meier")


def test_who_was_said_not_to_be_one_is_no_pair(hospital: Hospital) -> None:
    """
    A steward's word is kept by every hunt after it, and drops what was found before.
    """
    first = hunt(hospital)
    pair = listed(hospital)[ONE]
    one, other = sorted(each["patient"] for each in pair.patients)
    with hospital.database.read_only() as connection:
        happening = connection.execute(select(history.happening.c.id)).scalars().first()
    row = {"id": uuid7(), "one_id": one, "other_id": other, "actor": "meier"}
    hospital.database.run(
        lambda c: c.execute(insert(not_same).values(**row, happening_id=happening))
    )
    again = hunt(hospital)
    assert again.dropped == 1
    assert again.suggested == first.suggested - 1
    assert ONE not in listed(hospital)


def test_a_pair_that_became_one_is_not_shown(hospital: Hospital) -> None:
    """
    Whoever was merged since is not suggested any more.
    """
    hunt(hospital)
    one, other = (each["patient"] for each in listed(hospital)[ONE].patients)
    change = text("UPDATE person SET canonical_id = :one WHERE id = :other")
    hospital.database.run(lambda c: c.execute(change, {"one": one, "other": other}))
    assert not any(ONE & each for each in listed(hospital))


def test_a_key_that_all_share_compares_nobody(database_urls: Urls, tmp_path: Path) -> None:
    """
    A birth date that stands for none would make a pair of each with each.
    """
    found = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    for number in range(BLOCK_MAX + 1):
        name = PersonName("".join(chr(65 + int(c)) for c in f"{number:03}") + f"{number}")
        found.patient(Demographics(name, "20000101"), f"{1117 * (number + 1)}^^^A")
    told = hunt(found)
    found.database.close()
    assert told.persons == BLOCK_MAX + 1
    assert told.pairs < BLOCK_MAX * 10


def test_the_list_over_http(hospital: Hospital) -> None:
    """
    In pages; rows are those of the command line.
    """
    hunt(hospital)
    with http_door(hospital) as door:
        first = door.get("/api/v1/suggestions", params={"limit": 1}).json()
        everything = door.get("/api/v1/suggestions").json()
        settled = door.get("/api/v1/suggestions", params={"state": "settled"}).json()
        wrong = door.get("/api/v1/suggestions", params={"state": "maybe"})
    assert first["items"] == everything["items"][:1]
    assert bool(first["next"]) is (len(everything["items"]) > 1)
    assert len(everything["items"]) == len(listed(hospital))
    assert settled == {"items": [], "next": None}
    assert wrong.status_code == 422 or wrong.status_code == 400
    keys = {"id", "state", "bits", "reasons", "patients", "found_at"}
    assert keys <= set(everything["items"][0])


def test_the_command_line(
    hospital: Hospital, database_urls: Urls, tmp_path: Path, monkeypatch: Any
) -> None:
    """
    Hunt, list, dismiss; nothing left is exit code 1.
    """
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        return done.stdout

    run("suggestion", "list", code=1)
    assert f"{STRANGERS + 6} patients" in run("hunt")
    rows = [json.loads(row) for row in run("suggestion", "list", "--json").splitlines()]
    assert len(rows) == len(listed(hospital))
    assert "bits" in run("suggestion", "list")
    for row in rows:
        assert "dismissed" in run("suggestion", "dismiss", row["id"])
    run("suggestion", "list", code=1)
    run("suggestion", "dismiss", "nonsense", code=1)
    assert len(run("suggestion", "list", "--state", "settled").splitlines()) > len(rows)
    with hospital.database.read_only() as connection:
        found = connection.execute(select(duplicate_suggestion.c.settled_by)).scalars()
        assert set(found) == {"local"}
