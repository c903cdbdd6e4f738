"""Where an instance may name another study, series or patient, and how it is made to.

The text beside this module holds facts of PS3.3 (2024): SOP classes, as UIDs below
1.2.840.10008.5.1.4, and the paths that their modules allow; "all" is everything with a
patient.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pydicom.dataset import Dataset

from reconcile.dataset.iods import NON_PATIENT, SOP_CLASSES
from tests.support.iods_items import ROOT
from tests.support.iods_modules import fill, places

_FILE = Path(__file__).with_name("iods_references.txt")
_GROUP = re.compile(r"\[([^\]]+)\]\n([^\[]+)")

STUDY, SERIES, PATIENT = "StudyInstanceUID", "SeriesInstanceUID", "PatientID"

# Requests; and a series with no study around it.
_OF_OWN = (
    "RequestAttributesSequence",
    "ReferencedRequestSequence",
    "ReferencedStudySequence",
    "ReferencedSeriesSequence",
    "SourceSeriesInformationSequence",
    "ROIContourSequence/SourceSeriesSequence",
)


class Named(NamedTuple):
    """What references name, all of it as received: the own place, and another."""

    own_study: str
    own_series: str
    study: str
    series: str


def _classes(text: str) -> set[str]:
    among, _, but = text.partition("all but ")
    if among == "all" or but:
        return set(SOP_CLASSES) - NON_PATIENT - _uids(but)
    return _uids(text)


def _uids(text: str) -> set[str]:
    return {ROOT + suffix for suffix in text.split()}


def _read(text: str) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for classes, lines in _GROUP.findall(text):
        for sop_class in _classes(" ".join(classes.split())):
            paths.setdefault(sop_class, []).extend(lines.split())
    return paths


#: SOP Class UID -> paths, keywords with "/" between them.
PATHS = _read(_FILE.read_text(encoding="utf-8"))


def refer(dataset: Dataset, named: Named) -> None:
    """Fill every path that the class of an instance allows.

    A request, and a series without a study around it, are of the instance's own study.
    """
    # studies first: a series is looked up in the study that stands around it
    paths = sorted(
        PATHS.get(str(dataset.SOPClassUID), ()), key=lambda p: p.endswith(SERIES)
    )
    for path in paths:
        *steps, keyword = path.split("/")
        for place in places(dataset, steps):
            setattr(place, keyword, _value(keyword, steps, named))
    fill(dataset, "references")


def _value(keyword: str, steps: list[str], named: Named) -> str:
    if keyword == PATIENT:
        return "OTHER-1"
    if keyword == SERIES:
        return named.own_series if "/".join(steps) in _OF_OWN else named.series
    return named.own_study if "/".join(steps) in _OF_OWN else named.study


def lacking(dataset: Dataset) -> list[str]:
    """Paths that the class of an instance allows, at which it names nothing."""
    found = []
    for path in PATHS.get(str(dataset.SOPClassUID), ()):
        *steps, keyword = path.split("/")
        if not any(keyword in place for place in places(dataset, steps, make=False)):
            found.append(path)
    return found
