"""Messages that this archive sends: ADT^A40 and ADT^A08 of corrections (RAD-12).

Source:
    HL7 v2.5.1 sections 2.15.9 (MSH), 3.3.8 (A08), 3.3.40 (A40), 3.4.2 (PID), 3.4.9 (MRG);
    IHE RAD TF-2 4.12 (Patient Update).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconcile.core.identity import Demographics, Domain, PatientIdentifier, PersonName
from reconcile.core.targets import domain_of
from reconcile.flows.correcting import MERGED, Correction
from reconcile.hl7.syntax import Syntax, one_line

_SYNTAX = Syntax(codec="utf-8")
_STRUCTURES = {"ADT^A40": "ADT_A39", "ADT^A08": "ADT_A01"}
_SEXES = frozenset({"M", "F", "O"})
#: Component groups of a PN in the order of XPN-8 (HL7 table 0465).
_WRITINGS = ("A", "I", "P")
_VERSION, _CHARSET = "2.5.1", "UNICODE UTF-8"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who sends to whom: MSH-3 to MSH-6."""

    application: str
    facility: str = ""
    to_application: str = ""
    to_facility: str = ""


def message(
    told: Correction, parties: Parties, domains: Mapping[str, Domain], now: datetime
) -> bytes:
    """A correction as a message.

    Args:
        told: the correction.
        parties: MSH-3 to MSH-6.
        domains: by name; assigning authorities are written as they say.
        now: when it is sent.
    """
    segments = [
        _msh(told, parties, now),
        ["EVN", told.event.rpartition("^")[2], _ts(told.at)],
        _pid(told, domains),
    ]
    if told.event == MERGED and told.prior is not None:
        segments.append(["MRG", _cx(told.prior, domains)])
    segments.append(["PV1", "", "N"])
    return "".join("|".join(segment) + "\r" for segment in segments).encode(
        "utf-8", "replace"
    )


def _msh(told: Correction, parties: Parties, now: datetime) -> list[str]:
    named = [parties.application, parties.facility]
    named += [parties.to_application, parties.to_facility]
    kind = f"{told.event}^{_STRUCTURES[told.event]}"
    fields = ["MSH", "^~\\&", *map(_text, named), _ts(now), "", kind, told.control_id]
    return [*fields, "P", _VERSION, "", "", "", "", "", _CHARSET]


def _pid(told: Correction, domains: Mapping[str, Domain]) -> list[str]:
    said = told.said or Demographics()
    sex = said.sex if said.sex in _SEXES else ""
    named = _repeated(_xpn(said.name))
    identified = _cx(told.identifier, domains)
    return ["PID", "", "", identified, "", named, "", _date(said.birth_date), sex]


def _cx(identifier: PatientIdentifier, domains: Mapping[str, Domain]) -> str:
    domain = domain_of(identifier.domain, domains)
    authority = [_text(domain.name)] if domain.name else []
    if domain.universal_id and domain.universal_id != domain.name:
        authority += [_text(domain.universal_id), domain.universal_id_type or "ISO"]
    return f"{_text(identifier.value)}^^^{'&'.join(authority)}^PI"


def _xpn(name: PersonName) -> Iterable[str]:
    """A name in each of its writings; HL7 has the suffix before the prefix."""
    groups = (name.alphabetic, name.ideographic, name.phonetic)
    for group, writing in zip(groups, _WRITINGS, strict=True):
        family, given, middle, prefix, suffix = [*group.split("^"), *[""] * 5][:5]
        parts = [_text(part) for part in (family, given, middle, suffix, prefix)]
        if any(parts):
            yield "^".join([*parts, "", "L", writing])


def _repeated(repetitions: Iterable[str]) -> str:
    return "~".join(repetitions)


def _date(said: str) -> str:
    return said if said.isascii() and said.isdigit() else ""


def _text(said: str) -> str:
    return _SYNTAX.escape(one_line(said))


def _ts(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
