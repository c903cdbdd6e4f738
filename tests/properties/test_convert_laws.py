"""Laws of saying a data set in another transfer syntax, whatever came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconcile.dataset.alike import alike
from reconcile.dataset.convert import converted
from reconcile.dataset.facts import Received, read
from reconcile.errors import CannotConvert, CannotUnderstand
from tests.properties.test_overlay_laws import FRAGMENTS, SETTINGS, received_sets
from tests.unit.dataset.made import EXPLICIT, IMPLICIT, SYNTAXES

LITTLE = st.sampled_from([EXPLICIT, IMPLICIT])


def out(state: Received, target: str) -> bytes:
    return b"".join(converted(state, target))


@SETTINGS
@given(received_sets(), LITTLE)
def test_what_is_said_otherwise_says_the_same(
    case: tuple[Received, bytes, str], target: str
) -> None:
    """From implicit there and back it is the same bytes; compressed pixels are refused."""
    received, data, _ = case
    if data.find(FRAGMENTS) >= 0:
        if target != EXPLICIT:
            assert refused(received, target)
        return
    said = out(received, target)
    assert alike(received, read(said, target), same_syntax=False)
    implicit = out(read(said, target), IMPLICIT)
    explicit = out(read(implicit, IMPLICIT), EXPLICIT)
    assert out(read(explicit, EXPLICIT), IMPLICIT) == implicit


def refused(received: Received, target: str) -> bool:
    try:
        out(received, target)
    except CannotConvert:
        return True
    return False


@SETTINGS
@given(received_sets(), st.data(), LITTLE)
def test_bytes_gone_wrong_are_converted_or_refused(
    case: tuple[Received, bytes, str], more: st.DataObject, target: str
) -> None:
    """No byte that a peer may send is a fault of ours; what comes out can be read."""
    _, data, syntax = case
    spoilt = bytearray(data)
    for _ in range(more.draw(st.integers(1, 4))):
        spoilt[more.draw(st.integers(0, len(data) - 1))] = more.draw(st.integers(0, 255))
    cut = bytes(spoilt[: more.draw(st.integers(1, len(data)))])
    assert syntax in SYNTAXES
    try:
        said = out(read(cut, syntax), target)
    except (CannotConvert, CannotUnderstand):
        return
    assert is_read(said, target) or said == cut


def is_read(data: bytes, syntax: str) -> bool:
    try:
        read(data, syntax)
    except CannotUnderstand:
        return False
    return True
