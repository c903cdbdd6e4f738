"""A decision in plain sentences: which rung decided, what lost, what would change it.

A pure function of what a happening wrote down when it decided, so that the same row
tells the same story for ever. Persons are named by the registry's ids: a sentence holds
nothing of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_RUNGS = {
    "M": "the migration list names it",
    "N": "the header's own issuer, or its source's domain",
    "S": "a person, who had seen this header",
    "T": "the domain is one of test patients",
    "U": "the study was known already",
    "O": "an order that the header names",
    "I": "the Patient ID with its issuer",
    "X": "another patient ID in the header",
    "G": "the gate that compares name, birth date and sex",
    "P": "an identifier that nobody had",
    "Q": "no rung; a person has to decide",
}

_GATES = {
    "CONFIRM": "name and birth date agree with what is known of the person",
    "DRIFT": "the birth date agrees and the name changed as names do",
    "TWIN?": "the name differs as that of a twin does",
    "JUNIOR?": "the birth date differs as that of a namesake does",
    "CONFLICT": "name and birth date are those of somebody else",
    "NOINFO": "the header says too little to be compared",
    "OFF": "the domain's identifiers are not compared",
}

# outcome -> (what became of it, what would change it)
_OUTCOMES: dict[str, tuple[str, str]] = {
    "coerce": (
        "It was given the identity of the person whom the evidence names.",
        "A merge or a move of the identifier, a change of the order, or an undo.",
    ),
    "provisional": (
        "It keeps its own Patient ID, with the issuer filled in: no feed has spoken of it.",
        "An ADT or order message that names this identifier, or a merge.",
    ),
    "WRONG-WORKLIST-ENTRY": (
        "It is held: its performed step was discontinued, for the wrong worklist entry.",
        "A person who says whose it is.",
    ),
    "UNDONE": (
        "A person has taken back what was decided of this study; it is held.",
        "Assign it to a patient.",
    ),
    "test": (
        "It belongs to a test patient and is kept apart from real ones.",
        "The domain's `test` in the configuration; later instances only.",
    ),
    "deidentified": (
        "Its patient's identity was removed; it is kept apart and matched to nobody.",
        "`deidentified` of its source in the configuration; later instances only.",
    ),
    "not-patient": ("It is of a class that has no patient and no study.", "Nothing."),
    "already-stored": ("The same content was here before.", "Nothing."),
    "DUPLICATE-DIFFERS": (
        "It is held: another content came under a SOP Instance UID that is taken.",
        "A person who decides which of the two is given out.",
    ),
    "CHARSET": (
        "It is held: its Patient ID is not text in the character set that it declares.",
        "`charset` of its source in the configuration, or a person who decides.",
    ),
    "INVALID-ID": (
        "It is held: its Patient ID has characters or a length that none may have.",
        "A person who decides.",
    ),
    "ISSUER-CONFLICT": (
        "It is held: its issuer's name and universal ID are of two domains.",
        "The domains in the configuration, or a person who decides.",
    ),
    "ISSUER-MISSING": (
        "It is held: nobody says who issued its Patient ID.",
        "`domain` of its source in the configuration, or a person who decides.",
    ),
    "CHECK-DIGIT": (
        "It is held: its Patient ID breaks the check digit of its domain.",
        "A person who decides.",
    ),
    "NOT-LISTED": (
        "It is held: the migration list does not name its study.",
        "An import with a list that names it, of files that are new; or a person.",
    ),
    "LIST-CONFLICT": (
        "It is held: its study is another person's here than the migration list says.",
        "A merge of the two, or a person who decides.",
    ),
    "STUDY-IDENTITY-SPLIT": (
        "It is held: its study belongs to one person and its Patient ID to another.",
        "A merge of the two, a move of the identifier, or a person who decides.",
    ),
    "ACCESSION-AMBIGUOUS": (
        "It is held: its Accession Number is in use by more than one issuer.",
        "`accession_issuer` of its source, or a person who decides.",
    ),
    "EVIDENCE-CONFLICT": (
        "It is held: the evidence names more than one person.",
        "A merge of these persons, a corrected order, or a person who decides.",
    ),
    "NO-IDENTITY": (
        "It is held: nothing in its header names a patient.",
        "An order for its Study Instance UID, or a person who decides.",
    ),
    "DEMOGRAPHIC-CONFLICT": (
        "It is held: the identifiers name a person whom name and birth date contradict.",
        "An ADT message that corrects the person, or a person who decides.",
    ),
    "UNCORROBORATED": (
        "It is held: an identifier alone names the person, and nothing confirms it.",
        '`bare_id = "accept"` of its source, an order that names it, or a person.',
    ),
}

_STUDY_RULES = {
    "known": "Its Study Instance UID was mapped before; the map stays.",
    "group-case": "One acquisition answers several requests: its Study UID is kept.",
    "no-order": "No order names it: the modality's Study Instance UID is kept.",
    "ambiguous-procedure": "The order has several procedures and the header names none"
    " of them: the modality's Study Instance UID is kept.",
    "order-without-uid": "The order has no Study UID: the modality's is kept.",
    "order-uid-received": "The modality used the order's Study Instance UID.",
    "refused": "The order's Study UID was taken back by a person: it is not used again.",
    "second-study": "Another study took the order's Study UID: this one keeps its own.",
    "order-uid": "It was given the Study Instance UID of its order.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be told of one decision.

    Attributes:
        sentences: in the order in which they are read.
        decided: evidence of the rungs that decided.
        lost: evidence that named somebody, and did not decide.
        would_change: what would make it come out otherwise.
    """

    sentences: tuple[str, ...]
    decided: tuple[Mapping[str, Any], ...]
    lost: tuple[Mapping[str, Any], ...]
    would_change: str


