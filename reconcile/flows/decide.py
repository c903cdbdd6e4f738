"""Decide of a header what this archive would give its instance out as, for another archive.

The header is received as an instance without bulk data, by the same flow as any other:
recorded, with its events, so that a Study UID is mapped once, later corrections reach it,
and all of it can be asked and undone. What another archive has to do to its own copy is
told. Sent again, the same header gets the same answer, as of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reconcile.core import attributes as at
from reconcile.core.attributes import Element
from reconcile.core.facts import Source
from reconcile.dataset.dicom_json import Unsayable, item_bytes
from reconcile.dataset.elements import encoding_of
from reconcile.dataset.keywords import tag_of
from reconcile.dataset.part10 import file_meta
from reconcile.db import views_instances
from reconcile.db.views_audit import Event
from reconcile.errors import CannotUnderstand
from reconcile.flows.arrival import Arrival
from reconcile.flows.history import HistoryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.store import StoreFlow
from reconcile.storage.content import InMemory

_SYNTAX = "1.2.840.10008.1.2.1"
_UTF_8 = "ISO_IR 192"
_CHARSET, _SOP_CLASS, _SOP_INSTANCE = "00080005", "00080016", "00080018"
#: From here on it is bulk data, which decides nothing.
_BULK = "7FE00000"
_SIGNATURES = ("4FFE0001", "FFFAFFFA")
_TAG_CHARACTERS = 8
_ITEM_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be done to an instance.

    Attributes:
        status: as a C-STORE would be answered: 0 or 0xB000.
        held: code of the hold that waits for a person; empty: none.
        already: this header was decided before.
        replace: elements that are to stand there, by tag, in the DICOM JSON model.
        remove: tags that are to go.
        original_attributes: items to be added to (0400,0561), the first one first.
        events: their ids, in the order of the items.
    """

    sop_instance_uid: str
    status: int
    held: str
    already: bool
    replace: Mapping[str, Element]
    remove: tuple[str, ...]
    original_attributes: tuple[Mapping[str, Any], ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecideFlow:
    """The steps; `run` tells the receipts of one door apart."""

    store: StoreFlow
    retrieve: RetrieveFlow
    run: str

    def decide(self, header: Mapping[str, Any], source: Source) -> Decided:
        """Decide of a header.

        Args:
            header: a data set in the DICOM JSON model, in Unicode.
            source: who made it.

        Raises:
            CannotUnderstand: it is none, or does not say what instance it is of.
        """
        arrival = self._arrival(header, source)
        stored = self.store.receive(arrival)
        history = HistoryFlow(self.retrieve).instance(arrival.sop_instance_uid)
        live = [
            event for event in history if event.undone_by is None and event.undoes is None
        ]
        replace, remove = _changes(live)
        if live:
            self._follow(header, arrival.sop_instance_uid, replace, remove)
        return Decided(
            arrival.sop_instance_uid,
            0xB000 if live else 0,
            stored.held,
            stored.already,
            replace,
            tuple(remove),
            tuple(event.original_attributes or {} for event in live),
            tuple(str(event.id) for event in live),
        )

    def _follow(
        self,
        header: Mapping[str, Any],
        sop_instance_uid: str,
        replace: dict[str, Element],
        remove: list[str],
    ) -> None:
        """What no event tells because it follows: when it was, and broken signatures."""
        with self.retrieve.database.read_only() as connection:
            holding = views_instances.holding(connection, sop_instance_uid)
        with self.retrieve.state(holding) as given:
            when = given.raw_element(int(at.INSTANCE_COERCION_DATETIME, 16))
            if when is not None:
                text = bytes(when.value).decode("ascii").strip(" \0")
                replace[at.INSTANCE_COERCION_DATETIME] = at.element("DT", text)
            gone = (tag for tag in _SIGNATURES if tag in header)
            remove += [tag for tag in gone if given.raw_element(int(tag, 16)) is None]

    def _arrival(self, header: Mapping[str, Any], source: Source) -> Arrival:
        said = {tag: each for tag, each in header.items() if _is_of_header(tag)}
        said[_CHARSET] = {"vr": "CS", "Value": [_UTF_8]}
        sop_class, sop_instance = _uid(said, _SOP_CLASS), _uid(said, _SOP_INSTANCE)
        try:
            item = item_bytes(said, [_UTF_8], encoding_of(_SYNTAX))
        except Unsayable as error:
            raise CannotUnderstand(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CannotUnderstand("the header is not in the DICOM JSON model") from error
        data = item[_ITEM_HEADER_BYTES:]
        return Arrival(
            InMemory(file_meta(sop_class, sop_instance, _SYNTAX), data),
            sha256(data).hexdigest(),
            len(data),
            sop_class,
            sop_instance,
            _SYNTAX,
            source,
            "",
            self.run,
            0,
        )


def _is_of_header(tag: str) -> bool:
    try:
        number = int(tag, 16)
    except ValueError:
        raise CannotUnderstand("an element is named by eight hexadecimal digits") from None
    if len(tag) != _TAG_CHARACTERS:
        raise CannotUnderstand("an element is named by eight hexadecimal digits")
    return 0x00080000 <= number and tag.upper() < _BULK and bool(number & 0xFFFF)


def _uid(said: Mapping[str, Any], tag: str) -> str:
    try:
        [value] = said[tag]["Value"]
    except (KeyError, TypeError, ValueError):
        raise CannotUnderstand("SOP Class and SOP Instance UID are needed") from None
    return str(value)


def _changes(events: Iterable[Event]) -> tuple[dict[str, Element], list[str]]:
    """What stands there after all events, and what is gone then."""
    now: dict[str, Element | None] = {}
    for event in events:
        new = event.new_attributes or {}
        for keyword in event.attributes:
            tag = tag_of(keyword)
            if tag is not None:
                now[tag] = new.get(tag)
    replace = {tag: element for tag, element in now.items() if element is not None}
    return replace, [tag for tag, element in now.items() if element is None]
