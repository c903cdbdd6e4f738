"""What pages work out themselves: comparisons, pictures, words; and what they keep back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from reconcile.db.views_patients import Merge
from reconcile.db.views_people import Known
from reconcile.db.views_summary import Coerced
from reconcile.settings.model import Database, Notify, Settings, Source
from reconcile.settings.shown import in_force
from reconcile.web.pages.comparing import DIFFERS, SAME, UNKNOWN, pieces, side_by_side
from reconcile.web.pages.pictures import DAYS, ROWS_MAX, bars, graph
from reconcile.web.pages.values import ago, pieces_of, said

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))


def known(name: str, birth_date: str, *identifiers: str) -> Known:
    demographics = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
        "00100030": {"vr": "DA", "Value": [birth_date]},
    }
    return Known(ONE, "verified", None, identifiers, demographics)


HEADER = {
    "00080050": {"vr": "SH", "Value": ["ACC1"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE^JANE"}]},
    "00100020": {"vr": "LO", "Value": ["100"]},
    "00100030": {"vr": "DA", "Value": ["19800102"]},
    "00100040": {"vr": "CS"},
}


# -- Side by side -------------------------------------------------------------------------


def test_what_differs_is_marked_and_what_nobody_said_is_not() -> None:
    """Case and empty components are no difference; the identifier may be any of theirs."""
    jane = known("Doe^Jane^^", "19800201", "E1^^^E", "100^^^A")
    first, *rows = side_by_side(HEADER, [jane], "A")
    assert (first.tag, first.cells[0].verdict) == ("00100020", SAME)
    verdicts = {row.tag: row.cells[0].verdict for row in rows if row.cells}
    assert verdicts == {"00100010": SAME, "00100030": DIFFERS, "00100040": UNKNOWN}
    assert [row.tag for row in rows if not row.cells] == ["00080050"]


def test_an_identifier_of_another_issuer_is_another_one() -> None:
    """The same bare ID elsewhere does not agree; where nobody names one, who can say?"""
    header = {**HEADER, "00100021": {"vr": "LO", "Value": ["B"]}}
    of_a = [known("DOE^JANE", "19800102", "100^^^A")]
    assert side_by_side(header, of_a, "A")[0].cells[0].verdict == DIFFERS
    assert side_by_side(HEADER, of_a, "B")[0].cells[0].verdict == DIFFERS
    assert side_by_side(HEADER, of_a)[0].cells[0].verdict == UNKNOWN


@pytest.mark.parametrize(
    ("value", "other", "marked"),
    [
        ("19800102", "19800112", ["1"]),
        ("DOE^JANE", "DOE^JANES", ["S"]),
        ("DOE^JANE", "ROE^RICHARD", ["ROE^RICHARD"]),
        ("F", "M", ["M"]),
    ],
)
def test_single_characters_are_marked_where_most_agree(
    value: str, other: str, marked: list[str]
) -> None:
    """What is wholly other is marked whole; nothing of it is lost."""
    found = pieces(value, other)
    assert "".join(text for text, _ in found) == other
    assert [text for text, changed in found if changed] == marked


# -- Pictures -----------------------------------------------------------------------------


def test_bars_have_one_scale_and_every_day_of_the_week() -> None:
    """The busiest source is first; days without anything have their place."""
    today = date(2026, 3, 7)
    told = [Coerced("CT_A", today - timedelta(days=1), 10), Coerced("MR_B", today, 5)]
    first, second = bars(told, today)
    assert (first.source, first.today, first.week) == ("CT_A", 0, 10)
    assert (second.today, second.week) == (5, 5)
    assert [len(each.columns) for each in (first, second)] == [DAYS, DAYS]
    assert second.columns[-1].height * 2 == first.columns[-2].height


def test_many_sources_are_told_together() -> None:
    """A picture has so many rows; nothing is left out of the sum."""
    told = [Coerced(f"CT_{n}", date(2026, 3, 7), n) for n in range(1, 21)]
    found = bars(told, date(2026, 3, 7))
    assert len(found) == ROWS_MAX + 1
    assert sum(each.week for each in found) == sum(range(1, 21))


def test_the_survivor_stands_right_of_who_was_merged() -> None:
    """Chains go from left to right; a merge that ended is there and drawn otherwise."""
    merges = (
        Merge(ONE, TWO, UUID(int=9), NOW, None),
        Merge(TWO, THREE, UUID(int=9), NOW, None),
        Merge(ONE, THREE, UUID(int=9), NOW, NOW),
    )
    drawn = graph(THREE, merges, {ONE: ("1^^^A",)})
    at = {node.id: node.x for node in drawn.nodes}
    assert at[ONE] < at[TWO] < at[THREE]
    assert [edge.live for edge in drawn.edges] == [True, True, False]
    assert all(node.y < drawn.height for node in drawn.nodes)


def test_a_circle_that_cannot_be_is_drawn_all_the_same() -> None:
    """Whatever stands in the rows, the page comes to an end."""
    merges = (
        Merge(ONE, TWO, UUID(int=9), NOW, None),
        Merge(TWO, ONE, UUID(int=9), NOW, None),
    )
    assert len(graph(ONE, merges, {}).nodes) == 2


# -- Words --------------------------------------------------------------------------------


def test_values_are_said_in_one_line_and_cut() -> None:
    """Names in all groups, several values, items, raw bytes; never more than fits."""
    name = {
        "vr": "PN",
        "Value": [{"Alphabetic": "YAMADA^TARO", "Ideographic": "山田^太郎"}],
    }
    assert said(name) == "YAMADA^TARO=山田^太郎"
    assert said({"vr": "CS", "Value": ["A", "B"]}) == "A \\ B"
    assert said({"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["1"]}}]}) == (
        "{PatientID: 1}"
    )
    assert said({"vr": "LO"}) == said(None) == ""
    assert len(said({"vr": "UT", "Value": ["x" * 10_000]})) == 512


def test_a_person_in_a_sentence_is_named_by_their_identifiers() -> None:
    """Nothing of the sentence is lost; whom nobody names keeps the id."""
    sentence = f"naming person {ONE}, not person {TWO}."
    found = list(pieces_of(sentence, {str(ONE): ("100^^^A", "E1^^^E")}))
    assert "".join(text for text, _ in found) == (
        f"naming person 100^^^A · E1^^^E, not person {TWO}."
    )
    assert [person for _, person in found if person] == [str(ONE), str(TWO)]


def test_ages_are_told_in_their_largest_unit() -> None:
    """And what is said to come from the future is new."""
    spans = [(3, "3 s"), (61, "1 min"), (7_300, "2 h"), (200_000, "2 d"), (-5, "0 s")]
    for seconds, told in spans:
        assert ago(NOW - timedelta(seconds=seconds), NOW) == told


# -- What is not shown --------------------------------------------------------------------


def test_no_secret_of_the_configuration_is_shown(tmp_path: Path) -> None:
    """Of an address only where it leads; what is the default is told as such."""
    settings = Settings(
        data_dir=tmp_path,
        database=Database(url="postgresql://writer:hunter2@db.example/registry?x=hunter3"),
        source=(Source(ae_title="CT_A", domain="A"),),
        notify=(
            Notify(
                name="chat",
                url="https://chat.example/hooks/hunter4?token=hunter5",
                on=("hold",),
            ),
        ),
    )
    tables = dict(in_force(settings))
    assert "hunter" not in repr(tables)
    shown = {key: value for key, value, _ in tables["[database]"]}
    assert shown["url"] == '"postgresql+psycopg://db.example/…"'
    assert ("ae_title", '"CT_A"', False) in tables["[[source]]"]
    assert ("coerce", "true", True) in tables["[[source]]"]
