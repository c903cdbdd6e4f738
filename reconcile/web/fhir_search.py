"""Search parameters of FHIR to questions of the history, in the shape of ITI-81.

What a question cannot say is told: a parameter that is not known is left out, and the
answer says so, or it is refused where the client asked for strict handling.

Source:
    HL7 FHIR R4, search; IHE ITI TF-2, ITI-81 (names of its parameters from memory).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from reconcile.core.identity import Domain
from reconcile.core.naming import identifier_of
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import WrongUse
from reconcile.web.fhir_resources import ACCESSED, ACTION, DCM, OUTCOME

COUNT_DEFAULT, COUNT_MAX = 100, 1000
_UID = re.compile(r"(?:urn:oid:)?([0-9.]{1,64})")
_DATE = re.compile(
    r"(eq|ge|gt|le|lt|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](.+))?)?)?"
)  # fmt: skip
#: Of every search, whatever it is for: what is not acted on and does no harm.
_IGNORED = frozenset({"_format", "_pretty", "_total", "_elements", "_summary"})


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it is understood.

    Attributes:
        query: of the history.
        uid: of a study, series or instance; which of them is for the registry to say.
        nothing: no event can match.
        used: parameters that are acted on, for the link to itself.
        unknown: names of those that are not.
    """

    query: AuditQuery = field(default_factory=AuditQuery)
    uid: str = ""
    event_id: str = ""
    count: int = COUNT_DEFAULT
    cursor: str = ""
    nothing: bool = False
    used: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = field(default=())


Reading = Callable[[Search, str, Mapping[str, Domain]], Search]


def read(
    said: Sequence[tuple[str, str]],
    known: Mapping[str, Reading],
    domains: Mapping[str, Domain],
) -> Search:
    """The search that some parameters mean; `known`: how each one is read.

    Raises:
        WrongUse: a value is none of its parameter, or a parameter is said twice.
    """
    search = Search()
    seen: set[str] = set()
    for name, value in said:
        reading = known.get(name)
        if reading is None:
            if name not in _IGNORED:
                search = replace(search, unknown=(*search.unknown, name))
            continue
        if name in seen and name not in ("date", "recorded"):
            raise WrongUse(f"{name} is said twice")
        seen.add(name)
        search = reading(search, value, domains)
        if name != "_cursor":
            search = replace(search, used=(*search.used, (name, value)))
    return search


# -- Values -------------------------------------------------------------------------


def _with(search: Search, **more: object) -> Search:
    return replace(search, query=replace(search.query, **more))  # type: ignore[arg-type]


def _date(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    prefix, since, until = period(value)
    low = {"ge": since, "gt": until, "sa": until, "eq": since}.get(prefix)
    high = {"le": until, "lt": since, "eb": since, "eq": until}.get(prefix)
    query = search.query
    if low is not None:
        query = replace(query, since=max(low, query.since or low))
    if high is not None:
        query = replace(query, until=min(high, query.until or high))
    return replace(search, query=query)


def period(value: str) -> tuple[str, datetime, datetime]:
    """(prefix, begin, end) of a date of whatever precision; UTC where it names no zone.

    Raises:
        WrongUse: it is none.
    """
    found = _DATE.fullmatch(value)
    if found is None:
        raise WrongUse("a date is such as ge2026-11-22 or le2026-11-22T20:15:00Z")
    prefix, year, month, day, time = found.groups()
    try:
        if time:
            begin = datetime.fromisoformat(f"{year}-{month}-{day}T{time.replace(' ', '+')}")
            begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
            return prefix or "eq", begin, begin + _precision(time)
        begin = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        return prefix or "eq", begin, _end(begin, month, day)
    except (ValueError, OverflowError) as error:
        raise WrongUse(
            "a date is such as ge2026-11-22 or le2026-11-22T20:15:00Z"
        ) from error


def _precision(time: str) -> timedelta:
    clock = re.split(r"[Z+ -]", time)[0]
    fraction = len(clock.partition(".")[2])
    if fraction:
        return timedelta(microseconds=10 ** max(0, 6 - fraction))
    return timedelta(seconds=1) if clock.count(":") == 2 else timedelta(minutes=1)


def _end(begin: datetime, month: str | None, day: str | None) -> datetime:
    if day:
        return begin + timedelta(days=1)
    if month and begin.month < 12:
        return begin.replace(month=begin.month + 1)
    return begin.replace(year=begin.year + 1, month=1)


def _patient(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    system, bar, bare = value.rpartition("|")
    if not bar:
        return _with(search, patient=identifier_of(value, domains))
    authority = system.removeprefix("urn:oid:").removeprefix("urn:uuid:")
    universal = "ISO" if system.startswith("urn:oid:") else "UUID"
    known = next((d.name for d in domains.values() if d.universal_id == authority), "")
    named = known or (f"&{authority}&{universal}" if system.startswith("urn:") else system)
    return _with(search, patient=identifier_of(f"{bare}^^^{named}", domains))


def _uid(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    found = _UID.fullmatch(value.rpartition("|")[2].rpartition("/")[2])
    if found is None:
        raise WrongUse("an entity is a UID such as urn:dicom:uid|urn:oid:1.2.840.10008")
    return replace(search, uid=found[1])


def _id(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    return replace(search, event_id=value)


def _actor(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    return _with(search, actor=value.rpartition("|")[2].removeprefix("Device/"))


def _cause(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    return _with(search, cause=value.rpartition("|")[2])


def _always(system: str, constant: str) -> Reading:
    """Of something that is the same of all our resources: all match, or none."""

    def reading(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
        wanted = [each.rpartition("|") for each in value.split(",")]
        matches = any(code == constant and said in ("", system) for said, _, code in wanted)
        return replace(search, nothing=search.nothing or not matches)

    return reading


def _count(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    if not value.isascii() or not value.isdigit():
        raise WrongUse("_count is a number")
    return replace(search, count=max(1, min(COUNT_MAX, int(value[:9]))))


def _cursor(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    return replace(search, cursor=value)


def _order(search: Search, value: str, domains: Mapping[str, Domain]) -> Search:
    if value not in ("date", "recorded"):
        raise WrongUse("_sort is date: what happened first comes first")
    return search


_COMMON: dict[str, Reading] = {
    "_id": _id,
    "_count": _count,
    "_cursor": _cursor,
    "_sort": _order,
    "patient": _patient,
    "patient:identifier": _patient,
    "patient.identifier": _patient,
    "agent": _actor,
    "agent:identifier": _actor,
    "agent.identifier": _actor,
}
AUDIT_EVENT: dict[str, Reading] = {
    **_COMMON,
    "date": _date,
    "entity": _uid,
    "entity:identifier": _uid,
    "entity.identifier": _uid,
    "agent-name": _actor,
    "type": _always(DCM, ACCESSED[0]),
    "subtype": _cause,
    "action": _always("", ACTION),
    "outcome": _always("", OUTCOME),
}
PROVENANCE: dict[str, Reading] = {
    **_COMMON,
    "recorded": _date,
    "target": _uid,
    "target:identifier": _uid,
    "target.identifier": _uid,
}
