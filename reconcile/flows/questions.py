"""A question in words, as people and programs ask it, to the views' own terms.

The API, the pages and the command line take the same words for the same question.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from reconcile.core.identity import Domain
from reconcile.core.naming import identifier_of
from reconcile.dataset.keywords import keyword, tag_of
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import WrongUse

#: Filters that are compared as they are said.
PLAIN = (
    "study", "series", "instance", "accession", "cause", "cause_id", "reason", "rule",
    "source", "actor",
)  # fmt: skip
#: All of them, by their names in the outer face.
FILTERS = ("patient", "attribute", "from", "to", "through", *PLAIN)

#: No log is longer.
_DIGITS_MAX = 18


def audit_query(said: Mapping[str, str], domains: Mapping[str, Domain]) -> AuditQuery:
    """The filters of the coercion history, by their names in the outer face.

    Raises:
        WrongUse: a patient, a time or an attribute is none.
    """
    patient, attribute = said.get("patient", ""), said.get("attribute", "")
    return AuditQuery(
        patient=identifier_of(patient, domains) if patient else None,
        attribute=keyword_of(attribute) if attribute else "",
        since=time_of("from", said.get("from", "")),
        until=time_of("to", said.get("to", "")),
        through=_number("through", said.get("through", "")),
        **{name: said.get(name, "") for name in PLAIN},
    )


def _number(name: str, said: str) -> int | None:
    """A number of the log, as it is said; None where none is.

    Raises:
        WrongUse: it is none.
    """
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= _DIGITS_MAX):
        raise WrongUse(f"{name} is the number of an event")
    return int(said)


def keyword_of(attribute: str) -> str:
    """The keyword of an attribute that is named by it, or by its tag.

    Raises:
        WrongUse: there is no such attribute.
    """
    tag = tag_of(attribute)
    if tag is None:
        raise WrongUse("attribute is a keyword such as PatientID")
    return keyword(tag)


def time_of(name: str, said: str) -> datetime | None:
    """A time of ISO 8601; UTC where it names no zone; None where none is said.

    Raises:
        WrongUse: it is no time.
    """
    if not said:
        return None
    # A "+" that was not escaped in a URL arrives as a blank.
    head, blank, zone = said.rpartition(" ")
    try:
        found = datetime.fromisoformat(f"{head}+{zone}" if blank and "T" in head else said)
    except ValueError as error:
        raise WrongUse(f"{name} is a time such as 2026-11-22T20:15:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
