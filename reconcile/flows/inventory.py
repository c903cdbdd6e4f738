"""Make an inventory: what is held, as a DICOM instance (PS3.3 A.88, C.38).

Each instance's record has its Original Attributes Sequence: what this archive and others
before it changed, and what had been there. That is the history in DICOM's own form: of
today, like all that is given out. The inventory is then stored like any instance.

Source:
    PS3.3 Table C.38.1-1. Defined terms of Inventory Completion Status from memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconcile import __version__
from reconcile.core import attributes as at
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.facts import Source
from reconcile.core.identity import PatientIdentifier
from reconcile.core.matchkeys import question_of
from reconcile.core.querykeys import Level
from reconcile.dataset.part10 import file_meta
from reconcile.dataset.writing import write_elements
from reconcile.db.views_inventories import INVENTORY_STORAGE
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.arrival import Arrival
from reconcile.flows.query import QueryFlow, only
from reconcile.flows.store import StoreFlow
from reconcile.storage.content import InMemory

#: Records of one inventory, which is made in memory: a scope that holds more is refused.
RECORDS_MAX = 20_000
EXPLICIT = "1.2.840.10008.1.2.1"
#: Inventory Level (0008,0403), and what is asked for it.
LEVELS = {"STUDY": Level.STUDY, "SERIES": Level.SERIES, "INSTANCE": Level.IMAGE}

_STUDIES, _SERIES, _INSTANCES = "00080423", "00080424", "00080425"
# What each record says, by Table C.38.1-1; types 1 and 2, and what tells whose it is.
_OF_STUDY = {
    at.STUDY_DATE: "DA",
    qk.STUDY_TIME: "TM",
    at.ACCESSION_NUMBER: "SH",
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE: "SQ",
    qk.MODALITIES_IN_STUDY: "CS",
    at.STUDY_DESCRIPTION: "LO",
    at.PATIENT_NAME: "PN",
    at.PATIENT_ID: "LO",
    at.ISSUER_OF_PATIENT_ID: "LO",
    at.PATIENT_BIRTH_DATE: "DA",
    at.PATIENT_SEX: "CS",
    at.STUDY_INSTANCE_UID: "UI",
    qk.STUDY_ID: "SH",
    qk.STUDY_RELATED_SERIES: "IS",
    qk.STUDY_RELATED_INSTANCES: "IS",
}
_OF_SERIES = {at.MODALITY: "CS", at.SERIES_INSTANCE_UID: "UI", "00200011": "IS"}
_OF_INSTANCE = {
    qk.SOP_CLASS_UID: "UI",
    qk.SOP_INSTANCE_UID: "UI",
    "00200013": "IS",
    qk.ORIGINAL_ATTRIBUTES: "SQ",
}
_OPTIONAL = frozenset(
    {
        at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
        at.ISSUER_OF_PATIENT_ID,
        qk.ORIGINAL_ATTRIBUTES,
    }
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which studies; what is empty or None does not matter. `dates`: as in a query."""

    patient: PatientIdentifier | None = None
    study: str = ""
    dates: str = ""

    def keys(self) -> dict[Tag, Element]:
        """As keys of a query."""
        found: dict[Tag, Element] = {}
        if self.patient is not None:
            found[at.PATIENT_ID] = at.element("LO", self.patient.value)
            found[at.ISSUER_OF_PATIENT_ID] = at.element("LO", self.patient.domain)
        if self.study:
            found[at.STUDY_INSTANCE_UID] = at.element("UI", self.study)
        if self.dates:
            found[at.STUDY_DATE] = at.element("DA", self.dates)
        return found


@dataclass(frozen=True, slots=True)
class Made:
    """An inventory that is stored, and how many records it has."""

    sop_instance_uid: str
    level: str
    studies: int
    series: int
    instances: int


@dataclass(slots=True)
class _Records:
    """What was found so far, study by study."""

    level: str
    title: str
    at: str
    studies: dict[tuple[str, ...], dict[Tag, Element]] = field(default_factory=dict)
    series: dict[tuple[str, ...], dict[Tag, Element]] = field(default_factory=dict)
    instances: int = 0

    def add(self, answer: Mapping[Tag, Element]) -> None:
        """Of a study, a series or an instance, with all that stands above it."""
        whose = (at.STUDY_INSTANCE_UID, at.PATIENT_ID, at.ISSUER_OF_PATIENT_ID)
        key = tuple(at.text(answer.get(tag)) for tag in whose)
        study = self.studies.get(key)
        if study is None:
            study = self.studies[key] = self._study(answer)
        if self.level == "STUDY":
            return
        inner = (*key, at.text(answer.get(at.SERIES_INSTANCE_UID)))
        series = self.series.get(inner)
        if series is None:
            series = self.series[inner] = _record(answer, _OF_SERIES)
            _append(study, _SERIES, series)
        if self.level == "INSTANCE":
            _append(series, _INSTANCES, _record(answer, _OF_INSTANCE))
            self.instances += 1

    def _study(self, answer: Mapping[Tag, Element]) -> dict[Tag, Element]:
        return _record(answer, _OF_STUDY) | {
            "00080054": at.element("AE", self.title),  # Retrieve AE Title
            "00080404": at.element("DT", self.at),  # Item Inventory DateTime
            "0008041F": at.element("DT"),  # Study Update DateTime: type 2
        }

    @property
    def count(self) -> int:
        return len(self.studies) + len(self.series) + self.instances


