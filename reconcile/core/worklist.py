"""Entries of the Modality Worklist: what is asked of them, and what they say.

Pure. What stands in the item of Scheduled Procedure Step Sequence is named by both tags,
"00400100.00400001", so that keys and answers are plain mappings; `nested` makes of an
answer what goes over the wire.

Source:
    PS3.4 Annex K, Table K.6-1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core.attributes import Element, Tag
from reconcile.core.identity import Domain
from reconcile.core.matchkeys import Between, Question, question_of
from reconcile.core.order import Code, OrderState
from reconcile.core.querykeys import KEYS, STEPS, Level
from reconcile.core.targets import accession_of, code_item
from reconcile.errors import WrongUse

#: Orders whose steps are still to be done; all other steps are not answered.
OPEN = {OrderState.SCHEDULED: "SCHEDULED", OrderState.IN_PROGRESS: "STARTED"}

START_DATE, START_TIME = f"{STEPS}.00400002", f"{STEPS}.00400003"
STATION_AE, MODALITY = f"{STEPS}.00400001", f"{STEPS}.{at.MODALITY}"

SH_CHARACTERS_MAX = 16
LO_CHARACTERS_MAX = 64
_START = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A scheduled procedure step, with its requested procedure and its order.

    `study_uid` is empty where nobody has given it one yet; `start` is a DT.
    """

    sps_id: str
    modality: str
    station_ae_titles: tuple[str, ...]
    start: str
    description: str
    rp_id: str
    study_uid: str
    procedure: str
    code: Code | None
    accession_number: str
    accession_issuer: str
    placer_order_number: str
    filler_order_number: str
    referring_physician: str
    visit_number: str
    state: str


# -- What is asked --------------------------------------------------------------------


def question_of_steps(asked: Mapping[Tag, Element]) -> Question:
    """The question that the keys of an identifier ask.

    Raises:
        WrongUse: as `question_of`, or the steps are asked for in several items.
    """
    flat = {tag: element for tag, element in asked.items() if tag != STEPS}
    if STEPS in asked:
        items = at.values(asked[STEPS])
        if len(items) > 1 or not all(isinstance(item, Mapping) for item in items):
            raise WrongUse("Scheduled Procedure Step Sequence has one item")
        inside = items[0] if items and items[0] else _EVERYTHING
        flat |= {f"{STEPS}.{tag}": element for tag, element in inside.items()}
    return question_of(Level.WORKLIST, flat)


_EVERYTHING = {
    tag.partition(".")[2]: at.element(vr)
    for tag, vr in KEYS[Level.WORKLIST].items()
    if tag.startswith(STEPS)
}


def fits(question: Question, answer: Mapping[Tag, Element], passed: frozenset[Tag]) -> bool:
    """Whether an entry meets all keys but those that are `passed`, looked at already.

    A range of dates with a range of times is one period, from the first time of the first
    day to the last time of the last (Table K.6-1).
    """
    tests = {tag: test for tag, test in question.tests.items() if tag not in passed}
    days, times = tests.get(START_DATE), tests.get(START_TIME)
    if (
        isinstance(days, Between)
        and isinstance(times, Between)
        and _are_ranges(days, times)
    ):
        del tests[START_DATE], tests[START_TIME]
        if not _within(days, times, answer):
            return False
    return all(mk.fits(test, answer.get(tag)) for tag, test in tests.items())


def _are_ranges(days: Between, times: Between) -> bool:
    return days.first != days.last and times.first != times.last


def _within(days: Between, times: Between, answer: Mapping[Tag, Element]) -> bool:
    day, time = (at.text(answer.get(tag)) for tag in (START_DATE, START_TIME))
    if not day:
        return False
    return mk.is_between(_moment(days, times), day + time)


def _moment(days: Between, times: Between) -> Between:
    first = days.first + times.first if len(days.first) == 8 else days.first
    last = days.last + times.last if len(days.last) == 8 else days.last
    return Between(first, last)


# -- What is answered -----------------------------------------------------------------


def entry(step: Scheduled, domains: Mapping[str, Domain]) -> dict[Tag, Element]:
    """What a step says of itself; whose it is, is for `core.shown` to say."""
    started = _START.match(step.start)
    day, time = started.groups(default="") if started else ("", "")
    rp_id, sps_id = _ids(step)
    inside = {
        at.MODALITY: _said("CS", step.modality),
        "00400001": at.element("AE", *step.station_ae_titles),
        "00400002": _said("DA", day),
        "00400003": _said("TM", time),
        "00400007": _said("LO", step.description[:LO_CHARACTERS_MAX]),
        "00400009": _said("SH", sps_id),
        "00400020": _said("CS", OPEN.get(OrderState(step.state), "")),
    }
    code = step.code
    coded = code and max(len(code.value), len(code.designator)) <= SH_CHARACTERS_MAX
    return {
        **{f"{STEPS}.{tag}": element for tag, element in inside.items()},
        at.STUDY_INSTANCE_UID: _said("UI", step.study_uid),
        **_accession(step, domains),
        at.REFERRING_PHYSICIAN_NAME: at.person_name(step.referring_physician),
        at.REQUESTED_PROCEDURE_ID: _said("SH", rp_id),
        at.REQUESTED_PROCEDURE_DESCRIPTION: _said("LO", step.procedure[:LO_CHARACTERS_MAX]),
        at.REQUESTED_PROCEDURE_CODE_SEQUENCE: at.element(
            "SQ", *([code_item(code)] if code and coded else [])
        ),
        "00380010": _said("LO", step.visit_number[:LO_CHARACTERS_MAX]),
        "00402016": _said("LO", step.placer_order_number[:LO_CHARACTERS_MAX]),
        "00402017": _said("LO", step.filler_order_number[:LO_CHARACTERS_MAX]),
    }


def _said(vr: str, value: str) -> Element:
    return at.element(vr, value) if value else at.element(vr)


def _ids(step: Scheduled) -> tuple[str, str]:
    """Requested Procedure ID and Step ID, which may not be empty (Type 1).

    Where the RIS said none, a number that it did say; cut, it would be another one.
    """
    numbers = (step.accession_number, step.filler_order_number, step.placer_order_number)
    rp_id = _first_short(step.rp_id, *numbers)
    return rp_id, _first_short(step.sps_id, rp_id)


def _first_short(*said: str) -> str:
    return next((each for each in said if 0 < len(each) <= SH_CHARACTERS_MAX), "")


def _accession(step: Scheduled, domains: Mapping[str, Domain]) -> dict[Tag, Element]:
    if len(step.accession_number) > SH_CHARACTERS_MAX:
        return {}
    said = accession_of(step.accession_number, step.accession_issuer, domains)
    return {each.tag: each.element for each in said if each.element is not None}


def nested(answer: Mapping[Tag, Element]) -> dict[Tag, Element]:
    """An answer with its step in an item, if it says anything of one."""
    found = {tag: element for tag, element in answer.items() if "." not in tag}
    inside = {
        tag.partition(".")[2]: element for tag, element in answer.items() if "." in tag
    }
    return found | ({STEPS: at.element("SQ", inside)} if inside else {})
