"""What an instance names besides itself: studies, series and instances, by their UIDs.

Read from what the data set says, by nobody who rewrites it. What only tells of history,
of an inventory or of a directory is not looked into, nor what is encrypted; text, SR UID
references and URLs are no references that could be followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconcile.checker.instance import Element, Instance

_STUDY, _SERIES, _SOP_INSTANCE = "0020000D", "0020000E", "00081155"
# Original and Encrypted Attributes, directory records, inventoried studies.
_NOT_READ = frozenset({"04000561", "04000500", "00041220", "00080423"})
# Referenced Study Sequence, RT Referenced Study Sequence: (0008,1155) is a Study UID.
_STUDIES = frozenset({"00081110", "30060012"})
# Performed step, patient, visit, results and their like: not of the Storage Service.
_NOT_STORED = frozenset({"00081111", "00081120", "00081125", "00081100", "00080303"})
# Request Attributes, Referenced Request: the study that was asked for, taken or not.
_REQUESTS = frozenset({"00400275", "0040A370"})


@dataclass(frozen=True, slots=True)
class Named:
    """A reference: what it names, and where that is said to be.

    Attributes:
        level: "study", "series" or "instance".
        uid: of what is named.
        study: the study that it is said to be in; empty: not said.
        series: likewise.
        attribute: keywordless path of tags from the top, with dots.
        request: it names what was asked for, and need not be there.
    """

    level: str
    uid: str
    study: str
    series: str
    attribute: str
    request: bool = False


def named(instance: Instance) -> Iterator[Named]:
    """Every reference of an instance, as often as it stands there.

    Raises:
        Unreadable: a sequence is broken.
    """
    charset = instance.assumed or instance.declared
    for tag, element in instance.elements.items():
        name = f"{tag:08X}"
        if name not in _NOT_READ and _may_be_sequence(element):
            yield from _sequence(name, element.content(charset), "", "", "", False)


def _may_be_sequence(element: Element) -> bool:
    return not element.tag >> 16 & 1 and element.is_sequence()


def _sequence(
    tag: str, items: Any, study: str, series: str, path: str, request: bool
) -> Iterator[Named]:
    """References of a sequence's items; study and series: where they are said to be."""
    path = f"{path}.{tag}" if path else tag
    request = request or tag in _REQUESTS
    for item in items if isinstance(items, Sequence) else ():
        yield from _item(tag, item, study, series, path, request)


def _item(
    tag: str, item: Mapping[str, Any], study: str, series: str, path: str, request: bool
) -> Iterator[Named]:
    own = _uid(item, _STUDY)
    instance = _uid(item, _SOP_INSTANCE) if tag not in _NOT_STORED else ""
    if tag in _STUDIES:
        own, instance = own or instance, ""
    if own:
        study, series = own, ""
        yield Named("study", own, "", "", path, request)
    if inner := _uid(item, _SERIES):
        series = inner
        yield Named("series", inner, study, "", path, request)
    if instance:
        yield Named("instance", instance, study, series, path, request)
    for below, found in item.items():
        nested = isinstance(found, list) and found and isinstance(found[0], Mapping)
        if nested and below not in _NOT_READ and not int(below, 16) >> 16 & 1:
            yield from _sequence(below, found, study, series, path, request)


def _uid(item: Mapping[str, Any], tag: str) -> str:
    found = item.get(tag)
    return str(found[0]) if isinstance(found, list) and found else ""
