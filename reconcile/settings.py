"""What the archive is told: one frozen Settings from TOML and environment.

Validated once, at start. A wrong key or value stops the start with file, line, key and
what is allowed; values are never repeated, for some are secrets. Nothing below the shell
imports this: every door gets what it needs as arguments.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from reconcile.settings_file import Document, read, validate

CONFIG_NAME = "reconcile.toml"
ROOT_DATA_DIR = Path("/var/lib/reconcile")

#: Domain of the Patient IDs under which held studies are given out; built in.
HELD_DOMAIN = "H"

MIB = 1 << 20
GIB = 1 << 30


class Address(NamedTuple):
    """Where a door listens. Port 0: any free port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _address(value: object) -> object:
    if value == "":
        return None
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):(\d{1,5})", str(value))
    if match is None or int(match[3]) > 65535:
        raise ValueError('"HOST:PORT" with a port of 0 to 65535, or "" for a closed door')
    return Address(match[1] or match[2], int(match[3]))


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError('a name such as "Europe/Vienna" or "UTC"') from error
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value or "0.0.0.0", strict=False)
    except ValueError as error:
        raise ValueError('an IP address or a network such as "192.0.2.0/24"') from error
    return value


def _matching(pattern: str, allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


_DRIVER = "postgresql+psycopg://"

ListenAt = Annotated[Address | None, BeforeValidator(_address)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Network = Annotated[str, AfterValidator(_network)]
# AE: at most 16 characters, no backslash, padding is no part of it (PS3.5 Table 6.2-1).
AETitle = Annotated[
    str,
    _matching(
        r"(?! )[ -\[\]-~]{1,16}(?<! )",
        "1 to 16 ASCII characters without backslash or space at an end",
    ),
]
# LO and HD; the separators of HL7 and of a DICOM multi-value cannot be part of it.
Name = Annotated[
    str,
    _matching(r"(?! )[^\x00-\x1f\\^&|~]{1,64}(?<! )", "1 to 64 characters without \\ ^ & | ~"),
]
OptionalName = Annotated[str, _matching(r"|(?! )[^\x00-\x1f\\^&|~]{1,64}(?<! )", "a name or empty")]
# Room for "." and the 39 digits of a UUID in the 64 characters of a UID (PS3.5 B.2).
UidRoot = Annotated[
    str,
    _matching(r"(?=.{3,24}$)[0-2](\.(0|[1-9]\d*))+", "a UID root of at most 24 characters"),
]
Uid = Annotated[str, _matching(r"(?=.{3,64}$)[0-2](\.(0|[1-9]\d*))+", "a UID")]
DatabaseUrl = Annotated[
    str,
    _matching(r"|postgresql(\+psycopg)?://.*", 'postgresql://USER@HOST/DATABASE, or ""'),
    AfterValidator(lambda url: re.sub(r"^postgresql(\+psycopg)?://", _DRIVER, url)),
    Field(repr=False),
]
StorageUrl = Annotated[str, _matching(r"|s3://[^/]+(/.*)?", 's3://BUCKET/PREFIX, or ""')]
Date = Annotated[str, _matching(r"\d{8}", "a date as YYYYMMDD")]
Show = Literal["separate", "hidden"]
# TOML has lists, a frozen value has tuples.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Dates = Annotated[tuple[Date, ...], Field(strict=False)]
OptionalPath = Annotated[Path | None, BeforeValidator(lambda v: v and Path(v) or None)]
Positive = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Archive(_Table):
    """Who this archive is."""

    ae_title: AETitle = "RECONCILE"
    modifying_system: Name = "RECONCILE"
    domain: Name = "E"
    deidentified_domain: Name = "D"
    uid_root: UidRoot = "2.25"


class Database(_Table):
    """Where the registry is; all empty: embedded PostgreSQL under the data folder."""

    url: DatabaseUrl = ""
    owner_url: DatabaseUrl = ""
    reader_url: DatabaseUrl = ""


class Storage(_Table):
    """Where the received bytes are; empty: under the data folder."""

    url: StorageUrl = ""


class Listen(_Table):
    """Where the doors are; empty: closed."""

    dicom: ListenAt = Address("127.0.0.1", 11112)
    hl7: ListenAt = Address("127.0.0.1", 2575)
    http: ListenAt = Address("127.0.0.1", 8080)
    dicom_tls: ListenAt = None
    hl7_tls: ListenAt = None
    http_tls: ListenAt = None


class Tls(_Table):
    """Certificates; paths are relative to the configuration file."""

    certificate: OptionalPath = None
    key: OptionalPath = None
    ca: OptionalPath = None
    client: Literal["required", "optional", "none"] = "required"


class Auth(_Table):
    """Who people are. API keys are in the database."""

    oidc_issuer: str = ""
    oidc_client_id: str = ""


class Serve(_Table):
    """How the archive runs. `receivers` are processes; 0: one per core."""

    receivers: Annotated[int, Field(ge=0, le=256)] = 0
    accept_unknown: bool = False
    timezone: TimeZone = "UTC"


class Holds(_Table):
    """How a held study is given out, in general and by code."""

    show: Show = "separate"
    codes: dict[Annotated[str, _matching(r"[A-Z][A-Z0-9-]*", "a code of holds")], Show] = {}

    def shown(self, code: str) -> Show:
        """How a study that is held under `code` is given out."""
        return self.codes.get(code, self.show)


class Limits(_Table):
    """How much a peer may ask of us. Bytes, seconds, or a count."""

    max_associations: Positive = 200
    max_associations_per_peer: Positive = 64
    pdu_bytes: Annotated[int, Field(ge=4096, le=MIB)] = 262_144
    instance_bytes: Positive = 5 * GIB
    inflated_bytes: Positive = 2 * GIB
    inflated_ratio: Positive = 200
    max_hl7_connections: Positive = 100
    message_bytes: Positive = 16 * MIB
    http_body_bytes: Positive = 5 * GIB
    http_json_bytes: Positive = MIB
    idle_seconds: Positive = 120


class Domain(_Table):
    """One assigning authority and the rules of its IDs."""

    name: Name
    universal_id: str = ""
    universal_id_type: Literal["", "DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"] = ""
    aliases: Names = ()
    temporary: bool = False
    test: bool = False
    reuse: bool = False
    fold_case: bool = False
    strip_zeros: bool = False
    pad_to: Annotated[int, Field(ge=0, le=64)] = 0
    check_digit: Literal["", "luhn"] = ""
    deny: Names = ()
    gate: Literal["on", "off"] = "on"
    placeholder_names: Names = ()
    placeholder_dates: Dates = ()


class Source(_Table):
    """One DICOM peer by its calling AE title, and how its instances are read."""

    ae_title: AETitle
    domain: OptionalName = ""
    coerce: bool = True
    warn: bool = True
    accession_issuer: OptionalName = ""
    charset: str = ""
    bare_id: Literal["accept", "hold"] = "accept"
    deidentified: Literal["separate", "trust-source"] = "separate"
    address: Network = ""
    certificate: str = ""
    cx_in_patient_id: bool = False
    query: bool = True


class Feed(_Table):
    """One HL7 sender by MSH-3 and MSH-4, and what it may decide."""

    application: Annotated[str, Field(min_length=1)]
    facility: str = ""
    authority: Names = ()
    accession_issuer: OptionalName = ""
    profile: Literal["lenient", "strict"] = "lenient"
    held_answer: Literal["AA", "AE"] = "AA"
    charset: str = ""
    a47_as_merge: bool = False
    risky_merge: Literal["execute", "hold"] = "execute"
    a24_same_person: bool = False
    a37_unmerges: bool = False


class Destination(_Table):
    """One DICOM peer that instances are sent to."""

    ae_title: AETitle
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)]
    domain: OptionalName = ""
    on_correction: Literal["hl7", "resend", "task", "none"] = "task"
    query: bool = True


class Settings(_Table):
    """All of it. Lists are in the order of the file."""

    data_dir: Path
    config_file: Path | None = None
    archive: Archive = Archive()
    database: Database = Database()
    storage: Storage = Storage()
    listen: Listen = Listen()
    tls: Tls = Tls()
    auth: Auth = Auth()
    serve: Serve = Serve()
    holds: Holds = Holds()
    limits: Limits = Limits()
    domains: Annotated[tuple[Domain, ...], Field(strict=False, alias="domain")] = ()
    sources: Annotated[tuple[Source, ...], Field(strict=False, alias="source")] = ()
    feeds: Annotated[tuple[Feed, ...], Field(strict=False, alias="feed")] = ()
    destinations: Annotated[tuple[Destination, ...], Field(strict=False, alias="destination")]
    destinations = ()
