"""What the identifier of a retrieve names (PS3.4 sections C.4.2.1.4 and C.4.3.1.3).

The unique key of its level has one value or several, those of the levels above narrow.
Who may retrieve, and what there is, is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question, Wild, question_of
from reconcile.core.querykeys import Level
from reconcile.errors import WrongUse
from reconcile.flows.several import Wanted

_LEVEL = "00080052"
# PS3.4 sections C.6.1.1 and C.6.2.1: unique keys, from the top
_UNIQUE = {
    "PATIENT": at.PATIENT_ID,
    "STUDY": at.STUDY_INSTANCE_UID,
    "SERIES": at.SERIES_INSTANCE_UID,
    "IMAGE": at.SOP_INSTANCE_UID,
}
_ISSUERS = (at.ISSUER_OF_PATIENT_ID, at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)


def wanted_of(keys: Mapping[Tag, Element], *, patients: bool) -> tuple[str, Wanted]:
    """(level, what is to be given out) of an identifier.

    Keys of the levels above narrow, and may be left out; those of the levels below, and
    all that is no unique key, are not looked at.

    Raises:
        WrongUse: it names nothing, or at no level that is served.
    """
    levels = list(_UNIQUE) if patients else list(_UNIQUE)[1:]
    level = at.text(keys.get(_LEVEL))
    if level not in levels:
        raise WrongUse("Query/Retrieve Level is none that is served here")
    if not any(at.values(keys.get(_UNIQUE[level]))):
        raise WrongUse("the identifier names nothing to be retrieved")
    upper = list(_UNIQUE)[: list(_UNIQUE).index(level) + 1]
    tags = {_UNIQUE[each] for each in upper} - {at.SOP_INSTANCE_UID}
    if at.PATIENT_ID in keys:
        tags |= set(_ISSUERS)
    narrowing = {tag: keys[tag] for tag in tags if tag in keys}
    question = question_of(Level.SERIES if level == "IMAGE" else Level(level), narrowing)
    if any(isinstance(test, Wild) for test in question.tests.values()):
        raise WrongUse("a unique key of a retrieve has no wild cards")
    return level, Wanted(question, _instances(keys) if level == "IMAGE" else ())


def inventories_of(keys: Mapping[Tag, Element]) -> tuple[str, Wanted]:
    """The same of inventories, which are named by their SOP Instance UIDs alone.

    Raises:
        WrongUse: it names nothing.
    """
    only = _instances(keys)
    if not only:
        raise WrongUse("the identifier names nothing to be retrieved")
    return Level.INVENTORY.value, Wanted(Question(Level.INVENTORY), only)


def _instances(keys: Mapping[Tag, Element]) -> tuple[str, ...]:
    values = (str(value or "") for value in at.values(keys.get(at.SOP_INSTANCE_UID)))
    return tuple(dict.fromkeys(filter(None, values)))
