"""All tables of the registry, each constraint with its reason.

What must hold under concurrency is a constraint here, never a check in code. Times are
timestamptz; keys and UIDs collate "C". Validity ranges are closed, rows are not deleted:
what was true at a time can be asked for ever. The history's tables are in `history.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import (
    ARRAY,
    JSONB,
    TIMESTAMP,
    TSTZRANGE,
    UUID,
    ExcludeConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = Text(collation="C")
Time = TIMESTAMP(timezone=True)


def identifier() -> Column[Any]:
    """Primary key: a UUIDv7 made in Python, since PostgreSQL has them only from 18."""
    return Column("id", UUID(as_uuid=True), primary_key=True)


def refers(
    name: str, target: str, *, null: bool = False, index: bool = False
) -> Column[Any]:
    """A foreign key column."""
    key = ForeignKey(f"{target}.id")
    return Column(name, UUID(as_uuid=True), key, nullable=null, index=index)


def recorded(name: str = "recorded") -> Column[Any]:
    """Since when, and until when, the registry has held a row to be true."""
    now = text("tstzrange(clock_timestamp(), NULL)")
    return Column(name, TSTZRANGE, nullable=False, server_default=now)


def key(name: str, *, null: bool = False, index: bool = False) -> Column[Any]:
    """An identifier, a UID or a code."""
    return Column(name, Key, nullable=null, index=index)


def happened() -> Column[Any]:
    """The happening that made the row."""
    return refers("happening_id", "happening")


def ended() -> Column[Any]:
    """The happening that closed the row; NULL: it is live, or an undo struck it out."""
    return refers("ended_by", "happening", null=True)


def version() -> Column[Any]:
    """Raised by every change that a person makes: a stale one is refused."""
    return Column("version", Integer, nullable=False, server_default="1")


def at(name: str, *, null: bool = False) -> Column[Any]:
    """A time."""
    default = None if null else func.clock_timestamp()
    return Column(name, Time, nullable=null, server_default=default)


# -- Who is who ---------------------------------------------------------------------

domain = Table(
    "domain",
    metadata,
    Column("name", Key, primary_key=True),
    key("universal_id", null=True),
    key("universal_id_type", null=True),
    # False: an issuer that only data sets or messages ever named.
    Column("configured", Boolean, nullable=False),
    # Last number minted as a Patient ID of this domain.
    Column("minted", Integer, nullable=False, server_default="0"),
    at("created_at"),
)

person = Table(
    "person",
    metadata,
    identifier(),
    Column("state", Text, nullable=False),
    # Only a cache of where the merge edges lead; doctor compares.
    refers("canonical_id", "person", index=True),
    happened(),
    version(),
    at("created_at"),
    CheckConstraint(
        "state IN ('verified', 'provisional', 'test', 'retired')", name="state"
    ),
)

identity = Table(
    "identity",
    metadata,
    identifier(),
    Column("domain", Key, ForeignKey("domain.name"), nullable=False),
    key("id_norm"),
    # As it was first received, before the domain's rules were applied.
    key("id_raw"),
    recorded("valid"),
    # Of a temporary domain: the merge that said whose it was. What still comes under it
    # follows; a message that registers it once more begins another one.
    refers("closed_by", "happening", null=True),
    happened(),
    ended(),
    # One owner per (domain, ID) at any time. Reuse is a second row of a later time.
    ExcludeConstraint(
        ("domain", "="),
        ("id_norm", "="),
        ("valid", "&&"),
        using="gist",
        name="ex_identity_owner",
    ),
    Index("ix_identity_domain_id_norm", "domain", "id_norm"),
    # The same bare ID in another domain is the commonest near miss.
    Index("ix_identity_id_norm", "id_norm"),
)

identity_link = Table(
    "identity_link",
    metadata,
    identifier(),
    refers("identity_id", "identity"),
    refers("person_id", "person", index=True),
    recorded(),
    happened(),
    ended(),
    # An identity belongs to one person at a time; a move closes one row, opens another.
    ExcludeConstraint(
        ("identity_id", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_identity_link_person",
    ),
)

merge_edge = Table(
    "merge_edge",
    metadata,
    identifier(),
    refers("subsumed_id", "person"),
    refers("survivor_id", "person", index=True),
    # The identities that were named; who says the same again is known by them.
    refers("prior_identity_id", "identity", null=True, index=True),
    refers("surviving_identity_id", "identity", null=True),
    key("source", null=True),
    at("said_at", null=True),
    recorded(),
    happened(),
    ended(),
    CheckConstraint("subsumed_id <> survivor_id", name="no_self_merge"),
    # One live parent: merges form a forest.
    ExcludeConstraint(
        ("subsumed_id", "="), ("recorded", "&&"), using="gist", name="ex_merge_edge_parent"
    ),
)

demographics = Table(
    "demographics",
    metadata,
    identifier(),
    refers("person_id", "person", index=True),
    # The identity that was named; NULL: of an image's header.
    refers("identity_id", "identity", null=True, index=True),
    # Feed ("RIS_A") or, with authority 0, the source of the image that made the person.
    key("source"),
    # Greater wins, then the later said_at: survivorship is a view, nothing is overwritten.
    Column("authority", Integer, nullable=False),
    # {"PatientName": {...}, "PatientBirthDate": ...} in the DICOM JSON model.
    Column("said", JSONB, nullable=False),
    at("said_at"),
    # When the message came, where it was acted on later; of one time, what came later wins.
    at("came_at", null=True),
    recorded(),
    happened(),
    ended(),
    # Suggestions for a held study: who was born on that day.
    Index("ix_demographics_birth_date", text("(said ->> 'birth_date')")),
)

# -- What was ordered ---------------------------------------------------------------

imaging_order = Table(
    "imaging_order",
    metadata,
    identifier(),
    key("accession_number"),
    # Name of a domain; empty: nobody said.
    key("accession_issuer"),
    key("placer_order_number", null=True),
    key("filler_order_number", null=True),
    # PV1-19 and PID-18: by which a visit or an account is moved to another patient.
    key("visit_number", null=True, index=True),
    key("account_number", null=True, index=True),
    refers("identity_id", "identity", index=True),
    Column("state", Text, nullable=False),
    Column("referring_physician", Text, nullable=False, server_default=""),
    key("source"),
    at("said_at"),
    happened(),
    version(),
    Index(
        "uq_imaging_order_accession",
        "accession_number",
        "accession_issuer",
        unique=True,
        postgresql_where=text("accession_number <> ''"),
    ),
    # What a sender calls it where it says neither accession nor Study UID.
    Index("ix_imaging_order_filler", "filler_order_number", "source"),
    Index("ix_imaging_order_placer", "placer_order_number", "source"),
    CheckConstraint(
        "state IN ('scheduled', 'in-progress', 'completed', 'cancelled', 'discontinued')",
        name="state",
    ),
)

requested_procedure = Table(
    "requested_procedure",
    metadata,
    identifier(),
    refers("order_id", "imaging_order", index=True),
    key("rp_id"),
    # The RIS's own Study Instance UID; empty: it has none.
    key("study_instance_uid", index=True),
    Column("description", Text, nullable=False, server_default=""),
    Column("code", JSONB, nullable=True),
    Column("removed", Boolean, nullable=False, server_default="false"),
    happened(),
    UniqueConstraint("order_id", "rp_id"),
)

scheduled_procedure_step = Table(
    "scheduled_procedure_step",
    metadata,
    identifier(),
    refers("procedure_id", "requested_procedure", index=True),
    key("sps_id"),
    key("modality"),
    Column("station_ae_titles", ARRAY(Key), nullable=False, server_default="{}"),
    # DT as the RIS said it.
    key("start"),
    Column("description", Text, nullable=False, server_default=""),
    Column("removed", Boolean, nullable=False, server_default="false"),
    happened(),
    UniqueConstraint("procedure_id", "sps_id"),
)

# -- What is stored -----------------------------------------------------------------

study = Table(
    "study",
    metadata,
    identifier(),
    # "": ordinary; else the de-identified domain, whose UIDs are a world of their own.
    key("uid_domain"),
    key("study_instance_uid"),
    # Raised, under the row's lock, by whatever changes what its instances are given
    # out as: an instance stored at revision n has all events up to n in itself.
    Column("revision", Integer, nullable=False, server_default="0"),
    # Patient ID in domain H under which the held part is given out.
    key("held_id", null=True),
    # A person's word on whose study it is; above what was received.
    refers("assigned_identity_id", "identity", null=True),
    at("retain_until", null=True),
    Column("legal_hold", Boolean, nullable=False, server_default="false"),
    # When somebody was first given of it: from then on it keeps its UID.
    at("used_at", null=True),
    happened(),
    version(),
    at("created_at"),
    UniqueConstraint("study_instance_uid", "uid_domain"),
    UniqueConstraint("held_id"),
)

study_order = Table(
    "study_order",
    metadata,
    identifier(),
    refers("study_id", "study"),
    refers("order_id", "imaging_order", index=True),
    # The one whose Study UID it took or whose words it carries; NULL: linked only.
    refers("procedure_id", "requested_procedure", null=True, index=True),
    recorded(),
    happened(),
    ended(),
    ExcludeConstraint(
        ("study_id", "="),
        (text("(order_id::text)"), "="),  # no index for who asks by the order alone
        ("recorded", "&&"),
        using="gist",
        name="ex_study_order_link",
    ),
)

series = Table(
    "series",
    metadata,
    identifier(),
    refers("study_id", "study", index=True),
    key("received_series_instance_uid", index=True),
    key("series_instance_uid"),
    key("uid_domain"),
    # Under which the series was received; never changed. NULL: under none.
    refers("identity_id", "identity", null=True, index=True),
    # Under which it is filed: as received, or as somebody decided since (series_filing).
    refers("filed_identity_id", "identity", null=True, index=True),
    # The outcome that holds it; NULL: it is not held.
    key("held", null=True),
    # The happening that last filed it otherwise than it was received.
    refers("filed_by", "happening", null=True),
    happened(),
    # One Series UID is never given out in two studies.
    UniqueConstraint("series_instance_uid", "uid_domain"),
    Index(
        "uq_series_received",
        "study_id",
        "received_series_instance_uid",
        "identity_id",
        "held",
        "filed_by",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
)

receipt = Table(
    "receipt",
    metadata,
    identifier(),
    key("uid_domain"),
    key("sop_instance_uid"),
    # SHA-256 of the data set's bytes as they came: the name of the file that keeps them.
    Column("digest", LargeBinary, nullable=False),
    # In bytes.
    Column("length", BigInteger, nullable=False),
    key("transfer_syntax_uid"),
    # How its text is read: as declared, or as its source is known to write.
    key("text_charset"),
    # File meta information as it came with an imported file; empty over the network.
    Column("file_meta", LargeBinary, nullable=False, server_default=text("''::bytea")),
    key("source"),
    key("peer_address"),
    key("association"),
    Column("outcome", Text, nullable=False),
    at("received_at"),
    # The segment of the storage that the file is a member of, and where in it, in bytes;
    # NULL: a file of its own.
    key("segment", null=True),
    Column("segment_offset", BigInteger, nullable=True),
    CheckConstraint("(segment IS NULL) = (segment_offset IS NULL)", name="location"),
    Index("ix_receipt_instance", "sop_instance_uid", "uid_domain"),
    Index("ix_receipt_digest", "digest"),
)

instance = Table(
    "instance",
    metadata,
    identifier(),
    key("uid_domain"),
    key("sop_instance_uid"),
    key("sop_class_uid"),
    # NULL: one of the classes that have no patient and no study.
    refers("series_id", "series", null=True, index=True),
    refers("receipt_id", "receipt"),
    # NULL: given out as it came, or hidden while it is held.
    refers("assignment_id", "assignment", null=True),
    at("coerced_at", null=True),
    Column("hidden", Boolean, nullable=False, server_default="false"),
    # Given out as it came, whatever happens: its source wants it so.
    Column("as_received", Boolean, nullable=False, server_default="false"),
    Column("stored_revision", Integer, nullable=False, server_default="0"),
    happened(),
    at("stored_at"),
    UniqueConstraint("sop_instance_uid", "uid_domain"),
)

# What instances of a study are given out with: the live assignments of the history,
# shared by all instances that were decided alike. doctor proves state = fold(events).
assignment = Table(
    "assignment",
    metadata,
    identifier(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    # [[tag, element | null], ...] in the DICOM JSON model.
    Column("assigns", JSONB, nullable=False),
    # (0400,0563), (0400,0564) and (0400,0565) of the item that tells of it.
    Column("modifying_system", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

uid_map = Table(
    "uid_map",
    metadata,
    identifier(),
    key("uid_domain"),
    Column("level", Text, nullable=False),
    # Of a series: the assigned Study UID in which the received Series UID came.
    key("scope"),
    key("received_uid"),
    key("assigned_uid"),
    Column("kind", Text, nullable=False, server_default="map"),
    key("rule"),
    recorded("valid"),
    happened(),
    ended(),
    CheckConstraint("level IN ('study', 'series')", name="level"),
    # An alias finds a study at every door; what arrives under it follows it too.
    CheckConstraint("kind IN ('map', 'alias')", name="kind"),
    # One live assigned UID per received UID.
    ExcludeConstraint(
        ("uid_domain", "="),
        ("level", "="),
        ("scope", "="),
        ("received_uid", "="),
        ("valid", "&&"),
        using="gist",
        name="ex_uid_map_received",
    ),
    Index("ix_uid_map_received_uid", "received_uid"),
    Index("ix_uid_map_assigned_uid", "assigned_uid"),
)

# What was undone, so that the same rule does not do it again.
refusal = Table(
    "refusal",
    metadata,
    identifier(),
    key("rule"),
    key("subject"),
    recorded("valid"),
    happened(),
    Index("ix_refusal_subject_rule", "subject", "rule"),
)

# -- What waits for a person --------------------------------------------------------

hold = Table(
    "hold",
    metadata,
    identifier(),
    Column("kind", Text, nullable=False),
    key("code"),
    Column("state", Text, nullable=False, server_default="open"),
    refers("study_id", "study", null=True, index=True),
    refers("message_id", "message", null=True, index=True),
    # What tells two holds of one study and code apart: the identifier received.
    key("subject"),
    key("source"),
    Column("received", JSONB, nullable=False, server_default="{}"),
    Column("candidates", JSONB, nullable=False, server_default="[]"),
    happened(),
    version(),
    at("opened_at"),
    at("closed_at", null=True),
    key("closed_by", null=True),
    # What was decided of it: {"action", "reason", ...}; without patient data.
    Column("resolution", JSONB, nullable=True),
    # When people were told of it, and how often.
    at("told_at", null=True),
    Column("told", Integer, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('hold', 'review', 'message')", name="kind"),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    # A study of 3 000 instances opens one item, not 3 000.
    Index(
        "uq_hold_open",
        "study_id",
        "message_id",
        "code",
        "subject",
        unique=True,
        postgresql_where=text("state = 'open'"),
        postgresql_nulls_not_distinct=True,
    ),
)

hold_instance = Table(
    "hold_instance",
    metadata,
    Column("hold_id", UUID(as_uuid=True), ForeignKey("hold.id"), primary_key=True),
    Column("receipt_id", UUID(as_uuid=True), ForeignKey("receipt.id"), primary_key=True),
)

# -- What the RIS said --------------------------------------------------------------

message = Table(
    "message",
    metadata,
    identifier(),
    key("sender"),
    key("control_id"),
    Column("digest", LargeBinary, nullable=False),
    key("event"),
    # The message as it came, kept before it is acted on.
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="kept"),
    key("acknowledgement", null=True),
    Column("error", JSONB, nullable=True),
    Column("effects", JSONB, nullable=False, server_default="[]"),
    refers("happening_id", "happening", null=True),
    # The held message that has to be settled before this one is acted on.
    refers("waits_for", "message", null=True, index=True),
    # EVN-6, else EVN-2, else MSH-7: when what it tells happened.
    at("said_at", null=True),
    at("received_at"),
    at("settled_at", null=True),
    # The same message again does nothing: replay is a look-up.
    UniqueConstraint("sender", "control_id", "digest"),
    CheckConstraint(
        "state IN ('kept', 'applied', 'duplicate', 'already-same', 'stale', 'held',"
        " 'refused')",
        name="state",
    ),
    Index("ix_message_received_at", "received_at"),
    # Those that nothing has become of: a few, after a crash.
    Index(
        "ix_message_kept",
        "received_at",
        "id",
        postgresql_where=text("state = 'kept'"),
    ),
)