def explain(rung: str, person_id: str, told: Mapping[str, Any]) -> Explanation:
    """Tell a decision.

    Args:
        rung: which rungs decided, as "O+I+G:CONFIRM".
        person_id: whose the instance is; empty: nobody's.
        told: the happening's own words: outcome, evidence, reviews, study_rule.
    """
    outcome = str(told.get("outcome", ""))
    evidence: Sequence[Mapping[str, Any]] = told.get("evidence", ())
    named = {part.partition(":")[0] for part in rung.split("+")}
    decided = tuple(e for e in evidence if _decides(e, named, person_id))
    lost = tuple(e for e in evidence if e.get("person") and e not in decided)
    became, would_change = _OUTCOMES.get(outcome, (f"Outcome: {outcome}.", "An undo."))
    study = _STUDY_RULES.get(str(told.get("study_rule", "")))
    told_reviews = ", ".join(told.get("reviews", ()))
    sentences = (
        became,
        _how(rung),
        *(_lost(e, person_id) for e in lost),
        *([study] if study else []),
        *([f"Flagged for a person's eye: {told_reviews}."] if told_reviews else []),
        f"What would change it: {would_change}",
    )
    return Explanation(sentences, decided, lost, would_change)


def _decides(evidence: Mapping[str, Any], named: set[str], person_id: str) -> bool:
    if evidence.get("rung") not in named:
        return False
    return evidence.get("person", "") in ("", person_id)


def _how(rung: str) -> str:
    """Rungs such as "O+I+G:CONFIRM" in words."""
    names, _, gate = rung.partition("G:")
    rungs = [_RUNGS.get(name, name) for name in names.strip("+").split("+") if name]
    decided = f"Decided by: {'; '.join(rungs) or 'nothing'}."
    return f"{decided} Gate: {_GATES.get(gate, gate)}." if gate else decided


def _lost(evidence: Mapping[str, Any], person_id: str) -> str:
    """Evidence for somebody that was not what decided."""
    found, person = evidence.get("found", ""), evidence.get("person", "")
    if person == person_id:
        return f"It agrees, and did not decide: {found}."
    against = "against the decision" if person_id else "not followed"
    return f"Evidence {against}: {found}, naming person {person}."
