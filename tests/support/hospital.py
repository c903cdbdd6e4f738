"""The fixture of the scenarios: domains, sources and feeds of a small hospital."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydicom.dataset import Dataset

from reconcile.core.facts import Feed, Source
from reconcile.core.identity import (
    Demographics,
    Domain,
    Issuer,
    PatientUpdate,
    PersonName,
)
from reconcile.core.merge import (
    IdentifierChange,
    IdentifierMove,
    Identifiers,
    IdentityCommand,
    PatientLink,
    PatientMerge,
    PatientRetire,
)
from reconcile.core.order import OrderControl, OrderUpdate, RequestedProcedure
from reconcile.db import domains
from reconcile.db.database import Database
from reconcile.flows.arrival import Stored
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.merge import MergeFlow
from reconcile.flows.message import MessageFlow, Outcome, Received
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.flows.rules import Rules, built_in
from reconcile.flows.store import StoreFlow
from reconcile.storage.local import LocalStorage
from tests.support.instances import arrive

PLACEHOLDERS = ("UNKNOWN", "BABY BOY", "BABY GIRL", "ANONYMIZED")
DOMAINS = {
    each.name: each
    for each in (
        Domain(
            "A",
            "1.2.3.1",
            "ISO",
            aliases=("HISA",),
            deny=("0", "999", "UNKNOWN", "TEST", "W/I"),
            placeholder_names=PLACEHOLDERS,
            placeholder_dates=("19000101",),
        ),
        Domain("B", "1.2.3.2", "ISO", aliases=("HISB",)),
        Domain("T", temporary=True),
        Domain("X", test=True),
        Domain("Z", fold_case=True, pad_to=8),
        Domain("L", check_digit="luhn"),
        Domain("R", reuse=True),
    )
}
CT_A = Source("CT_A", domain="A", accession_issuer="A", charset="ISO_IR 100")
MR_B = Source("MR_B", domain="B", accession_issuer="B")
IMPORT_CD = Source("IMPORT_CD")


def source_of(ae_title: str) -> Source:
    """How instances of a peer are read."""
    known = {each.ae_title: each for each in (CT_A, MR_B, IMPORT_CD)}
    return known.get(ae_title, Source(ae_title))


RIS_A = Feed("RIS_A", authority=("A", "E", "T"), accession_issuer="A")
RIS_B = Feed("RIS_B", authority=("B",), accession_issuer="B")
EMPI = Feed("EMPI", authority=(*DOMAINS, "E"))

JANE = Demographics(PersonName("DOE^JANE"), "19800102", "F")
RICHARD = Demographics(PersonName("ROE^RICHARD"), "19750506", "M")
NOBODY = Demographics()
ANNA = Demographics(PersonName("MEIER^ANNA"), "19900304", "F")


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Hospital:
    """The flows over one database and one folder, without doors."""

    database: Database
    storage: LocalStorage
    rules: Rules

    @classmethod
    def at(cls, writer_url: str, folder: Path, reader_url: str = "") -> Hospital:
        """The hospital of the scenarios, over a migrated database."""
        known = built_in(DOMAINS, archive="E", deidentified="D")
        database = Database(writer_url, reader_url, pool_size=40)
        database.run(lambda connection: domains.keep(connection, known.values()))
        return cls(database, LocalStorage(folder), Rules(known, "E", "test"))

    def store(self, dataset: Dataset, source: Source = CT_A) -> Stored:
        """Receive an instance."""
        return self.flow().receive(arrive(dataset, source))

    def flow(self) -> StoreFlow:
        """What receives instances, and has decided of none yet."""
        return StoreFlow(self.database, self.storage, self.rules, clock)

    def messages(self) -> MessageFlow:
        """What acts on messages."""
        kept = KeptArrivals(self.flow().recording, source_of)
        return MessageFlow(self.database, self.rules, clock, kept)

    def patient(
        self,
        said: Demographics,
        *identifiers: str,
        feed: Feed = RIS_A,
        event: str = "A08",
        at: datetime | None = None,
        cleared: tuple[str, ...] = (),
        protected: bool | None = None,
    ) -> Outcome:
        """An ADT^A08 of a patient with identifiers as ID^^^DOMAIN."""
        flow = self.messages()
        update = replace(
            _said(said, identifiers, at), cleared=frozenset(cleared), protected=protected
        )
        return PatientFlow(flow).apply(self._keep(flow, f"ADT^{event}", feed), update)

    def merge(
        self,
        surviving: str,
        prior: str,
        *,
        said: Demographics = NOBODY,
        feed: Feed = RIS_A,
        at: datetime | None = None,
    ) -> Outcome:
        """An ADT^A40; each side is one identifier, or several separated by ~."""
        command = PatientMerge(_said(said, surviving.split("~"), at), _named(prior))
        return self.identify("A40", command, feed)

    def change(
        self, new: str, prior: str, *, said: Demographics = NOBODY, feed: Feed = RIS_A
    ) -> Outcome:
        """An ADT^A47."""
        command = IdentifierChange(_said(said, new.split("~")), _named(prior))
        return self.identify("A47", command, feed)

    def move(
        self, to: str, moved: str, *, said: Demographics = NOBODY, feed: Feed = RIS_A
    ) -> Outcome:
        """An ADT^A43."""
        command = IdentifierMove(_said(said, to.split("~")), _named(moved))
        return self.identify("A43", command, feed)

    def link(
        self,
        one: str,
        other: str,
        *,
        linked: bool = True,
        feed: Feed = RIS_A,
        at: datetime | None = None,
    ) -> Outcome:
        """An ADT^A24, or an ADT^A37."""
        command = PatientLink(_named(one), _named(other), linked, at)
        return self.identify("A24" if linked else "A37", command, feed)

    def retire(self, patient: str, *, feed: Feed = RIS_A) -> Outcome:
        """An ADT^A29."""
        return self.identify("A29", PatientRetire(_named(patient)), feed)

    def identify(self, event: str, command: IdentityCommand, feed: Feed) -> Outcome:
        """A message that says who is who."""
        flow = self.messages()
        message = self._keep(flow, f"ADT^{event}", feed)
        return MergeFlow(flow, PatientFlow(flow)).apply(message, command)

    def order(
        self,
        said: Demographics,
        *identifiers: str,
        accession: str,
        procedures: tuple[RequestedProcedure, ...] = (),
        control: OrderControl = OrderControl.NEW,
        feed: Feed = RIS_A,
    ) -> Outcome:
        """An ORM^O01."""
        flow = self.messages()
        update = OrderUpdate(
            control,
            "",
            _said(said, identifiers),
            accession,
            Issuer(),
            procedures=procedures,
        )
        message = self._keep(flow, "ORM^O01", feed)
        return OrderFlow(flow, PatientFlow(flow)).apply(message, (update,))

    def _keep(self, flow: MessageFlow, event: str, feed: Feed) -> Received:
        control_id = uuid4().hex[:20]
        kept = flow.keep(
            sender=feed.application,
            control_id=control_id,
            event=event,
            body=control_id.encode(),
        )
        return Received(kept.message_id, feed.application, control_id, event, feed)


def _said(
    said: Demographics, identifiers: Iterable[str], at: datetime | None = None
) -> PatientUpdate:
    return PatientUpdate(_named("~".join(identifiers)), said, said_at=at)


def _named(identifiers: str) -> Identifiers:
    """A~B as HL7 repeats them, each as ID^^^DOMAIN."""
    pairs = [identifier.split("^^^") for identifier in identifiers.split("~")]
    return tuple((value, Issuer(domain)) for value, domain in pairs)
