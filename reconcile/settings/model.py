"""The tables of the configuration file, as frozen values with their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconcile.settings.values import (
    Address,
    AETitle,
    AllTold,
    ComesAgain,
    DatabaseUrl,
    Dates,
    DeletedAgain,
    Expires,
    HoldCode,
    HoldCodes,
    MailAddress,
    Name,
    Names,
    Natural,
    Network,
    NoteCodes,
    OptionalName,
    Positive,
    Rejects,
    Role,
    Show,
    StorageUrl,
    TimeOfDay,
    TimeZone,
    UidRoot,
    UniversalIdType,
    WebAddress,
    is_loopback,
)

MIB = 1 << 20
GIB = 1 << 30


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
    """Where the received bytes are; empty: under the data folder.

    `free_bytes_min` is how much of the disk stays free: below, nothing is taken.
    """

    url: StorageUrl = ""
    free_bytes_min: Natural = GIB


class Listen(_Table):
    """Where the doors are; empty: closed."""

    dicom: Address = "127.0.0.1:11112"
    hl7: Address = "127.0.0.1:2575"
    http: Address = "127.0.0.1:8080"
    dicom_tls: Address = ""
    hl7_tls: Address = ""
    http_tls: Address = ""


class Tls(_Table):
    """Certificates; paths are relative to the configuration file."""

    certificate: str = ""
    key: str = ""
    ca: str = ""
    client: Literal["required", "optional", "none"] = "required"


class Auth(_Table):
    """Who people are. API keys are in the database.

    `roles` gives to each role the values of the claim that grant it; one that is not
    named is granted by its own name. `protected` are the roles that see patients who are
    marked as protected.
    """

    oidc_issuer: WebAddress = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: str = ""
    oidc_audience: str = ""
    oidc_scope: str = "openid profile"
    oidc_name_claim: str = "preferred_username"
    oidc_roles_claim: str = "roles"
    roles: dict[Role, tuple[str, ...]] = {}
    protected: Annotated[tuple[Role, ...], Field(strict=False)] = (
        "steward",
        "administrator",
        "auditor",
    )
    session_hours: Annotated[int, Field(ge=1, le=24)] = 8
    session_idle_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30


class Audit(_Table):
    """The sealed history, and the audit repository that is told what happened.

    `key_file` signs the log; empty: `audit.key` in the data folder. `repository` is told by
    syslog over TLS; empty: none is.
    """

    key_file: str = ""
    repository: Address = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    site: str = ""
    queries: bool = True


class Serve(_Table):
    """How the archive runs. `receivers` are processes; 0: one per core.

    `quiet` is how many seconds nothing has to come of a study that is called received.
    `hunt` is the time of day ("02:30") of the hunt for duplicates; empty: never.
    `association_days` is for how long it is known who was associated.
    """

    receivers: Annotated[int, Field(ge=0, le=256)] = 0
    accept_unknown: bool = False
    timezone: TimeZone = "UTC"
    quiet: Positive = 60
    public_url: WebAddress = ""
    hunt: Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = ""
    association_days: Positive = 30


class Holds(_Table):
    """How a held study is given out, and what of the worklist depends on time."""

    show: Show = "separate"
    codes: dict[HoldCode, Show] = {}
    temporary_hours: Natural = 24
    remember_days: Positive = 365

    def shown(self, code: str) -> Show:
        """How a study that is held under `code` is given out."""
        return self.codes.get(code, self.show)


class Rejection(_Table):
    """What titles of rejection notes do, and what is rejected does when it comes again."""

    quality: Rejects = "hide"
    safety: Rejects = "hide"
    worklist: Rejects = "hide"
    retention: Expires = "hide"
    quality_again: ComesAgain = "ignore"
    safety_again: ComesAgain = "ignore"
    worklist_again: ComesAgain = "ignore"
    retention_again: ComesAgain = "restore"


class Deletion(_Table):
    """How deletions are done, and who of the deleted may come again."""

    two_persons: bool = True
    by_hand_again: DeletedAgain = "refuse"
    by_rule_again: DeletedAgain = "store"
    by_note_again: DeletedAgain = "store"
    note_days: Natural = 30
    grace_minutes: Natural = 60
    rules_at: TimeOfDay = "03:30"


class Retention(_Table):
    """What is deleted, or kept, when it is old; the first that a study fits decides."""

    name: Name
    after_days: Positive
    by: Literal["study-date", "stored"] = "study-date"
    sources: Names = ()
    modalities: Names = ()
    rejected: NoteCodes = ()
    keep: bool = False
    delay_days: Natural = 30
    confirm: bool = False


class Limits(_Table):
    """How much a peer may ask of us. Bytes, seconds, or a count."""

    max_associations: Positive = 200
    max_associations_per_peer: Positive = 64
    pdu_bytes: Annotated[int, Field(ge=4096, le=MIB)] = 262_144
    instance_bytes: Positive = 5 * GIB
    max_hl7_connections: Positive = 100
    message_bytes: Positive = 16 * MIB
    http_json_bytes: Positive = MIB
    idle_seconds: Positive = 120


class Domain(_Table):
    """One assigning authority and the rules of its IDs."""

    name: Name
    universal_id: str = ""
    universal_id_type: UniversalIdType = ""
    aliases: Names = ()
    temporary: bool = False
    test: bool = False
    test_ids: Names = ()
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
    codes: Literal["top-level", "deep", "off"] = "top-level"
    authorised: Literal["copy", "as-received"] = "copy"
    query: bool = True
    commitment: Literal["same", "new"] = "same"


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
    address: Network = ""
    certificate: str = ""


class Destination(_Table):
    """One peer that instances are sent to: over DICOM, or by STOW-RS to a `url`."""

    ae_title: AETitle
    host: str = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    url: WebAddress = ""
    key_file: str = ""
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]*$")] = ""
    domain: OptionalName = ""
    tls: bool = False
    on_correction: Literal["hl7", "resend", "task", "none"] = "task"
    hl7: Address = ""
    hl7_tls: bool = False
    hl7_application: str = ""
    hl7_facility: str = ""
    performed: Literal["no", "coerced", "received"] = "no"
    query: bool = True
    availability: bool = False


class Forward(_Table):
    """What is sent on to a [[destination]]; no `sources`, no `modalities`: of all."""

    to: AETitle
    sources: Names = ()
    modalities: Names = ()
    held: bool = False


class Mail(_Table):
    """The server that takes our mail; its password is in a file."""

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    sender: MailAddress = ""
    starttls: bool = True
    user: str = ""
    password_file: str = ""


class Notify(_Table):
    """Who is told of what: by webhook or by mail. Minutes."""

    name: Name
    url: WebAddress = ""
    secret_file: str = ""
    mail: MailAddress = ""
    on: AllTold
    codes: HoldCodes = ()
    after: Natural = 0
    repeat: Natural = 0


class Settings(_Table):
    """All of it. Fields are named as the tables of the file; lists keep its order."""

    data_dir: Annotated[Path, Field(strict=False)]
    archive: Archive = Archive()
    database: Database = Database()
    storage: Storage = Storage()
    listen: Listen = Listen()
    tls: Tls = Tls()
    auth: Auth = Auth()
    audit: Audit = Audit()
    serve: Serve = Serve()
    holds: Holds = Holds()
    rejection: Rejection = Rejection()
    deletion: Deletion = Deletion()
    limits: Limits = Limits()
    domain: Annotated[tuple[Domain, ...], Field(strict=False)] = ()
    source: Annotated[tuple[Source, ...], Field(strict=False)] = ()
    feed: Annotated[tuple[Feed, ...], Field(strict=False)] = ()
    destination: Annotated[tuple[Destination, ...], Field(strict=False)] = ()
    forward: Annotated[tuple[Forward, ...], Field(strict=False)] = ()
    mail: Mail = Mail()
    notify: Annotated[tuple[Notify, ...], Field(strict=False)] = ()
    retention: Annotated[tuple[Retention, ...], Field(strict=False)] = ()

    @property
    def http_is_loopback(self) -> bool:
        """Whether only this machine reaches the pages: all that is open without keys."""
        return is_loopback(self.listen.http) and is_loopback(self.listen.http_tls)
