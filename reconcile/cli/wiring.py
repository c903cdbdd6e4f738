"""From settings to parts: the one place where configuration becomes facts and flows.

No door is imported here: a process loads the one that it opens, and no other.
"""

from __future__ import annotations

import getpass
import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from reconcile.core.deletion import Cause
from reconcile.core.facts import Source
from reconcile.core.identity import Domain
from reconcile.core.rejection import Again, Code, Treatment
from reconcile.db import auditing
from reconcile.db.database import Database
from reconcile.errors import ConfigurationError
from reconcile.flows.auditing import LOG_USED, Heard
from reconcile.flows.commitment import CommitmentFlow
from reconcile.flows.decoding import Decoding
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.normalized import NormalizedFlow
from reconcile.flows.performed import PerformedFlow
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.rules import Rules, built_in
from reconcile.flows.several import SeveralFlow
from reconcile.flows.spooling import Spooler
from reconcile.flows.store import StoreFlow
from reconcile.settings import Settings, digest
from reconcile.settings.model import Destination
from reconcile.storage.local import LocalStorage


def now() -> datetime:
    """The clock of all flows: aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process of the archive is put together from."""

    settings: Settings
    database: Database
    storage: LocalStorage
    rules: Rules
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def query(self) -> QueryFlow:
        """The flow that answers which studies there are."""
        return QueryFlow(self.database, self.rules, self.storage)

    @property
    def several(self) -> SeveralFlow:
        """The flow that gives many instances out."""
        retrieve = RetrieveFlow(self.database, self.storage, self.decoding)
        return SeveralFlow(retrieve, self.query)

    @property
    def normalized(self) -> NormalizedFlow:
        """The flows of commitment and performed steps."""
        said = self.settings.destination
        reachable = frozenset(each.ae_title for each in said if each.host)
        kept = KeptArrivals(self.store("mpps").recording, sources(self.settings))
        return NormalizedFlow(
            CommitmentFlow(self.database, self.storage, now, reachable),
            PerformedFlow(kept),
            self.rules.uid_root,
        )

    def store(self, cause: str = "c-store") -> StoreFlow:
        """The flow of an arriving instance."""
        return StoreFlow(self.database, self.storage, self.rules, now, cause)


def parts(settings: Settings, writer_url: str, reader_url: str, *, pool_size: int) -> Parts:
    """Put the parts together; opens no connection yet."""
    database = Database(writer_url, reader_url, pool_size=pool_size)
    floor = settings.storage.free_bytes_min
    storage = LocalStorage(storage_root(settings), free_bytes_min=floor)
    return Parts(settings, database, storage, rules(settings))


def storage_root(settings: Settings) -> Path:
    """Where instances lie: under the data folder.

    Raises:
        ConfigurationError: an object store is named; this release keeps local files.
    """
    if settings.storage.url:
        raise ConfigurationError("[storage] url: object stores are not supported yet")
    return settings.data_dir / "instances"


def rules(settings: Settings) -> Rules:
    """The decision-relevant part of the configuration."""
    archive = settings.archive
    domains = {each.name: domain(each) for each in settings.domain}
    return Rules(
        built_in(domains, archive=archive.domain, deidentified=archive.deidentified_domain),
        archive.domain,
        digest(settings),
        archive.modifying_system,
        archive.deidentified_domain,
        archive.uid_root,
        settings.holds.show,
        dict(settings.holds.codes),
        settings.holds.temporary_hours,
        remember_days=settings.holds.remember_days,
        rejection=treatments(settings),
        readmits={
            Cause.STEWARD: settings.deletion.by_hand_again == "store",
            Cause.RULE: settings.deletion.by_rule_again == "store",
            Cause.NOTE: settings.deletion.by_note_again == "store",
        },
        note_days=settings.deletion.note_days,
    )


def treatments(settings: Settings) -> dict[str, Treatment]:
    """What titles of rejection notes do, by DCM code."""
    said = settings.rejection
    return {
        code.value: Treatment(
            getattr(said, code.name.lower()) in ("hide", "delete"),
            Again(getattr(said, f"{code.name.lower()}_again")),
            getattr(said, code.name.lower()) == "delete",
        )
        for code in Code
    }


def domain(said: object) -> Domain:
    """A [[domain]] as the core knows it."""
    return Domain(**{name: getattr(said, name) for name in Domain.__dataclass_fields__})


def source(said: object) -> Source:
    """A [[source]] as the core knows it."""
    names = (name for name in Source.__dataclass_fields__ if hasattr(said, name))
    return Source(**{name: getattr(said, name) for name in names})


def address_of(said: Destination) -> str:
    """Where a destination has to come from: its host, if that is an address."""
    try:
        return str(ipaddress.ip_address(said.host))
    except ValueError:
        return ""


def asking(said: Destination) -> Source:
    """A [[destination]] that is no source: it may query, and stores nothing."""
    return Source(said.ae_title, domain=said.domain, query=said.query, stores=False)


def sources(settings: Settings) -> Callable[[str], Source]:
    """How instances of a peer are read, by AE title; one that is not listed is bare."""
    known = listed(settings)
    return lambda ae_title: known(ae_title) or Source(ae_title)


def listed(settings: Settings) -> Callable[[str], Source | None]:
    """How instances of a configured peer are read, by AE title."""
    return {each.ae_title: source(each) for each in settings.source}.get


def spooling(parts: Parts) -> Spooler | None:
    """What takes note of what is asked, in a process; None: nobody wants to know."""
    audit = parts.settings.audit
    if not (audit.repository and audit.queries):
        return None
    return Spooler(parts.database, now)


def note_reading(parts: Parts, command: str) -> None:
    """Tell the audit repository, where there is one, who read the history here."""
    if parts.settings.audit.repository:
        said = Heard(LOG_USED, getpass.getuser(), "", f"reconcile {command}", at=now())
        parts.database.run(partial(auditing.keep, asked=[said.plain()]))


def receiver_count(settings: Settings) -> int:
    """How many processes receive: one per core unless it is said."""
    return settings.serve.receivers or os.cpu_count() or 1
