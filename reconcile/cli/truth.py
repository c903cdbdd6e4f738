"""The list of a migration: which patient and which order each study is of.

A study that it names is the patient's whom it names, whatever the header says: the gate
only reports. A patient or an order that nobody has told of is told first, as a message of
the feed that the list speaks as, when the first file of a study of theirs is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from reconcile.cli.context import Opened
from reconcile.cli.listing import Reject, rejecting
from reconcile.cli.lists import Format, Row, Table, table
from reconcile.cli.patient_list import AGAIN, NOT_TAKEN, Options, speaking, why_not
from reconcile.cli.work_hl7 import hl7_door
from reconcile.core.facts import InstanceFacts, Listed
from reconcile.core.identity import Domain, Issuer, PatientIdentifier
from reconcile.core.issuers import issuer_domain
from reconcile.db import orders, persons, studies
from reconcile.db.database import Connection
from reconcile.errors import WrongUse
from reconcile.flows.importing import NotTaken
from reconcile.hl7.patient_list import PatientList

UID, PATIENT, DOMAIN = "study_instance_uid", "patient_id", "domain"
ACCESSION, ACCESSION_ISSUER = "accession_number", "accession_issuer"
FIELDS = (UID, PATIENT, DOMAIN, ACCESSION, ACCESSION_ISSUER)
REQUIRED = (UID, PATIENT)

_IS_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_CHARACTERS_MAX = 64
_IS_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_ASKED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """A row of the list, as far as it is needed when a file of its study comes."""

    line: int
    listed: Listed


@dataclass(frozen=True, slots=True)
class Truth:
    """A list that is understood.

    Attributes:
        only: what it does not name is held; else its header speaks for it.
        met: studies of which a file was seen.
        followed: of these, those whose patient and order are known.
        stopped: why the others cannot be followed.
    """

    archive: Opened
    makes: PatientList
    rows: Mapping[str, Said]
    only: bool
    met: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)
    stopped: dict[str, str] = field(default_factory=dict)

    def of(self, facts: InstanceFacts) -> Listed | None:
        """What it says of the study of an instance.

        Raises:
            NotTaken: its patient or its order was refused, or waits for a person.
        """
        uid = facts.study_instance_uid
        said = self.rows.get(uid)
        if said is None:
            return Listed() if self.only else None
        self.met.add(uid)
        if uid not in self.followed and uid not in self.stopped:
            why = self._tell(said)
            if why:
                self.stopped[uid] = f"line {said.line} of the list: {why}"
            else:
                self.followed.add(uid)
        if uid in self.stopped:
            raise NotTaken(self.stopped[uid])
        return said.listed

    def unmatched(self) -> Iterator[tuple[int, str]]:
        """(line, Study UID) of what no file was seen of, now or in an earlier import."""
        left = (uid for uid in self.rows if uid not in self.met)
        while some := list(islice(left, _ASKED_AT_ONCE)):
            with self.archive.database.read_only() as connection:
                here = studies.received(connection, some)
            yield from ((self.rows[uid].line, uid) for uid in some if uid not in here)

    # -- who it names -------------------------------------------------------------------

    def _tell(self, said: Said) -> str:
        """Let its patient and its order be known; why that was not done."""
        for message in self._unknown(said):
            outcome = hl7_door(self.archive.parts).take(message, AGAIN)
            if outcome.state in NOT_TAKEN:
                return why_not(outcome) or outcome.state
        return ""

    def _unknown(self, said: Said) -> Iterator[bytes]:
        listed = said.listed
        row = {PATIENT: listed.patient_id, DOMAIN: listed.domain}
        if not self.archive.database.run(lambda c: self._is_verified(c, listed)):
            yield self.makes.identifier(said.line, row)
        known = listed.accession_number, listed.accession_issuer
        if known[0] and not self.archive.database.run(
            lambda connection: orders.find(connection, accessions=[known])
        ):
            row[ACCESSION] = listed.accession_number
            yield self.makes.order(said.line, row, listed.accession_issuer)

    def _is_verified(self, connection: Connection, listed: Listed) -> bool:
        rules = self.archive.parts.rules
        value = rules.domains[listed.domain].normalise(listed.patient_id)
        identifier = PatientIdentifier(value, listed.domain)
        owner = persons.owners(connection, [identifier]).get(identifier)
        if owner is None:
            return False
        found = persons.facts(connection, {owner.root_id}, rules.archive_domain)
        return found[str(owner.root_id)].state != "provisional"


def truth(
    archive: Opened,
    path: Path,
    how: Format,
    options: Options,
    rejects: Path | None,
    *,
    only: bool,
) -> Truth:
    """The list in a file.

    Raises:
        WrongUse: it or the options cannot be understood, or any row of it cannot: a
            study whose row is lost would be taken by its header.
    """
    listed = table(path, how, FIELDS, REQUIRED)
    makes = speaking(archive, path, options)
    with rejecting(listed, rejects) as reject:
        rows, wrong = _read(listed, makes, archive.parts.rules.domains, reject)
    if wrong:
        raise WrongUse(f"nothing was imported: {wrong} rows of {path.name} are wrong")
    return Truth(archive, makes, rows, only)


def _read(
    listed: Table, makes: PatientList, domains: Mapping[str, Domain], reject: Reject
) -> tuple[dict[str, Said], int]:
    """Its rows by Study UID, and how many cannot be understood."""
    found: dict[str, Said] = {}
    wrong = 0
    for row in listed.rows():
        said, why = _said(row, makes, domains)
        before = found.get(row.values.get(UID, "")) if said else None
        if before and said and before.listed != said.listed:
            why = f"line {before.line} says otherwise of the same study"
        if why or said is None:
            wrong += 1
            reject(row, why)
        else:
            found.setdefault(row.values[UID], said)
    return found, wrong


def _said(
    row: Row, makes: PatientList, domains: Mapping[str, Domain]
) -> tuple[Said | None, str]:
    """What a row says, or why that cannot be understood."""
    if row.wrong:
        return None, row.wrong
    values = {name: row.values.get(name, "") for name in FIELDS}
    uid = values[UID]
    if not _IS_UID.fullmatch(uid) or len(uid) > _UID_CHARACTERS_MAX:
        return None, f"{UID} is no UID"
    value, *rest = values[PATIENT].split("^")
    domain = rest[2] if len(rest) > 2 else values[DOMAIN] or makes.domain
    named = _domain(domain or _first(makes.feed.authority), domains)
    if not value.strip():
        return None, "an ID is missing"
    if named is None:
        return None, "the domain of its patient is not configured"
    if named.denies(value):
        return None, "its patient's ID is one that says nothing"
    return _with_accession(row.line, value.strip(), named, values, makes, domains)


def _with_accession(
    line: int,
    value: str,
    named: Domain,
    values: Mapping[str, str],
    makes: PatientList,
    domains: Mapping[str, Domain],
) -> tuple[Said | None, str]:
    issued = values[ACCESSION_ISSUER] or makes.feed.accession_issuer
    issuer = _domain(issued, domains)
    if values[ACCESSION_ISSUER] and issuer is None:
        return None, "the domain of its accession number is not configured"
    by = issuer.name if issuer else ""
    return Said(line, Listed(value, named.name, values[ACCESSION], by)), ""


def _domain(said: str, domains: Mapping[str, Domain]) -> Domain | None:
    """The configured domain of a name, an alias or an OID."""
    if not said:
        return None
    issuer = Issuer("", said, "ISO") if _IS_OID.fullmatch(said) else Issuer(said)
    found = issuer_domain(issuer, dict(domains))
    return None if found.unknown else found.domain


def _first(names: Sequence[str]) -> str:
    return names[0] if names else ""
