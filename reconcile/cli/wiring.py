"""From settings to parts: the one place where configuration becomes facts and flows."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.types import ASGIApp

from reconcile.core.facts import Feed, Source
from reconcile.core.identity import Domain
from reconcile.db import migrate
from reconcile.db.database import Database
from reconcile.dicom.acceptor import DicomDoor
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.errors import ConfigurationError
from reconcile.flows.message import MessageFlow
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.flows.rules import Rules, built_in
from reconcile.flows.store import StoreFlow
from reconcile.hl7.door import Door
from reconcile.settings import Settings, digest
from reconcile.storage.local import LocalStorage
from reconcile.web import parts as web
from reconcile.web.app import make_app


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

    def store(self, cause: str = "c-store") -> StoreFlow:
        """The flow of an arriving instance."""
        return StoreFlow(self.database, self.storage, self.rules, now, cause)

    def hl7_door(self) -> Door:
        """The HL7 door, over the flows of a message."""
        flow = MessageFlow(self.database, self.rules, now)
        patients = PatientFlow(flow)
        return Door(
            [feed(each) for each in self.settings.feed],
            flow,
            patients,
            OrderFlow(flow, patients),
            timezone=ZoneInfo(self.settings.serve.timezone),
            clock=now,
            new_control_id=lambda: secrets.token_hex(10),
        )

    def http_app(self, owner_url: str, *, require_keys: bool) -> ASGIApp:
        """The HTTP door's application."""
        return make_app(
            web.Parts(
                self.database,
                self.storage,
                self.rules,
                require_keys,
                schema_findings=lambda: migrate.check(owner_url),
                body_bytes_max=self.settings.limits.http_json_bytes,
            )
        )

    def dicom_door(self) -> DicomDoor:
        """The DICOM door, over the flow of an arriving instance."""
        return DicomDoor(
            policy(self.settings),
            self.store().receive,
            self.storage.spool_dir,
            limits(self.settings),
        )


def parts(settings: Settings, writer_url: str, reader_url: str, *, pool_size: int) -> Parts:
    """Put the parts together; opens no connection yet."""
    database = Database(writer_url, reader_url, pool_size=pool_size)
    return Parts(settings, database, LocalStorage(storage_root(settings)), rules(settings))


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
    )


def domain(said: object) -> Domain:
    """A [[domain]] as the core knows it."""
    return Domain(**{name: getattr(said, name) for name in Domain.__dataclass_fields__})


def source(said: object) -> Source:
    """A [[source]] as the core knows it."""
    return Source(**{name: getattr(said, name) for name in Source.__dataclass_fields__})


def feed(said: object) -> Feed:
    """A [[feed]] as the core knows it."""
    return Feed(**{name: getattr(said, name) for name in Feed.__dataclass_fields__})


def policy(settings: Settings) -> Policy:
    """Who may associate: every [[source]], by calling AE title and address."""
    peers = {
        each.ae_title: Peer(source(each), each.address, each.certificate)
        for each in settings.source
    }
    archive, serve = settings.archive, settings.serve
    return Policy(archive.ae_title, peers.get, accept_unknown=serve.accept_unknown)


def limits(settings: Settings) -> Limits:
    """The limits of one receiver; associations are shared out among all."""
    said = settings.limits
    receivers = receiver_count(settings)
    return Limits(
        maximum_pdu=said.pdu_bytes,
        associations=max(1, said.max_associations // receivers),
        associations_per_peer=said.max_associations_per_peer,
        instance_bytes=said.instance_bytes,
        idle_seconds=said.idle_seconds,
    )


def receiver_count(settings: Settings) -> int:
    """How many processes receive: one per core unless it is said."""
    return settings.serve.receivers or os.cpu_count() or 1
