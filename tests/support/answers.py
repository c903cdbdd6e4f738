"""Questions to the query flow, without a door."""

from __future__ import annotations

from typing import Any

from reconcile.core import attributes as at
from reconcile.core.matchkeys import question_of
from reconcile.core.querykeys import KEYS, Level
from reconcile.core.worklist import question_of_steps
from reconcile.dataset.keywords import tag_of
from reconcile.flows.query import QueryFlow, only
from tests.support.hospital import Hospital


def answers(
    hospital: Hospital, level: Level, view: str = "", **keys: Any
) -> list[dict[str, Any]]:
    """What a peer of a domain is answered, each as {keyword or tag: element}.

    Args:
        hospital: that is asked.
        level: of the question.
        view: domain of the peer; empty: it has none.
        keys: by keyword; a list is one of UIDs.
    """
    asked = {}
    for keyword, value in keys.items():
        tag = str(tag_of(keyword))
        values = value if isinstance(value, list) else [value] if value else []
        asked[tag] = at.element(KEYS[level].get(tag, "LO"), *values)
    question = question_of(level, asked)
    return told(hospital, question, view)


def steps(
    hospital: Hospital, view: str = "", step: Any = None, **keys: Any
) -> list[dict[str, Any]]:
    """What a scanner of a domain is answered from the worklist.

    Args:
        hospital: that is asked.
        view: domain of the scanner; empty: it has none.
        step: keys inside of Scheduled Procedure Step Sequence; None: all are asked for.
        keys: all others, by keyword.
    """
    item = _elements(step or {})
    asked = {**_elements(keys), "00400100": at.element("SQ", *([item] if item else []))}
    return told(hospital, question_of_steps(asked), view)


def _elements(said: dict[str, str]) -> dict[str, Any]:
    return {
        str(tag_of(name)): at.element("LO", *([value] if value else []))
        for name, value in said.items()
    }


def told(hospital: Hospital, question: Any, view: str) -> list[dict[str, Any]]:
    """All answers, as they are told."""
    flow = QueryFlow(hospital.database, hospital.rules, hospital.storage)
    return [only(each, question) for page in flow.pages(question, view) for each in page]


def value(answer: dict[str, Any], keyword: str) -> str:
    """The first value of an attribute of an answer."""
    return at.text(answer.get(str(tag_of(keyword))))


def in_step(answer: dict[str, Any], keyword: str) -> str:
    """The first value of an attribute of an entry's step."""
    [item] = at.values(answer["00400100"])
    return at.text(item.get(str(tag_of(keyword))))
