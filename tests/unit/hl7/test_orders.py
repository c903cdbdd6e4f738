"""What order messages schedule."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconcile.core.identity import Issuer
from reconcile.core.order import (
    Code,
    OrderControl,
    OrderUpdate,
    RequestedProcedure,
    ScheduledStep,
)
from reconcile.hl7.errors import FieldInvalid, FieldMissing, SegmentError, ValueUnknown
from reconcile.hl7.orders import CONTROLS, order_updates
from tests.unit.hl7.samples import OMI, ORM, PID, ZONE, msh, read


def orders(*segments: str) -> tuple[OrderUpdate, ...]:
    return order_updates(read(*segments), ZONE)


def group(
    accession: str = "ACC1", rp: str = "RP1", sps: str = "SPS1", control: str = "NW"
) -> tuple[str, str]:
    """One ORC and OBR; the order numbers are left out."""
    obr = "OBR|1|||CT^Chest^L" + "|" * 14 + f"{accession}|{rp}|{sps}"
    return f"ORC|{control}||||SC", obr


START_OF_ORM = (msh("ORM^O01", "2.3.1"), PID)


def test_orm_of_2_3_1() -> None:
    """OBR-18 to 20 and 24, ORC-7.4, ZDS-1: RAD-4 as it was first."""
    (order,) = orders(*ORM)
    step = ScheduledStep("SPS1", "CT", (), "202611230800", "Chest routine")
    code = Code("CTCH", "L", "CT Chest")
    assert order.patient.identifiers == (("100", Issuer("A")),)
    assert order == OrderUpdate(
        OrderControl.NEW,
        "SC",
        order.patient,
        "ACC1",
        Issuer(),
        "P1",
        "F1",
        "HOUSE^GREGORY^^DR",
        (RequestedProcedure("RP1", "1.2.840.1", "CT Chest", code, (step,)),),
        datetime(2026, 11, 22, 10, 15, tzinfo=ZONE),
    )


@pytest.mark.parametrize("named", ["ORM^O01", "OMG^O19"])
def test_an_order_is_of_its_visit_and_account(named: str) -> None:
    """PV1-19 and PID-18, by which it may be moved later."""
    pid, pv1 = PID + "|" * 10 + "ACCOUNT9^^^X", "PV1|1|O" + "|" * 17 + "VISIT9^^^X"
    (order,) = orders(msh(named), pid, pv1, *group())
    assert (order.visit_number, order.account_number) == ("VISIT9", "ACCOUNT9")
    (order,) = orders(msh(named), PID, *group())
    assert (order.visit_number, order.account_number) == ("", "")


def test_omi_of_2_5_1() -> None:
    """One IPC per scheduled procedure step; its accession names its issuer."""
    (order,) = orders(*OMI)
    (procedure,) = order.procedures
    assert order.accession_number == "ACC1"
    assert order.accession_issuer == Issuer("A", "1.2.3.1", "ISO")
    assert (procedure.rp_id, procedure.study_instance_uid) == ("RP1", "1.2.840.1")
    assert procedure.code == Code("CTCH", "99RIS", "CT Chest")
    assert procedure.steps == (
        ScheduledStep("SPS1", "CT", ("CT_A", "CT_B"), "202611230800", "Chest routine"),
        ScheduledStep("SPS2", "CT", ("CT_A",), "202611230800", "Chest late"),
    )


@pytest.mark.parametrize("said", sorted(CONTROLS))
def test_order_controls_are_asked_of_a_table(said: str) -> None:
    """Those that ask nothing of an archive make no order; the others are themselves."""
    found = orders(*START_OF_ORM, *group(control=said))
    expected = CONTROLS[said]
    assert [order.control for order in found] == ([expected] if expected else [])


def test_groups_that_share_an_accession_are_one_order() -> None:
    """Several procedures, each with its steps."""
    (order,) = orders(
        *START_OF_ORM, *group(), *group(sps="SPS2"), *group(rp="RP2", sps="S3")
    )
    assert [(p.rp_id, [s.sps_id for s in p.steps]) for p in order.procedures] == [
        ("RP1", ["SPS1", "SPS2"]),
        ("RP2", ["S3"]),
    ]


def test_groups_of_different_accessions_are_different_orders() -> None:
    """In the order of the message."""
    found = orders(*START_OF_ORM, *group("A1"), *group("A2"), *group("A1", "RP2"))
    assert [(o.accession_number, len(o.procedures)) for o in found] == [
        ("A1", 2),
        ("A2", 1),
    ]


def test_groups_of_different_controls_are_different_updates() -> None:
    """A step that is cancelled does not cancel the one beside it."""
    found = orders(*START_OF_ORM, *group(), *group(sps="SPS2", control="CA"))
    assert [o.control for o in found] == [OrderControl.NEW, OrderControl.CANCEL]
    assert found[1].procedures[0].steps[0].sps_id == "SPS2"


def test_one_zds_at_the_end_serves_all_steps_and_procedures_of_one_order() -> None:
    """It stands once in a message, and the message is of one order."""
    (order,) = orders(*START_OF_ORM, *group(), *group(rp="RP2"), "ZDS|1.2.3")
    assert [p.study_instance_uid for p in order.procedures] == ["1.2.3", "1.2.3"]


def test_a_zds_after_each_group_serves_its_own() -> None:
    """Some senders repeat it."""
    found = orders(*START_OF_ORM, *group("A1"), "ZDS|1.1", *group("A2"), "ZDS|1.2")
    assert [o.procedures[0].study_instance_uid for o in found] == ["1.1", "1.2"]


def test_a_zds_that_could_belong_to_several_orders_is_refused() -> None:
    """A Study Instance UID is never given to an order by guessing."""
    with pytest.raises(SegmentError):
        orders(*START_OF_ORM, *group("A1"), *group("A2"), "ZDS|1.2.3")


def test_one_procedure_with_two_study_uids_is_refused() -> None:
    """Which one the modality was told cannot be known."""
    omi = [s.replace("1.2.840.1|SPS2", "1.2.840.2|SPS2") for s in OMI]
    with pytest.raises(FieldInvalid):
        orders(*omi)


def test_several_obr_under_one_orc_are_several_groups() -> None:
    """They share what ORC says."""
    orc, obr = group()
    (order,) = orders(*START_OF_ORM, orc, obr, obr.replace("SPS1", "SPS2"))
    assert [s.sps_id for s in order.procedures[0].steps] == ["SPS1", "SPS2"]


def test_a_step_told_in_two_ipc_is_one_step() -> None:
    """One IPC per protocol code or station is common; stations are gathered."""
    (order,) = orders(
        *(s.replace("SPS2", "SPS1").replace("late|||CT_A", "l|||CT_C") for s in OMI)
    )
    (step,) = order.procedures[0].steps
    assert step.sps_id == "SPS1"
    assert set(step.station_ae_titles) >= {"CT_A", "CT_B"}


@pytest.mark.parametrize(
    ("tq1", "orc_7", "obr_27", "obr_36", "start"),
    [
        ("202601010101", "202602", "2026", "2025", "202601010101"),
        ("", "20260202", "2026", "2025", "20260202"),
        ("", "", "20260303080000+0100", "2025", "20260303080000+0100"),
        ("", "", "", "20260404", "20260404"),
        ("tomorrow", "", "", "20260404", "20260404"),
        ("", "", "", "", ""),
    ],
)
def test_the_start_is_the_most_specific_one(
    tq1: str, orc_7: str, obr_27: str, obr_36: str, start: str
) -> None:
    """TQ1-7, ORC-7.4, OBR-27.4, OBR-36."""
    orc = f"ORC|NW||||||1^^^{orc_7}"
    obr = group()[1] + "||||CT" + "|||" + f"^^^{obr_27}" + "|" * 9 + obr_36
    (order,) = orders(*START_OF_ORM, orc, f"TQ1|1||||||{tq1}", obr)
    assert order.procedures[0].steps[0].start == start


@pytest.mark.parametrize(
    ("pv1", "orc_12", "obr_16", "name"),
    [
        ("1^A^B", "2^C^D", "3^E^F", "A^B"),
        ("", "2^van C&van&C^D^M^Jr^Dr", "3^E^F", "van C^D^M^Dr^Jr"),
        ("", "", "~3^E^F", "E^F"),
        ("1", "", "", ""),
    ],
)
def test_the_referring_physician(pv1: str, orc_12: str, obr_16: str, name: str) -> None:
    """PV1-8, else who ordered; an ID alone is no name."""
    orc, obr = group()
    orc += "|" * 7 + orc_12
    fields = obr.split("|")
    fields[16] = obr_16
    (order,) = orders(*START_OF_ORM, f"PV1|1|O||||||{pv1}", orc, "|".join(fields))
    assert order.referring_physician == name


def test_an_order_is_dated_by_its_transaction() -> None:
    """ORC-9; the message may have waited."""
    orc, obr = group()
    (order,) = orders(*START_OF_ORM, f"{orc}||||20261121070000", obr)
    assert order.said_at == datetime(2026, 11, 21, 7, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("control", "keys", "ok"),
    [
        ("NW", {}, False),
        ("XO", {}, False),
        ("NW", {"filler": "F1"}, False),
        ("NW", {"uid": "1.2.3"}, True),
        ("NW", {"accession": "A"}, True),
        ("CA", {}, False),
        ("CA", {"filler": "F1"}, True),
        ("DC", {"placer": "P1"}, True),
        ("SC", {"uid": "1.2.3"}, True),
    ],
)
def test_an_order_must_be_findable(control: str, keys: dict[str, str], ok: bool) -> None:
    """New ones by accession or Study UID; the others at least by an order number."""
    orc = f"ORC|{control}|{keys.get('placer', '')}|{keys.get('filler', '')}||SC"
    segments = [orc, group(accession=keys.get("accession", ""))[1]]
    segments += [f"ZDS|{keys['uid']}"] if "uid" in keys else []
    if ok:
        assert len(orders(*START_OF_ORM, *segments)) == 1
        return
    with pytest.raises(FieldMissing) as caught:
        orders(*START_OF_ORM, *segments)
    assert (caught.value.location, caught.value.hl7_error) == ("OBR^1^18", "101")


def test_a_missing_accession_of_omi_is_named_where_it_belongs() -> None:
    """IPC-1, not OBR-18."""
    omi = [s.replace("ACC1^A^1.2.3.1^ISO|RP1|1.2.840.1", "|RP1|") for s in OMI]
    with pytest.raises(FieldMissing) as caught:
        orders(*omi)
    assert caught.value.location == "IPC^1^1"


@pytest.mark.parametrize("uid", ["1.2.x", "1..2", ".1", "1.2.", "1." * 32 + "1", "abc"])
def test_an_invalid_study_uid_is_refused(uid: str) -> None:
    """102 at its place: characters, and more than 64 of them."""
    with pytest.raises(FieldInvalid) as caught:
        orders(*ORM[:-1], f"ZDS|{uid}")
    assert (caught.value.location, caught.value.hl7_error) == ("ZDS^1^1", "102")
    omi = [s.replace("1.2.840.1", uid) for s in OMI]
    with pytest.raises(FieldInvalid) as caught:
        orders(*omi)
    assert caught.value.location == "IPC^1^3"


@pytest.mark.parametrize(
    ("segments", "location", "code"),
    [
        ((), "ORC^1", "100"),
        (("OBR|1",), "ORC^1", "100"),
        (("ORC|",), "ORC^1^1", "101"),
        (("ORC|QQ",), "ORC^1^1", "103"),
    ],
)
def test_an_order_message_without_order_is_refused(
    segments: tuple[str, ...], location: str, code: str
) -> None:
    """Each fault by its code and place."""
    with pytest.raises((SegmentError, FieldMissing, ValueUnknown)) as caught:
        orders(*START_OF_ORM, *segments)
    assert (getattr(caught.value, "location"), caught.value.hl7_error) == (location, code)  # noqa: B009


def test_a_bad_oid_of_an_order_number_does_not_stop_the_order() -> None:
    """Who issued it is not used; who issued the accession is."""
    orc, obr = group()
    assert orders(*START_OF_ORM, orc.replace("ORC|NW|", "ORC|NW|P1^X^bad^ISO"), obr)
    with pytest.raises(FieldInvalid):
        orders(*START_OF_ORM, *group("ACC1^X^bad^ISO"))
