"""G. Order of arrival, replay, concurrency; I. what is told of a decision."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy.engine import make_url

from reconcile.db import inbox
from reconcile.db.database import Database
from tests.scenarios.seen import (
    COERCED,
    assert_coerced,
    assert_provisional,
    assigned_id,
    held_messages,
    look,
    message,
    person,
    store,
)
from tests.support.database import Cluster
from tests.support.instances import instance, uid
from tests.support.messages import adt, orm
from tests.support.running import Archive, code

OUT_OF_RESOURCES = 0xA700
ASSOCIATIONS = 64


def test_row_44_a_merge_by_account_is_refused_by_name(archive: Archive):
    """44: A36 and A42 are answered AR, unsupported event, and listed for a person."""
    for event in ("A36", "A42"):
        control_id = uuid4().hex[:20]
        said = adt(event, "100^^^A", "DOE^JANE", "19800102", "F", control_id=control_id)
        answers = [archive.send(said) for _ in range(2)]
        assert [code(answer) for answer in answers] == ["AR", "AR"]
        assert str(answers[0]["ERR.F3"]).startswith("201")
        refused = message(archive, control_id)
        assert refused["state"] == "refused"
        listed = held_messages(archive, "UNSUPPORTED")
        assert [i["message_id"] for i in listed].count(refused["id"]) == 1


def test_row_57_a_cancelled_visit_changes_nobody(archive: Archive):
    """57: A11 and A23 have no effect on identities, whatever they say."""
    before = person(archive, "100^^^A")
    for event in ("A11", "A23"):
        said = adt(event, "100^^^A~57^^^A", "WHITE^WALTER", "19580907", "M")
        assert code(archive.send(said)) == "AA"
    assert person(archive, "100^^^A") == before
    assert archive.items("/api/v1/patients", identifier="57^^^A") == []


def test_row_49_a_message_verifies_whom_the_images_made(archive: Archive):
    """49: images first; the message that fits makes the person a verified one."""
    known = {"PatientID": "149", "PatientName": "JONES^MARY"}
    known |= {"PatientBirthDate": "19551212", "StudyInstanceUID": uid()}
    first = store(archive, instance(**known))
    assert_provisional(first, "149", "A", coerced=True)
    before = person(archive, "149^^^A")
    assert before["state"] == "provisional"
    answer = archive.send(adt("A04", "149^^^A", "JONES^MARY", "19551212", "F"))
    assert code(answer) == "AA"
    after = person(archive, "149^^^A")
    assert (after["id"], after["state"]) == (before["id"], "verified")
    assert_coerced(store(archive, instance(**known)), assigned_id(archive, "149^^^A"))


def test_row_52_an_order_is_its_identitys_and_shown_under_the_person(archive: Archive):
    """52: ordered under one ID, found with all IDs of whoever owns it."""
    order = orm(
        "555^^^B", "ROE^RICHARD", "19750506", "M", accession="ACC52", sender="RIS_B"
    )
    assert code(archive.send(order)) == "AA"
    [found] = archive.items("/api/v1/orders", accession="ACC52")
    assert found["person"] == person(archive, "200^^^A")["id"]
    assert set(found["identifiers"]) == {"200^^^A", "555^^^B", "E2^^^E"}


def test_row_53_a_message_is_acted_on_once_whatever_happens_between(archive: Archive):
    """53: the same MSH-10 after a crash: AA, and no effect."""
    text = adt("A28", "153^^^A", "TWICE^TINA", "19680101", "F", control_id="row-53")
    assert code(archive.send(text)) == "AA"
    before = person(archive, "153^^^A"), message(archive, "row-53")
    archive.kill()
    archive.start()
    assert code(archive.send(text)) == "AA"
    assert before == (person(archive, "153^^^A"), message(archive, "row-53"))


def test_row_53_what_was_only_kept_is_acted_on_at_the_start(
    cluster: Cluster, tmp_path: Path
):
    """53: the archive died between keeping and acting, and nobody sends it again."""
    text = adt("A28", "53^^^A", "KEPT^KARL", "19680101", "M", control_id="row-53")
    with cluster.database() as urls, Archive(tmp_path, urls) as own:
        own.stop()
        database = Database(urls.writer)
        database.run(
            lambda c: inbox.keep(
                c,
                sender="RIS_A|HOSPITAL",
                control_id="row-53",
                event="ADT^A28",
                body=text.encode(),
            )
        )
        database.close()
        own.start()
        assert message(own, "row-53")["state"] == "applied"
        assert person(own, "53^^^A")["state"] == "verified"


def test_row_55_a_new_study_over_many_associations_is_one(archive: Archive):
    """55: one identity, one person, one study, and every instance in it."""
    known = {"PatientID": "155", "StudyInstanceUID": uid(), "SeriesInstanceUID": uid()}
    images = [instance(InstanceNumber=n, **known) for n in range(ASSOCIATIONS)]
    with ThreadPoolExecutor(ASSOCIATIONS) as pool:
        answers = list(pool.map(archive.store, images))
    assert {COERCED} == {answer.Status for answer in answers}
    seen = look(archive, images[-1], answers[-1])
    assert_provisional(seen, "155", "A", coerced=True)
    owner = person(archive, "155^^^A")
    study = {"study_instance_uid": known["StudyInstanceUID"], "series": 1}
    assert owner["studies"] == [study]
    assert {owner["id"]} == {each["person"] for each in seen.explained["decisions"]}
    assert ASSOCIATIONS == sum(d["instances"] for d in seen.explained["decisions"])
    events = archive.items("/api/v1/coercions", study=known["StudyInstanceUID"])
    assert len(events) == ASSOCIATIONS


def test_row_56_without_a_registry_nothing_is_taken(archive: Archive, cluster: Cluster):
    """56: out of resources, so that the sender comes again; nothing is half-stored."""
    image = instance(PatientID="156")
    with unreachable(archive, cluster):
        assert archive.store(image).Status == OUT_OF_RESOURCES
        answer = archive.send(adt("A28", "156^^^A", "DOE^JANE", "19800102", "F"))
        assert code(answer) == "AR"
    assert archive.items("/api/v1/patients", identifier="156^^^A") == []
    assert_provisional(store(archive, image), "156", "A", coerced=True)


@contextmanager
def unreachable(archive: Archive, cluster: Cluster) -> Iterator[None]:
    """The registry's server lets nobody in."""
    assert archive.urls is not None
    name = make_url(archive.urls.writer).database
    with cluster.connect() as server:
        server.execute(f'alter database "{name}" with allow_connections false')
        server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [name],
        )
        try:
            yield
        finally:
            server.execute(f'alter database "{name}" with allow_connections true')


def test_row_64_a_decision_is_told_with_its_rule_and_its_evidence(archive: Archive):
    """64: the event names rule, rungs, actor and cause; explaining again says the same."""
    seen = store(archive, instance())
    [event] = seen.events
    assert event["rule"] == "identity@2"
    assert event["rung"] == "I+G:CONFIRM"
    assert (event["actor"], event["source"]) == ("CT_A", "CT_A")
    assert event["cause_id"].startswith("CT_A/")
    [decision] = seen.explained["decisions"]
    assert decision["happenings"] == [event["happening"]]
    assert {"I", "G"} <= {each["rung"] for each in decision["evidence"]}
    again = archive.get(f"/api/v1/studies/{seen.sent.StudyInstanceUID}/explain")
    assert again == seen.explained
