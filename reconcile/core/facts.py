"""What a decision is made from: what the instance says, and what the registry knew.

Facts are plain values. Whoever loads them does so under the locks that the decision is
recorded under; whoever decides on them needs nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconcile.core.attributes import Element, Tag
from reconcile.core.identity import (
    NO_ISSUER,
    Demographics,
    Domain,
    Issuer,
    PatientIdentifier,
)
from reconcile.core.order import Code


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One item of Request Attributes Sequence (0040,0275); empty: not said."""

    accession_number: str = ""
    accession_issuer: Issuer = NO_ISSUER
    study_instance_uid: str = ""
    rp_id: str = ""
    sps_id: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list of a migration says of a study.

    Attributes:
        patient_id: as it stands there; empty: the list names no patient for the study,
            and nothing else is to be believed.
        domain: the name of a configured one.
        accession_number: of the order; empty: the list does not say.
        accession_issuer: the domain that it comes from; may be empty.
    """

    patient_id: str = ""
    domain: str = ""
    accession_number: str = ""
    accession_issuer: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What a data set says. Empty: absent or zero length.

    Attributes:
        patient_id: as received, padding included.
        issuer: of (0010,0021) and (0010,0024).
        other_ids: items of Other Patient IDs Sequence.
        undecodable: keywords of attributes whose bytes are not text in the declared
            character set ("PatientID", "PatientName").
        present: the elements that this archive may assign, in the DICOM JSON model;
            a tag that is absent from the data set is absent here.
        step_uid: of the performed procedure step that it refers to.
        listed: what a migration's list says of its study, beside what it says itself;
            None: there is no such list, or it leaves the study to the header.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = ""
    issuer: Issuer = NO_ISSUER
    other_ids: tuple[tuple[str, Issuer], ...] = ()
    demographics: Demographics = field(default_factory=Demographics)
    accession_number: str = ""
    accession_issuer: Issuer = NO_ISSUER
    rp_id: str = ""
    sps_id: str = ""
    requests: tuple[RequestItem, ...] = ()
    study_date: str = ""
    modality: str = ""
    identity_removed: bool = False
    undecodable: frozenset[str] = frozenset()
    present: Mapping[Tag, Element] = field(default_factory=dict)
    step_uid: str = ""
    listed: Listed | None = None

    @property
    def listed_accession(self) -> str:
        """The Accession Number that a migration's list says, if it says one."""
        return self.listed.accession_number if self.listed else ""

    @property
    def patient_scoped(self) -> bool:
        """Whether the instance belongs to a study at all."""
        return bool(self.study_instance_uid)

    @property
    def names_order(self) -> bool:
        """Whether it says by which order it was made."""
        requested = any(item.accession_number for item in self.requests)
        return bool(self.accession_number) or requested

    @property
    def header(self) -> bytes:
        """SHA-256 of what it says of its patient and its order: what a person looked at."""
        who = self.demographics
        said = (
            self.patient_id.strip(" \0"),
            self.issuer,
            self.other_ids,
            (who.name, who.birth_date, who.sex),
            (self.accession_number, self.accession_issuer),
            self.requests,
            self.identity_removed,
        )
        return hashlib.sha256(repr(said).encode()).digest()


