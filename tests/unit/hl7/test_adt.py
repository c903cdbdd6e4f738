"""What PID says, in the registry's terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconcile.core.identity import Demographics, Issuer, PatientUpdate, PersonName
from reconcile.errors import ReconcileError
from reconcile.hl7 import fields
from reconcile.hl7.adt import patient_update
from reconcile.hl7.errors import FieldInvalid, FieldMissing, SegmentError
from reconcile.hl7.message import Segment
from reconcile.hl7.syntax import Syntax
from tests.unit.hl7.samples import PID, ZONE, msh, read


def update(pid: str, *others: str) -> PatientUpdate:
    return patient_update(read(msh(), pid, *others), ZONE)


@pytest.mark.parametrize(
    ("pd1", "protected"),
    [
        (None, None),
        ("PD1|||", None),
        ("PD1||||||||||||Y", True),
        ("PD1||||||||||||N", False),
        ('PD1||||||||||||""', False),
        ("PD1||||||||||||what", None),
    ],
)
def test_who_is_protected_is_said_by_pd1(pd1: str | None, protected: bool | None) -> None:
    """PD1-12; silence changes nothing, and `""` takes it back."""
    assert update(PID, *([pd1] if pd1 else [])).protected is protected


@pytest.mark.parametrize(
    ("xpn", "name"),
    [
        ("DOE^JANE", PersonName("DOE^JANE")),
        ("DOE^JANE^^^^^", PersonName("DOE^JANE")),
        ("van Berg&van&Berg^Anna", PersonName("van Berg^Anna")),
        ("Doe^Jane^M^Jr^Dr^PhD", PersonName("Doe^Jane^M^Dr^Jr")),
        ("Doe^Jane^^Jr", PersonName("Doe^Jane^^^Jr")),
        ("^Jane", PersonName("^Jane")),
        ("  Doe ^ Jane  Mary", PersonName("Doe^Jane Mary")),
        ("Sm\\T\\th\\S\\x=y^A\\E\\B", PersonName("Sm&th x y^A B")),
        ("Doe\\.br\\X^\\X00\\Jane", PersonName("Doe X^Jane")),
        ("", PersonName()),
        (" ", PersonName()),
        ('""', PersonName()),
        ("^^^^^^L", PersonName()),
        # kinds of name
        ("Maid^A^^^^^M~Legal^A^^^^^L", PersonName("Legal^A")),
        ("Nick^A^^^^^N~Maid^A^^^^^M", PersonName("Maid^A")),
        ("Show^A^^^^^D~Alias^A^^^^^A", PersonName("Alias^A")),
        ("Show^A^^^^^D", PersonName("Show^A")),
        ("Bad^A^^^^^NOUSE", PersonName()),
        ("Plain^A~Legal^A^^^^^L", PersonName("Legal^A")),
        ("One^A^^^^^L~Two^A^^^^^L", PersonName("One^A")),
        # ways of writing
        (
            "Yamada^Taro^^^^^L^A~山田^太郎^^^^^L^I~ヤマダ^タロウ^^^^^L^P",
            PersonName("Yamada^Taro", "山田^太郎", "ヤマダ^タロウ"),
        ),
        ("山田^太郎^^^^^L^I", PersonName("", "山田^太郎")),
        ("Yamada^Taro~山田^太郎^^^^^^I", PersonName("Yamada^Taro", "山田^太郎")),
        ("Yamada^Taro^^^^^L^A~鈴木^太郎^^^^^M^I", PersonName("Yamada^Taro")),
    ],
)
def test_a_name_is_told_in_the_order_of_dicom(xpn: str, name: PersonName) -> None:
    """XPN has the suffix before the prefix; the legal name goes first; FN-1 only."""
    assert update(f"PID|||1^^^A||{xpn}").demographics.name == name


@pytest.mark.parametrize(
    ("cx", "identifiers"),
    [
        ("100^^^A", [("100", Issuer("A"))]),
        ("100", [("100", Issuer())]),
        ("00100 ^^^A", [("00100", Issuer("A"))]),
        ("1^^^A~2^^^B~1^^^A", [("1", Issuer("A")), ("2", Issuer("B"))]),
        ("1^^^A&1.2.3&ISO^MR", [("1", Issuer("A", "1.2.3", "ISO"))]),
        ("1^^^&1.2.3&ISO", [("1", Issuer("", "1.2.3", "ISO"))]),
        ("1^^^&1.2.3", [("1", Issuer("", "1.2.3", "ISO"))]),
        ("1^^^A&1.2.3&iso", [("1", Issuer("A", "1.2.3", "ISO"))]),
        ("1^^^A&x.org&DNS", [("1", Issuer("A", "x.org", "DNS"))]),
        ("1^^^A&8-4-4&GUID", [("1", Issuer("A", "8-4-4", "UUID"))]),
        ("1^^^A&77&L", [("1", Issuer("A"))]),
        ("1^^^&77&L", [("1", Issuer("77"))]),
        ('""~1^^^A~^^^B', [("1", Issuer("A"))]),
        ("a\\T\\b^^^A", [("a&b", Issuer("A"))]),
        ("null^^^A", [("null", Issuer("A"))]),
    ],
)
def test_identifiers_come_with_their_authority(
    cx: str, identifiers: list[tuple[str, Issuer]]
) -> None:
    """Every repetition of PID-3, each once; zeros stand, padding does not."""
    assert list(update(f"PID|||{cx}").identifiers) == identifiers


def test_older_places_of_identifiers_count_only_without_pid_3() -> None:
    """PID-2 and PID-4 were external and alternate IDs once."""
    assert update("PID||2^^^A|3^^^B|4^^^C").identifiers == (("3", Issuer("B")),)
    assert update("PID||2^^^A||4^^^C").identifiers == (
        ("2", Issuer("A")),
        ("4", Issuer("C")),
    )


@pytest.mark.parametrize(
    ("said", "da"),
    [
        ("19800102", "19800102"),
        ("198001021530", "19800102"),
        ("19800102153000.123+0100", "19800102"),
        ("1980-01-02", "19800102"),
        ("198001", "198001"),
        ("1980", "1980"),
        ("19800100", "198001"),
        ("19800000", "1980"),
        ("00000000", ""),
        ("", ""),
        ('""', ""),
        ("20000229", "20000229"),
    ],
)
def test_a_date_is_never_made_more_precise(said: str, da: str) -> None:
    """Months and days that are not said, or said as zeros, stay unknown."""
    assert update(f"PID|||1||||{said}").demographics.birth_date == da


@pytest.mark.parametrize(
    "said",
    ["19801301", "19800230", "19010229", "80", "19801", "unknown", "1980010²", "1980x"],
)
def test_what_is_no_date_is_an_error(said: str) -> None:
    """102, with the place and without the value."""
    with pytest.raises(FieldInvalid) as caught:
        update(f"PID|||1||||{said}")
    assert caught.value.location == "PID^1^7"
    assert said not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "sex"),
    [
        ("M", "M"),
        ("f", "F"),
        ("O", "O"),
        ("A", "O"),
        ("N", "O"),
        ("U", ""),
        ("", ""),
        ("W", ""),
    ],
)
def test_sex_is_one_of_dicoms(said: str, sex: str) -> None:
    """What has no equivalent says nothing."""
    assert update(f"PID|||1|||||{said}").demographics.sex == sex


@pytest.mark.parametrize(
    ("pid_24", "pid_25", "multiple"),
    [
        ("Y", "", True),
        ("Y", "2", True),
        ("N", "2", False),
        ("", "2", True),
        ("", "1", False),
        ("", "01", False),
        ("", "", False),
        ("", "second", False),
    ],
)
def test_multiple_births_are_marked(pid_24: str, pid_25: str, multiple: bool) -> None:
    """By the indicator, or by an order beyond the first."""
    pid = "PID|||1" + "|" * 21 + f"{pid_24}|{pid_25}"
    assert update(pid).demographics.multiple_birth is multiple


@pytest.mark.parametrize(
    ("pid_29", "pid_30", "death_date", "cleared"),
    [
        ("20200101", "Y", "20200101", set()),
        ("20200101", "", "20200101", set()),
        ("202001", "", "202001", set()),
        ("20200101", "N", "", {"death_date"}),
        ("", "N", "", {"death_date"}),
        ('""', "", "", {"death_date"}),
        ("", "Y", "", set()),
    ],
)
def test_death_is_told_by_date_and_indicator(
    pid_29: str, pid_30: str, death_date: str, cleared: set[str]
) -> None:
    """An indicator that denies it takes the date away."""
    found = update("PID|||1" + "|" * 26 + f"{pid_29}|{pid_30}")
    assert (found.demographics.death_date, set(found.cleared)) == (death_date, cleared)


def test_what_is_sent_as_null_is_cleared_and_what_is_left_out_is_not() -> None:
    """`""` and nothing are different answers."""
    assert update('PID|||1||""||""|""').cleared == {"name", "birth_date", "sex"}
    assert update("PID|||1|| ||||").cleared == frozenset()
    assert update('PID|||1||""^""').cleared == {"name"}
    assert update("PID|||1").demographics == Demographics()


@pytest.mark.parametrize(
    ("evn", "said_at"),
    [
        (
            "EVN||20261122101400|||id|20261122093000",
            datetime(2026, 11, 22, 9, 30, tzinfo=ZONE),
        ),
        ("EVN||20261122101400", datetime(2026, 11, 22, 10, 14, tzinfo=ZONE)),
        ("EVN||20261122101400.25-0500", None),
        ("EVN|", datetime(2026, 11, 22, 10, 15, tzinfo=ZONE)),
        ("EVN||20261122", datetime(2026, 11, 22, 10, 15, tzinfo=ZONE)),
        ("EVN||20261399101400", datetime(2026, 11, 22, 10, 15, tzinfo=ZONE)),
    ],
)
def test_a_message_speaks_of_the_time_of_its_event(
    evn: str, said_at: datetime | None
) -> None:
    """EVN-6, else EVN-2, else MSH-7: the first that tells at least the hour."""
    at_minus_5 = datetime(
        2026, 11, 22, 10, 14, 0, 250_000, tzinfo=timezone(timedelta(hours=-5))
    )
    assert update(PID, evn).said_at == (said_at or at_minus_5)


@pytest.mark.parametrize(
    "text", ["", "2026", "20261122", "99999999999999", "x", "00010101000000+2300"]
)
def test_what_is_no_time_says_nothing(text: str) -> None:
    """A broken clock of the sender is no reason to refuse its message."""
    assert fields.moment(text, UTC) is None


@pytest.mark.parametrize(
    ("segments", "error", "location", "code", "acknowledgement"),
    [
        ((), SegmentError, "PID^1", "100", "AE"),
        ((PID, PID), SegmentError, "PID^2", "100", "AE"),
        (("PID|||",), FieldMissing, "PID^1^3", "101", "AE"),
        (('PID|||""',), FieldMissing, "PID^1^3", "101", "AE"),
        (("PID|||^^^A",), FieldMissing, "PID^1^3", "101", "AE"),
        (("PID|||1\\X00\\2^^^A",), FieldInvalid, "PID^1^3", "102", "AE"),
        (("PID|||" + "1" * 251,), FieldInvalid, "PID^1^3", "102", "AE"),
        (("PID|||1^^^A&1.02&ISO",), FieldInvalid, "PID^1^3", "102", "AE"),
        (("PID|||1^^^A&here&ISO",), FieldInvalid, "PID^1^3", "102", "AE"),
        (("PID|||1^^^A&here",), FieldInvalid, "PID^1^3", "102", "AE"),
    ],
)
def test_a_patient_that_cannot_be_known_is_refused(
    segments: tuple[str, ...],
    error: type[ReconcileError],
    location: str,
    code: str,
    acknowledgement: str,
) -> None:
    """Each fault by its code of table 0357 and its place."""
    with pytest.raises(error) as caught:
        patient_update(read(msh(), *segments), ZONE)
    assert getattr(caught.value, "location") == location  # noqa: B009
    assert (caught.value.hl7_error, caught.value.hl7_ack) == (code, acknowledgement)


@pytest.mark.parametrize(
    ("ce", "value"),
    [("A^Text^99X", "A"), ("A^Text", None), ("^Text^99X", None), ("", None)],
)
def test_a_code_needs_its_scheme(ce: str, value: str | None) -> None:
    """A code of nobody's scheme is a text."""
    found = fields.code(Segment(f"OBR|{ce}", Syntax()), 1)
    assert (found.value if found else None) == value
