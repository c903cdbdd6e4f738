"""What the load generator sends: the right bytes, whatever PDUs the peer takes."""

from __future__ import annotations

import struct
from io import BytesIO

import pydicom
import pytest

from bench.data import KINDS, NOBODY, Encoded, encoded
from bench.identity import Identity
from bench.request import Request, data_set

STUDY = Identity(31, 4)


def fragments(buffer: bytearray, pdu_length: int) -> tuple[bytes, bytes]:
    """Command and data set of one message, put together again (PS3.8 section 9.3.5)."""
    found, ended = [b"", b""], [False, False]
    at = 0
    while at < len(buffer):
        kind, length, value, context, control = struct.unpack_from(">BxIIBB", buffer, at)
        assert (kind, length, context) == (4, value + 4, 1)
        assert length <= max(pdu_length, 8)
        assert value % 2 == 0
        stream = 0 if control & 1 else 1
        assert not ended[stream]
        ended[stream] = bool(control & 2)
        found[stream] += buffer[at + 12 : at + 6 + length]
        at += 6 + length
    assert ended == [True, True]
    return found[0], found[1]


LENGTHS = [1, 8, 31, 100, 1000, 4096, 16_384, 131_072]


@pytest.mark.parametrize(
    ("kind", "pdu_length"),
    [("ct", 1000), ("ct", 131_072), *(("small", length) for length in LENGTHS)],
)
def test_every_length_of_a_pdu_carries_the_same_data_set(
    kind: str, pdu_length: int
) -> None:
    """
    A peer may take PDUs of any length: identifiers change also where two PDUs share one.
    """
    request = Request(encoded(kind), pdu_length)
    for identity in (STUDY, Identity(999_999, 9_999)):
        request.begin(identity)
        for counter in (1, 20):
            buffer = request.instance(counter)
            command, data = fragments(buffer, pdu_length)
            assert data == data_set(encoded(kind), identity, counter)
            assert identity.instance_uid(counter).encode() in command


def test_each_message_has_an_id_of_its_own() -> None:
    """
    Message ID (0000,0110) counts the requests of an association, and starts over.
    """
    request = Request(encoded("small"), 16_384)
    place = b"\0\0\x10\x01\2\0\0\0"
    ids = []
    for number in range(65_540):
        buffer = request.instance(1)
        if number in (0, 1, 65_534, 65_535):
            at = buffer.index(place) + len(place)
            ids.append(struct.unpack_from("<H", buffer, at)[0])
    assert ids == [1, 2, 65_535, 1]


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_instance_is_one_of_its_study(kind: str) -> None:
    """
    Every identifier of a data set is its study's, and nothing of nobody is left in it.
    """
    object_ = encoded(kind)
    head = object_.data[: object_.header_bytes]
    sent = data_set(Encoded(object_.sop_class, head, len(head)), STUDY, 7)
    assert NOBODY.number.encode() not in sent
    parsed = pydicom.dcmread(BytesIO(sent[:-12]), force=True)
    assert parsed.PatientID == STUDY.patient_id
    assert parsed.AccessionNumber == STUDY.accession
    assert parsed.StudyInstanceUID == STUDY.study_uid
    assert parsed.SeriesInstanceUID == STUDY.series_uid
    assert parsed.SOPInstanceUID == STUDY.instance_uid(7)
