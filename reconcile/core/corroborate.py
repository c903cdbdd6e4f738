"""The gate: does what a header says of a person contradict what is known of them?

Rule 1: demographics never find a person. They are only asked whether one whom an
        identifier has found may be meant.
Rule 2: what is missing, unreadable or a placeholder is no evidence, on either side.
Rule 3: a header is compared with every version that a person ever had, and the best
        outcome counts; but a version that knows less is no way around one that knows
        more. (A newborn's KOCH^BABY GIRL would let her twin's images pass.)
Rule 4: sex alone decides nothing: it is too often wrong.
Rule 5: reasons are words, without a patient's data. They are kept and shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from reconcile.core import dates, names
from reconcile.core.dates import DateAgreement
from reconcile.core.identity import Demographics, Domain
from reconcile.core.names import Match, NameAgreement, NameParts
from reconcile.core.placeholders import known_groups


class Gate(StrEnum):
    """What the gate says, best first; no information is no comfort, so it comes last."""

    CONFIRM = "CONFIRM"
    DRIFT = "DRIFT"
    TWIN = "TWIN?"
    JUNIOR = "JUNIOR?"
    CONFLICT = "CONFLICT"
    NOINFO = "NOINFO"


@dataclass(frozen=True, slots=True)
class Corroboration:
    """What the gate says, and why.

    Attributes:
        reasons: in words, without patient data.
        flags: codes for review: DOB-TRANSPOSED, SEX-MISMATCH, NAME-CHANGE, and WEAK
            for a CONFIRM without a full name and a birth date known to the day.
        may_coerce: whether demographics stand in nobody's way. True for CONFIRM, and
            for a DRIFT with equal birth date, equal given name and no other sex. With
            NOINFO it is for the source's policy to say.
    """

    gate: Gate
    reasons: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    may_coerce: bool = False


@dataclass(frozen=True, slots=True)
class _Subject:
    """One side of a comparison, placeholders taken out."""

    groups: tuple[NameParts, NameParts, NameParts]
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class _Evidence:
    """One version compared with the header.

    Attributes:
        name: of the group that agrees best; None: the names say nothing.
        groups_differ: another group says otherwise.
        generations_differ: JR on one side, SR on the other.
        multiple_birth: the person has a twin, says a feed or a newborn's numbering.
    """

    name: NameAgreement | None
    birth_date: DateAgreement
    sex_differs: bool = False
    groups_differ: bool = False
    generations_differ: bool = False
    multiple_birth: bool = False

    @property
    def knows(self) -> tuple[bool, bool]:
        complete = self.name is not None and self.name.complete
        return complete, self.birth_date > DateAgreement.UNKNOWN

    @property
    def agrees_a_little(self) -> bool:
        return self.birth_date.compatible or (self.name is not None and self.name.agrees)


def corroborate(
    header: Demographics, versions: Sequence[Demographics], domain: Domain
) -> Corroboration:
    """Whether `header` may speak of the person who had these `versions`.

    Args:
        header: what an instance, or a message, says.
        versions: demographics that the person ever had; their order does not matter.
        domain: whose placeholders apply.

    Returns:
        The best outcome of all versions that say most (rule 3).
    """
    subject = _subject(header, domain)
    compared = _of_twins([_compare(subject, _subject(v, domain), v) for v in versions])
    if not compared:
        return Corroboration(Gate.NOINFO, ("nothing is known of the person",))
    most = max(evidence.knows for evidence in compared)
    verdicts = [(e, _verdict(e)) for e in compared if e.knows == most]
    return min(verdicts, key=_badness)[1]


def _of_twins(compared: Sequence[_Evidence]) -> list[_Evidence]:
    """Where one version speaks of a twin, all do: BABY GIRL A has one called B."""
    multiple = any(
        evidence.multiple_birth
        or (evidence.name is not None and evidence.name.numbered_apart)
        for evidence in compared
    )
    return [replace(evidence, multiple_birth=multiple) for evidence in compared]


# From best to worst. What agrees, but is too little to confirm, is better than what
# contradicts; what says nothing at all is no comfort.
_BEST_FIRST = list(Gate)
_TOO_LITTLE = _BEST_FIRST.index(Gate.TWIN) + 0.5


def _badness(found: tuple[_Evidence, Corroboration]) -> tuple[float, bool, int]:
    evidence, verdict = found
    place: float = _BEST_FIRST.index(verdict.gate)
    if verdict.gate is Gate.NOINFO and evidence.agrees_a_little:
        place = _TOO_LITTLE
    return place, not verdict.may_coerce, len(verdict.flags)


def _subject(said: Demographics, domain: Domain) -> _Subject:
    return _Subject(
        known_groups(said.name, domain.placeholder_names),
        dates.read(said.birth_date, domain.placeholder_dates),
        said.sex.strip(" \0").upper(),
    )


def _compare(header: _Subject, version: _Subject, said: Demographics) -> _Evidence:
    pairs = list(zip(header.groups, version.groups, strict=True))
    found = [agreement for a, b in pairs if (agreement := names.compare(a, b))]
    generations = [{a.generation, b.generation} for a, b in pairs]
    return _Evidence(
        name=max(found, key=_closeness, default=None),
        birth_date=dates.compare(header.birth_date, version.birth_date),
        sex_differs={header.sex, version.sex} == {"M", "F"},
        groups_differ=len({agreement.agrees for agreement in found}) > 1,
        generations_differ=any(0 not in g and len(g) > 1 for g in generations),
        multiple_birth=said.multiple_birth,
    )


def _closeness(name: NameAgreement) -> tuple[bool, bool, bool, int, int]:
    return name.agrees, name.complete, name.same, name.given or 0, name.family or 0


def _verdict(evidence: _Evidence) -> Corroboration:
    gate, why = _gate(evidence)
    coerces = gate is Gate.CONFIRM or (gate is Gate.DRIFT and _is_marriage(evidence))
    reasons = (*why, *_describe(evidence))
    return Corroboration(gate, reasons, _flags(gate, evidence, coerces), coerces)


def _gate(evidence: _Evidence) -> tuple[Gate, tuple[str, ...]]:
    if evidence.name is None:
        return _by_birth_date(evidence), ()
    if not evidence.name.agrees:
        return _by_other_name(evidence.name, evidence.birth_date), ()
    if evidence.birth_date is DateAgreement.DIFFERENT:
        return Gate.JUNIOR, ()
    if evidence.generations_differ and evidence.birth_date < DateAgreement.EQUAL:
        return Gate.JUNIOR, ("generation differs",)
    if evidence.multiple_birth:
        return _by_given_name(evidence.name), ("person has a twin",)
    if evidence.birth_date is DateAgreement.UNKNOWN and not evidence.name.complete:
        return Gate.NOINFO, ()
    return Gate.CONFIRM, ()


def _by_birth_date(evidence: _Evidence) -> Gate:
    """Without a name. One stranger in a hundred shares the year, a twin the day."""
    if evidence.birth_date is DateAgreement.DIFFERENT:
        return Gate.CONFLICT
    if evidence.birth_date <= DateAgreement.COARSE or evidence.multiple_birth:
        return Gate.NOINFO
    return Gate.CONFIRM


def _by_other_name(name: NameAgreement, birth_date: DateAgreement) -> Gate:
    if not birth_date.compatible or name.family is None or name.given is None:
        return Gate.CONFLICT
    if name.given:
        return Gate.DRIFT
    return Gate.TWIN if name.family >= Match.CLOSE else Gate.CONFLICT


def _by_given_name(name: NameAgreement) -> Gate:
    """Of a twin, family name and birth date say nothing: the given name must be equal."""
    if name.same:
        return Gate.CONFIRM
    return Gate.TWIN if name.complete or name.numbered_apart else Gate.NOINFO


def _is_marriage(evidence: _Evidence) -> bool:
    """Whether nothing but the family name changed."""
    return (
        evidence.birth_date is DateAgreement.EQUAL
        and evidence.name is not None
        and evidence.name.given is Match.EQUAL
        and not evidence.sex_differs
        and not evidence.generations_differ
    )


def _flags(gate: Gate, evidence: _Evidence, coerces: bool) -> frozenset[str]:
    flags = {
        "DOB-TRANSPOSED": evidence.birth_date is DateAgreement.TRANSPOSED,
        "SEX-MISMATCH": evidence.sex_differs,
        "NAME-CHANGE": gate is Gate.DRIFT and coerces,
        "WEAK": gate is Gate.CONFIRM and _is_weak(evidence),
    }
    return frozenset(code for code, applies in flags.items() if applies)


def _is_weak(evidence: _Evidence) -> bool:
    name = evidence.name
    if name is None or not name.complete or evidence.groups_differ:
        return True
    return name.given is Match.INITIAL or evidence.birth_date <= DateAgreement.COARSE


_MATCH_WORDS = {
    None: "not known",
    Match.NONE: "differs",
    Match.INITIAL: "agrees by its initial",
    Match.CLOSE: "nearly equal",
    Match.EQUAL: "equal",
}
_DATE_WORDS = {
    DateAgreement.UNKNOWN: "birth date not known",
    DateAgreement.DIFFERENT: "birth date differs",
    DateAgreement.COARSE: "birth date agrees as far as it is known",
    DateAgreement.ONE_EDIT: "birth date one slip away",
    DateAgreement.TRANSPOSED: "birth date with day and month exchanged",
    DateAgreement.EQUAL: "birth date equal",
}


def _describe(evidence: _Evidence) -> tuple[str, ...]:
    words = [*_describe_name(evidence.name), _DATE_WORDS[evidence.birth_date]]
    if evidence.groups_differ:
        words.append("name differs in another writing")
    if evidence.sex_differs:
        words.append("sex differs")
    return tuple(words)


def _describe_name(name: NameAgreement | None) -> list[str]:
    if name is None:
        return ["name not known"]
    words = [
        f"family name {_MATCH_WORDS[name.family]}",
        f"given name {_MATCH_WORDS[name.given]}",
    ]
    return [*words, "components exchanged"] if name.swapped else words
