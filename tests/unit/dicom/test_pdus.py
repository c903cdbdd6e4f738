"""PDUs: cut wherever the stream was cut, no length believed."""

from __future__ import annotations

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from reconcile.dicom import pdus
from reconcile.dicom.limits import Limits
from reconcile.dicom.pdus import DataBegins, Fragment, Pdu, PduReader
from reconcile.errors import LimitExceeded
from tests.support.door import changed, p_data, pdu


def read(*pieces: bytes, limits: Limits | None = None) -> list[object]:
    """What comes out, fragments as (context, command, last, bytes)."""
    reader = PduReader(limits or Limits())
    found: list[object] = []
    for piece in pieces:
        reader.receive(memoryview(piece))
        found.extend(plain(token) for token in iter(reader.next, None))
    return found


def plain(token: object) -> object:
    if isinstance(token, Fragment):
        return (token.context_id, token.command, token.last, bytes(token.data))
    return token


def test_values_are_passed_on_one_by_one() -> None:
    """A P-DATA-TF holds any number of presentation data values, none of them copied."""
    body = b"\0\0\0\x04\x01\x03ab" + b"\0\0\0\x02\x05\x02" + b"\0\0\0\x03\x07\x00c"
    assert read(pdu(4, body)) == [
        DataBegins(),
        (1, True, True, b"ab"),
        (5, False, True, b""),
        (7, False, False, b"c"),
    ]


def test_a_value_is_passed_on_before_it_has_come_whole() -> None:
    """No PDU is put together: what is there goes on, the last piece says so."""
    whole = p_data(2, b"abcdef", context=9)
    assert read(whole[:14], whole[14:16], whole[16:]) == [
        DataBegins(),
        (9, False, False, b"ab"),
        (9, False, False, b"cd"),
        (9, False, True, b"ef"),
    ]


def test_a_fragment_is_a_view() -> None:
    """The bytes of a data set are not copied on their way through."""
    received = bytearray(p_data(2, b"abc"))
    reader = PduReader(Limits())
    reader.receive(memoryview(received))
    reader.next()
    fragment = reader.next()
    assert isinstance(fragment, Fragment)
    received[-1:] = b"C"
    assert bytes(fragment.data) == b"abC"


def test_what_is_kept_outlives_its_buffer() -> None:
    """Whoever cannot go on now may give the buffer back."""
    received = bytearray(p_data(0, b"first") + p_data(2, b"second"))
    reader = PduReader(Limits())
    reader.receive(memoryview(received))
    reader.next()
    reader.next()
    reader.keep()
    received[:] = bytes(len(received))
    reader.receive(memoryview(pdu(5, bytes(4))))
    assert [plain(token) for token in iter(reader.next, None)] == [
        DataBegins(),
        (1, False, True, b"second"),
        Pdu(5, bytes(4)),
    ]


def test_other_pdus_come_whole() -> None:
    """In however many pieces; how many have ended is counted."""
    reader = PduReader(Limits())
    for byte in pdu(7, b"\0\0\1\2"):
        assert reader.next() is None
        assert (reader.inside, reader.ended) == (byte != 7, 0)
        reader.receive(memoryview(bytes((byte,))))
    assert reader.next() == Pdu(7, b"\0\0\1\2")
    assert (reader.inside, reader.ended) == (False, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\x01\x01\x03",
        b"\0\0\0\0\0\0",
        b"\xff\xff\xff\xff\x01\x03",
        b"\0\0\0\x04\x01\x03a",
        b"\0\0\0\x02\x01\x03\0",
        b"\0",
    ],
)
def test_values_that_do_not_fit_are_refused(body: bytes) -> None:
    """The length of a value is bounded by its PDU."""
    with pytest.raises(LimitExceeded):
        read(pdu(4, body))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7])
def test_a_length_is_bounded_by_the_header(kind: int) -> None:
    """Before a byte of the body has come."""
    limits = changed(maximum_pdu=1000, pdu_slack=24, associate_pdu=500)
    most = limits.pdu_bytes(kind)
    reader = PduReader(limits)
    reader.receive(memoryview(pdu(kind, b"", length=most)))
    reader.next()
    with pytest.raises(LimitExceeded):
        read(pdu(kind, b"", length=most + 1), limits=limits)


@pytest.mark.parametrize("kind", [0, 8, 255])
def test_a_type_that_is_none_is_refused(kind: int) -> None:
    """Where the next PDU begins could only be guessed."""
    with pytest.raises(LimitExceeded):
        read(pdu(kind, b""))


@pytest.mark.parametrize("maximum", [0, 7, 8, 20, 16384])
@pytest.mark.parametrize("content", [b"", b"a", b"command set" * 20])
def test_what_is_sent_keeps_to_the_peers_length(maximum: int, content: bytes) -> None:
    """In as many PDUs as that takes; the library puts the same together from them."""
    made = pdus.data_pdus(3, pdus.COMMAND, content, maximum)
    got, at, last = b"", 0, False
    while at < len(made):
        end = at + 6 + int.from_bytes(made[at + 2 : at + 6], "big")
        assert end - at - 6 <= (maximum or end)
        assert not last
        decoded = P_DATA_TF()
        decoded.decode(made[at:end])
        ((context, value),) = decoded.to_primitive().presentation_data_value_list
        assert (context, value[0] & 1) == (3, 1)
        last = bool(value[0] & 2)
        got += value[1:]
        at = end
    assert (got, last) == (content, True)


def test_short_pdus_are_those_of_the_library() -> None:
    """A-RELEASE-RQ, A-RELEASE-RP, A-ABORT."""
    assert pdus.release_rq() == A_RELEASE_RQ().encode()
    assert pdus.release_rp() == A_RELEASE_RP().encode()
    theirs = A_ABORT_RQ()
    theirs.source, theirs.reason_diagnostic = 2, 6
    assert pdus.abort(2, 6) == theirs.encode()
