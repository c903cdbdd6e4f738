"""Is every difference explained, and every explanation true?

Rule 1: what no event names is the same bytes, save that text may be said in another
        character set where an event widened it, and group lengths move with their group.
Rule 2: what an event says was there before is what was there before, and what it says
        stands there now stands there now.
Rule 3: Original Attributes Sequence holds what came, and one item for each event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from reconcile.checker.instance import (
    CHARSET,
    Element,
    Instance,
    Unreadable,
    item_content,
)
from reconcile.checker.said import alike, said, said_item

_ORIGINALS = 0x04000561
_COERCED_AT = 0x00080015
_SIGNATURES = 0xFFFAFFFA
_NEVER = (0x00080016, 0x00080018)
_MODIFIED = "04000550"
_NONCONFORMING = "04000551"
_AT = "04000562"
_SELECTOR, _POINTER, _BYTES = "00720026", "00720052", "04000552"

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold; the message holds no value."""

    code: str
    attribute: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: nothing, if all is explained.

    Attributes:
        changed: keywords of the attributes that events say changed.
        explained: how many differences events explain.
    """

    changed: tuple[str, ...] = ()
    explained: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is explained, and every explanation is true."""
        return not self.findings


@dataclass(slots=True)
class _State:
    """What should stand where, after some events.

    Attributes:
        told: of tags that events changed: what they say now, None where taken away.
        charset: that text is read in now.
    """

    received: Instance
    charset: list[str]
    told: dict[int, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self, code: str, tag: int, message: str) -> None:
        self.findings.append(Finding(code, _keyword(tag), message))

    def now(self, tag: int) -> Any:
        """What an attribute says; None where it is absent."""
        if tag in self.told:
            return self.told[tag]
        found = self.received.elements.get(tag)
        if found is None and tag == _SIGNATURES:
            return self.signatures(self.received)
        return None if found is None else found.content(self.charset)

    @staticmethod
    def signatures(instance: Instance) -> Any:
        """What (FFFA,FFFA) says, behind pixel data."""
        whole = instance.tail_elements().get(_SIGNATURES)
        if whole is None:
            return None
        return Element(_SIGNATURES, whole, instance).content(instance.declared)


def check(received: Instance, given: Instance, events: Sequence[Event]) -> Report:
    """Whether an instance as received and as given out, and its events, fit together.

    Args:
        received: as it came.
        given: as it is given out.
        events: that apply to it, those that were taken back among them, in the JSON of
            `GET /api/v1/instances/{uid}/history`; in the order of their positions.
    """
    live = [event for event in events if event.get("undone_by") is None]
    state = _State(received, received.assumed or received.declared)
    for event in live:
        _apply(state, event)
    changed = {int(tag) for tag in state.told}
    _compare(state, given)
    _compare_originals(state, given, live)
    _compare_tails(state, given)
    _compare_places(state, given, live)
    names = tuple(sorted(_keyword(tag) for tag in changed))
    return Report(names, len(changed), tuple(state.findings))


# -- Each event ---------------------------------------------------------------------


def _apply(state: _State, event: Event) -> None:
    """Compare what an event says was there, then take over what it says is there."""
    item = event.get("original_attributes")
    if not item:
        state.wrong("erased", 0, "the values of an event are gone")
        return
    before = _only_item(item.get(_MODIFIED))
    odd = _nonconforming(item.get(_NONCONFORMING))
    absent = {int(tag, 16) for tag in event.get("absent", ())}
    for said_tag, element in before.items():
        _compare_previous(state, int(said_tag, 16), element, odd, absent)
    new = event.get("new_attributes") or {}
    changed = {_number(name) for name in event.get("attributes", ())}
    for tag in sorted({int(tag, 16) for tag in new} - changed):
        state.wrong("unlisted", tag, "changed, and not among the attributes")
    for tag in sorted(changed):
        _change(state, tag, before, new)
    if f"{_COERCED_AT:08X}" not in before:
        state.wrong("unlisted", _COERCED_AT, "changed, and not in the item")
    state.told[_COERCED_AT] = said(item.get(_AT, {}))
    if CHARSET in state.told:
        state.charset = list(state.told[CHARSET] or ())


