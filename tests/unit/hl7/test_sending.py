"""Messages that we send, and what their acknowledgements mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconcile.core.identity import Demographics, Domain, PatientIdentifier, PersonName
from reconcile.flows.correcting import MERGED, UPDATED, Correction
from reconcile.flows.delivering import NotDelivered
from reconcile.hl7.adt import patient_update
from reconcile.hl7.client import judged
from reconcile.hl7.message import Message, read_message
from reconcile.hl7.sending import Parties, message

AT = datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
DOMAINS = {"A": Domain("A", "1.2.3.1", "ISO")}
NAME = PersonName("O|NEIL^MARY^&^DR^JR", "山田^花子", "やまだ^はなこ")


def made(event: str, said: Demographics | None, value: str = "100") -> Message:
    prior = PatientIdentifier("200", "OLD") if event == MERGED else None
    told = Correction("ID1", event, AT, PatientIdentifier(value, "A"), prior, said)
    return read_message(message(told, Parties("US", "", "PACS", "WEST"), DOMAINS, AT))


def test_what_we_say_is_read_as_we_meant_it() -> None:
    """By our own reader: every script, every character, and who the authority is."""
    said = Demographics(NAME, "19800102", "F")
    update = patient_update(made(UPDATED, said, "1^0&0"), UTC)
    assert update.demographics.name == NAME
    assert (update.demographics.birth_date, update.demographics.sex) == ("19800102", "F")
    [(value, issuer)] = update.identifiers
    assert (value, issuer.namespace, issuer.universal_id) == ("1^0&0", "A", "1.2.3.1")


def test_a_merge_names_both() -> None:
    """PID the survivor, MRG who it was; of a domain that is not configured its name."""
    merge = made(MERGED, None)
    pid, mrg = merge.first("PID"), merge.first("MRG")
    assert pid is not None
    assert mrg is not None
    assert (pid.text(3), pid.text(5), mrg.text(1), mrg.text(1, 4)) == (
        "100",
        "",
        "200",
        "OLD",
    )
    assert [each.name for each in merge.segments] == ["MSH", "EVN", "PID", "MRG", "PV1"]
    assert merge.header.name == "ADT^A40"


def answer(code: str, control_id: str = "ID1", error: str = "") -> Message:
    text = f"MSH|^~\\&|PACS|WEST|US||20260301||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r"
    return read_message((text + (f"ERR|||{error}|E\r" if error else "")).encode())


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_what_is_taken(code: str) -> None:
    """In original and in enhanced mode."""
    assert judged(answer(code), "ID1") == code


@pytest.mark.parametrize(
    ("told", "away"),
    [
        (answer("AE"), False),
        (answer("AE", error="207"), False),
        (answer("CE"), False),
        (answer("AR"), True),
        (answer("AR", error="207"), True),
        (answer("AR", error="201^Unsupported event code^HL70357"), False),
        (answer("CR", error="203"), False),
        (answer("AA", "ID2"), True),
        (answer("XX"), True),
        (read_message(b"MSH|^~\\&|PACS||||||ADT^A08|1|P|2.5\r"), True),
    ],
)
def test_what_is_not_taken(told: Message, away: bool) -> None:
    """An error of the content is refused; a rejection may be another time."""
    with pytest.raises(NotDelivered) as raised:
        judged(told, "ID1")
    assert raised.value.away is away