@dataclass(frozen=True, slots=True)
class InventoryFlow:
    """Makes inventories and stores them.

    Attributes:
        title: our AE title, from which studies can be retrieved.
    """

    query: QueryFlow
    store: StoreFlow
    title: str
    clock: Callable[[], datetime]
    new_uid: Callable[[], str]

    def make(self, scope: Scope, level: str = "INSTANCE", purpose: str = "") -> Made:
        """The inventory of a scope, stored.

        Raises:
            NotFound: nothing is in it.
            WrongUse: there is no such level, or there are too many records.
        """
        if level not in LEVELS:
            raise WrongUse("an inventory is of level STUDY, SERIES or INSTANCE")
        now = self.clock().astimezone(UTC)
        records = self._records(scope, level, now)
        if not records.studies:
            raise NotFound("nothing is in the scope of this inventory")
        uid = self.new_uid()
        elements = _document(uid, scope, purpose, records, now)
        self.store.receive(_arrival(uid, write_elements(elements, EXPLICIT), self.title))
        found = (len(records.studies), len(records.series), records.instances)
        return Made(uid, level, *found)

    def _records(self, scope: Scope, level: str, now: datetime) -> _Records:
        shown = dict(_OF_STUDY)
        shown |= _OF_SERIES if level != "STUDY" else {}
        shown |= _OF_INSTANCE if level == "INSTANCE" else {}
        asked: dict[Tag, Element] = {tag: at.element(vr) for tag, vr in shown.items()}
        question = question_of(LEVELS[level], asked | scope.keys())
        records = _Records(level, self.title, now.strftime("%Y%m%d%H%M%S.%f+0000"))
        for page in self.query.pages(question):
            for answer in page:
                records.add(only(answer, question))
                if records.count > RECORDS_MAX:
                    raise WrongUse(f"more than {RECORDS_MAX} records: narrow the scope")
        return records


def _document(
    uid: str, scope: Scope, purpose: str, records: _Records, now: datetime
) -> dict[Tag, Element]:
    day, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.%f")
    keys = scope.keys()
    item = {"00080052": at.element("CS", "STUDY"), **keys} if keys else {}
    studies = list(records.studies.values())
    return {
        "00080012": at.element("DA", day),
        "00080013": at.element("TM", time),
        at.SOP_CLASS_UID: at.element("UI", INVENTORY_STORAGE),
        at.SOP_INSTANCE_UID: at.element("UI", uid),
        "00080023": at.element("DA", day),
        "00080033": at.element("TM", time),
        "00080070": at.element("LO", "reconcile"),  # Manufacturer
        "00080201": at.element("SH", "+0000"),  # Timezone Offset From UTC
        "00080400": at.element("SQ", *([item] if item else [])),
        "00080401": at.element("LT", *([purpose] if purpose else [])),
        "00080403": at.element("CS", records.level),
        "00080422": at.element("SQ"),  # Incorporated Inventory Instance Sequence
        _STUDIES: at.element("SQ", *studies),
        "00080426": at.element("CS", "COMPLETE"),
        "00080427": at.element("UL", len(studies)),
        "00080428": at.element("UV", len(studies)),
        "00181020": at.element("LO", __version__),  # Software Versions
    }


def _record(answer: Mapping[Tag, Element], tags: Mapping[Tag, str]) -> dict[Tag, Element]:
    return dict(_said(answer, tags))


def _said(
    answer: Mapping[Tag, Element], tags: Mapping[Tag, str]
) -> Iterator[tuple[Tag, Element]]:
    for tag, vr in tags.items():
        found = answer.get(tag) or at.element(vr)
        if tag not in _OPTIONAL or at.values(found):
            yield tag, found


def _append(record: dict[Tag, Element], tag: Tag, item: Mapping[Tag, Element]) -> None:
    held = record.setdefault(tag, {"vr": "SQ", "Value": []})
    held["Value"].append(item)


def _arrival(uid: str, data: bytes, title: str) -> Arrival:
    return Arrival(
        InMemory(file_meta(INVENTORY_STORAGE, uid, EXPLICIT, title), data),
        hashlib.sha256(data).hexdigest(),
        len(data),
        INVENTORY_STORAGE,
        uid,
        EXPLICIT,
        Source(title),
        "",
        f"inventory/{uid}"[:64],
        0,
    )