@dataclass(frozen=True, slots=True)
class Source:
    """How instances of one peer are read: its [[source]] in the configuration.

    Attributes:
        query: it may query and retrieve.
        stores: instances of it are taken; False: it is a destination and nothing else.
        commitment: "same": a request for commitment is answered over its association
            first; "new": always over another one.
    """

    ae_title: str
    domain: str = ""
    coerce: bool = True
    warn: bool = True
    accession_issuer: str = ""
    charset: str = ""
    bare_id: str = "accept"
    deidentified: str = "separate"
    cx_in_patient_id: bool = False
    codes: str = "top-level"
    authorised: str = "copy"
    query: bool = True
    stores: bool = True
    commitment: str = "same"


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """A person as the registry knew them: always the surviving one of a merge.

    Attributes:
        state: "verified" where a feed has spoken of them or of one merged into them.
        identifiers: the survivor's own first, then those that came with merges.
        subsumed: those that came with merges.
        assigned: the identifier in the archive's own domain, if there is one.
        versions: demographics that an authoritative source ever gave, of each person
            by itself, newest first; of a provisional person, those of the images that
            made them.
        current: what instances are coerced to: the survivor's, its gaps filled from
            those merged into them; None where no feed has spoken.
    """

    person_id: str
    state: str
    identifiers: tuple[PatientIdentifier, ...] = ()
    assigned: PatientIdentifier | None = None
    versions: tuple[Demographics, ...] = ()
    current: Demographics | None = None
    subsumed: frozenset[PatientIdentifier] = frozenset()

    def shown(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """What a provisional person is given out under, of what is filed under one.

        The survivor's own identifier where that one came with a merge.
        """
        own = (i for i in self.identifiers if i not in self.subsumed)
        return next(own, identifier) if identifier in self.subsumed else identifier


@dataclass(frozen=True, slots=True)
class ProcedureFacts:
    """A requested procedure; `bound_to`: received Study UID that already took its UID."""

    procedure_id: str
    rp_id: str
    study_instance_uid: str = ""
    description: str = ""
    code: Code | None = None
    sps_ids: tuple[str, ...] = ()
    bound_to: str = ""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order with its person and its requested procedures.

    `found_by` is "study-uid", "accession" (with its issuer), "study-link" (the study is
    linked to it already) or "bare-accession": an accession number that nobody says the
    issuer of. The last two are no evidence by themselves.
    """

    order_id: str
    accession_number: str
    accession_issuer: str
    person_id: str
    found_by: str = "accession"
    referring_physician: str = ""
    procedures: tuple[ProcedureFacts, ...] = ()
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """A study that is already known under the received Study Instance UID.

    Attributes:
        assigned_uid: what it is given out as; it stays.
        person_ids: persons of its series that are not held, surviving ones of merges.
        order_ids: the orders that it is linked to.
    """

    study_id: str
    assigned_uid: str
    revision: int
    person_ids: frozenset[str] = frozenset()
    order_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a person decided of the same study, source and header before."""

    person_id: str
    identity_id: str


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What the registry knew of an instance when it was asked.

    Attributes:
        domains: configured domains by name, built-in ones included.
        by_identifier: persons of identifiers that the header names and the registry
            knows, the normalised identifier the key.
        persons: every person that any of the facts speaks of, by id.
        orders: found by Study UID or by accession with its issuer, all of them.
        stored_digest: of the receipt that the SOP Instance UID now points to.
        known_digests: of every receipt of this SOP Instance UID.
        performed: what performed steps say that the study was ordered by, where the
            header names no order itself.
        wrong_entry: the step of this series was discontinued, for the wrong worklist
            entry had been selected.
    """

    domains: Mapping[str, Domain]
    archive_domain: str
    deidentified_domain: str = "D"
    study: StudyFacts | None = None
    by_identifier: Mapping[PatientIdentifier, PersonFacts] = field(default_factory=dict)
    persons: Mapping[str, PersonFacts] = field(default_factory=dict)
    orders: tuple[OrderFacts, ...] = ()
    stored_digest: str = ""
    known_digests: frozenset[str] = frozenset()
    refused_rules: frozenset[str] = frozenset()
    remembered: Remembered | None = None
    performed: tuple[RequestItem, ...] = ()
    wrong_entry: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """How messages of one sender are read: its [[feed]] in the configuration.

    `authority` names the domains that it may assign in; the first is the issuer of an
    identifier that comes without one. `held_answer` acknowledges a message that is kept
    and waits for a person.

    Attributes:
        a47_as_merge: A47 onto an identifier that exists merges; else it is held.
        risky_merge: what the gate calls a conflict is done and flagged ("execute"), or
            waits for a second person ("hold").
        a24_same_person: A24 means one person; else it is recorded and moves nothing.
        a37_unmerges: A37 takes back a merge too.
    """

    application: str
    facility: str = ""
    authority: tuple[str, ...] = ()
    accession_issuer: str = ""
    profile: str = "lenient"
    held_answer: str = "AA"
    charset: str = ""
    a47_as_merge: bool = False
    risky_merge: str = "execute"
    a24_same_person: bool = False
    a37_unmerges: bool = False