def _change(
    state: _State, tag: int, before: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    name = f"{tag:08X}"
    if name not in before:
        state.wrong("unlisted", tag, "changed, and not in the item")
    told = said(new[name]) if name in new else None
    was = state.now(tag)
    if (was is None) == (told is None) and (was is None or alike(was, told)):
        state.wrong("untrue", tag, "said to have changed, and it is the same")
    state.told[tag] = told


def _compare_previous(
    state: _State,
    tag: int,
    element: Mapping[str, Any],
    odd: Mapping[int, bytes],
    absent: set[int],
) -> None:
    was = state.now(tag)
    if tag in absent:
        right = was is None
    elif tag in odd:
        found = state.received.elements.get(tag)
        raw = found.value() if found is not None and tag not in state.told else b""
        right = raw.rstrip(b"\0 ") == odd[tag].rstrip(b"\0 ") and "Value" not in element
    else:
        right = was is not None and alike(was, said(element))
    if not right:
        state.wrong("untrue", tag, "what was there before is not what is told")


def _only_item(sequence: Any) -> Mapping[str, Any]:
    values = (sequence or {}).get("Value", ())
    return values[0] if len(values) == 1 else {}


def _nonconforming(sequence: Any) -> dict[int, bytes]:
    """Raw bytes of top-level values that break their VR, by tag."""
    found: dict[int, bytes] = {}
    for item in (sequence or {}).get("Value", ()):
        if _POINTER not in item:
            (tag,) = item[_SELECTOR]["Value"]
            held = said(item.get(_BYTES, {}))
            found[int(tag, 16)] = held if isinstance(held, bytes) else b""
    return found


# -- The result ---------------------------------------------------------------------


def _compare(state: _State, given: Instance) -> None:
    """Every top-level attribute before pixel data."""
    received = state.received.elements
    for tag in sorted({*received, *given.elements, *state.told} - {_ORIGINALS}):
        if tag == _SIGNATURES:
            continue
        if tag in state.told:
            _compare_told(state, tag, given.elements.get(tag), given)
        elif tag & 0xFFFF == 0:
            _compare_group_length(state, tag, given)
        else:
            _compare_kept(state, tag, received.get(tag), given)


def _compare_told(state: _State, tag: int, found: Element | None, given: Instance) -> None:
    told = state.told[tag]
    if tag in _NEVER:
        state.wrong("forbidden", tag, "must never change")
    now = None if found is None else found.content(given.declared)
    if (now is None) != (told is None) or (told is not None and not alike(now, told)):
        state.wrong("untrue", tag, "what is given out is not what is told")


def _compare_kept(state: _State, tag: int, was: Element | None, given: Instance) -> None:
    now = given.elements.get(tag)
    if was is not None and now is not None:
        if was.whole == now.whole:
            return
        before = state.received.assumed or state.received.declared
        said_anew = CHARSET in state.told and was.is_text()
        if said_anew and was.content(before) == now.content(given.declared):
            return
    state.wrong("unexplained", tag, "differs, and no event says why")


def _compare_group_length(state: _State, tag: int, given: Instance) -> None:
    was, now = state.received.elements.get(tag), given.elements.get(tag)
    if was is None or now is None:
        state.wrong("unexplained", tag, "differs, and no event says why")
        return
    order = "little" if given.little else "big"
    lengths = [int.from_bytes(e.value(), order) for e in (was, now)]  # type: ignore[arg-type]
    grown = _group_bytes(given, tag) - _group_bytes(state.received, tag)
    if lengths[1] - lengths[0] != grown:
        state.wrong("unexplained", tag, "does not move with its group")


def _group_bytes(instance: Instance, length: int) -> int:
    group = length >> 16
    found = (e for tag, e in instance.elements.items() if tag >> 16 == group)
    return sum(len(element.whole) for element in found if element.tag != length)


def _compare_originals(state: _State, given: Instance, live: Sequence[Event]) -> None:
    """The items that came, as they came, then one for each event."""
    before, after = (i.elements.get(_ORIGINALS) for i in (state.received, given))
    came, now = (e.items() if e is not None else [] for e in (before, after))
    if not live:
        if (before and before.whole) != (after and after.whole):
            state.wrong("unexplained", _ORIGINALS, "differs, and no event says why")
        return
    if len(now) != len(came) + len(live):
        state.wrong("originals", _ORIGINALS, "has not one item for each event")
        return
    if before is not None and after is not None and not _begins(after, before):
        state.wrong("originals", _ORIGINALS, "does not keep the items that came")
    for item, event in zip(now[len(came) :], live, strict=True):
        told = said_item(event.get("original_attributes") or {})
        if not alike(_item(item, given), told):
            state.wrong("originals", _ORIGINALS, "has an item that no event tells")


def _item(item: Dataset, given: Instance) -> dict[str, Any]:
    try:
        return item_content(item, given.declared, given.little)
    except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
        raise Unreadable(f"an item cannot be read ({type(error).__name__})") from None


def _begins(after: Element, before: Element) -> bool:
    """Whether a sequence goes on from what it was, byte for byte."""
    kept = b"".join(before.item_bytes())
    return b"".join(after.item_bytes()).startswith(kept)


def _compare_tails(state: _State, given: Instance) -> None:
    """Pixel data and what follows, byte for byte; signatures may go by an event."""
    if _SIGNATURES in state.told:
        was, now = state.received.tail_elements(), given.tail_elements()
        was.pop(_SIGNATURES, None)
        whole = now.pop(_SIGNATURES, None)
        left = None
        if whole is not None:
            left = Element(_SIGNATURES, whole, given).content(given.declared)
        told = state.told[_SIGNATURES]
        if (left is None) != (told is None) or (told is not None and not alike(left, told)):
            state.wrong("untrue", _SIGNATURES, "what is given out is not what is told")
        same = was == now
    else:
        same = _same(state.received.rest(), given.rest())
    if not same:
        state.wrong("unexplained", 0x7FE00010, "pixel data or what follows differs")


def _same(one: Iterator[bytes], other: Iterator[bytes]) -> bool:
    return all(a == b for a, b in zip_longest(one, other))


def _compare_places(state: _State, given: Instance, live: Sequence[Event]) -> None:
    """Whose it is, by the last event, against what is given out."""
    if not live:
        return
    last, patient = live[-1], live[-1].get("patient") or {}
    told = {
        0x0020000D: last.get("study_instance_uid"),
        0x0020000E: last.get("series_instance_uid"),
        0x00080018: last.get("sop_instance_uid"),
        0x00100020: patient.get("id"),
        0x00100021: patient.get("issuer"),
    }
    for tag, value in told.items():
        if value and value != given.text(tag):
            state.wrong("untrue", tag, "the event files it under another one")


def _number(keyword: str) -> int:
    known = tag_for_keyword(keyword)
    return int(keyword, 16) if known is None else int(known)


def _keyword(tag: int) -> str:
    return keyword_for_tag(tag) or f"{tag:08X}"
