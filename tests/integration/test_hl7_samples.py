"""Messages as real senders write them, over a socket, into a running archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import running
from tests.support.database import Cluster
from tests.support.mllp import Sender, read_answer
from tests.support.running import Archive
from tests.support.samples import NOT_SUPPORTED, SAMPLES, Sample, Shown

#: A message that is answered at once, and does nothing.
NEXT = b"MSH|^~\\&|NOBODY||||||ADT^A08|NEXT|P|2.5\r"


@pytest.fixture(scope="module")
def archive(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """The hospital of the scenarios, of its own."""
    with (
        cluster.database() as urls,
        running.archive(tmp_path_factory.mktemp("samples"), urls) as opened,
    ):
        yield opened


def test_there_are_samples_enough() -> None:
    """Each of its own name."""
    names = [sample.what for sample in SAMPLES]
    assert len(names) >= 40
    assert len(set(names)) == len(names)


def test_every_sample_gets_its_answer_and_does_what_it_says(archive: Archive) -> None:
    """All over one connection: none of them ends it, whatever it was."""
    wrong: list[str] = []
    with Sender(archive.doors.hl7) as sender:
        for number, sample in enumerate(SAMPLES):
            wrong += _wrong(archive, sender, sample, f"S{number}")
    assert not wrong, "\n".join(wrong)


def _wrong(archive: Archive, sender: Sender, sample: Sample, control_id: str) -> list[str]:
    """What is not as it must be after a sample."""
    told = _answer(sender, sample, control_id)
    expected = NOT_SUPPORTED if sample.waits else sample.answer
    found = [] if told[: len(expected)] == expected else [f"{told} for {expected}"]
    if not expected and told:
        found.append(f"{told} for silence")
    state = _state(archive, control_id)
    if sample.held is not None and sample.held != (state == "held"):
        found.append(f"{state or 'not kept'}, held is {sample.held}")
    shown = () if sample.waits else sample.shown
    found += [f"{each}: {text}" for each in shown if (text := _differs(archive, each))]
    found += [f"{each} is owned" for each in sample.absent if _owners(archive, each)]
    return [f"{sample.what}: {text}" for text in found]


def _answer(sender: Sender, sample: Sample, control_id: str) -> tuple[str, ...]:
    """What a sample is answered; that it is not is told by the answer to the next."""
    raw = sample.raw
    for encoding in ("ascii", "utf-16-le"):
        raw = raw.replace("{id}".encode(encoding), control_id.encode(encoding))
    sender.send(raw)
    if not sample.answer:
        sender.send(NEXT)
    answer = read_answer(sender.receive())
    if not sample.answer:
        return () if answer.control_id == "NEXT" else answer.told
    assert (
        raw == sample.raw
        or answer.control_id.startswith(control_id)
        or not answer.control_id
    )
    return answer.told


def _differs(archive: Archive, shown: Shown) -> str:
    """What is told of a patient, where it is not what it must be."""
    owners = _owners(archive, shown.identifier)
    if len(owners) != 1:
        return f"{len(owners)} owners"
    said = owners[0]["demographics"]
    names = said.get("00100010", {}).get("Value", [{}])
    told = names[0].get("Alphabetic", ""), *said.get("00100030", {}).get("Value", [""])
    expected = shown.name or told[0], shown.birth_date or told[1]
    return "" if told == expected else f"{told}"


def _state(archive: Archive, control_id: str) -> str:
    """What became of a message; empty: it was not kept."""
    kept = archive.items("/api/v1/messages", control_id=control_id)
    return str(kept[0]["state"]) if kept else ""


def _owners(archive: Archive, identifier: str) -> list[dict[str, Any]]:
    return archive.items("/api/v1/patients", identifier=identifier)
