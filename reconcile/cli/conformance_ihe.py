"""What is claimed of IHE, as tables: profiles, transactions, and what shows each claim.

Names of profiles, actors and transactions are IHE's; nothing of their text is repeated.
A claim stands here only with the tests that show it, and a test looks for these.
"""

from __future__ import annotations

from typing import NamedTuple

CLAIMED, IN_PART, NOT = "claimed", "in part", "not claimed"


class Actor(NamedTuple):
    """An actor of a profile, whether it is claimed, and why it is not, or how far."""

    profile: str
    actor: str
    claim: str
    said: str = ""


class Transaction(NamedTuple):
    """A transaction on the archive's side, what speaks it, and the tests that show it."""

    number: str
    name: str
    side: str
    spoken: str
    tests: tuple[str, ...]


_ARCHIVE = "Image Manager / Image Archive"

ACTORS = (
    Actor("Scheduled Workflow (SWF, SWF.b)", _ARCHIVE, CLAIMED, "transactions below"),
    Actor("", "Performed Procedure Step Manager", IN_PART, "RAD-6, 7, to who wants them"),
    Actor("", "Order Filler", NOT),
    Actor("Patient Information Reconciliation (PIR)", _ARCHIVE, CLAIMED, "RAD-6, 7, 12"),
    Actor("Imaging Object Change Management (IOCM)", _ARCHIVE, CLAIMED, "RAD-66"),
    Actor("", "Change Requester", NOT, "no rejection note is made here"),
    Actor(
        "Multiple Image Manager/Archive (MIMA)",
        _ARCHIVE,
        IN_PART,
        "each receiver's domain, Other Patient IDs; nobody is asked by PIX",
    ),
    Actor("Import Reconciliation Workflow (IRWF.b)", "Importer", NOT, "no worklist of it"),
    Actor(
        "Patient Administration Management (PAM)",
        "Patient Demographics Consumer",
        CLAIMED,
        "ITI-30: merge (A40), change of an identifier (A47), link and unlink (A24, A37)",
    ),
    Actor("", "Patient Encounter Consumer", NOT, "ITI-31: of visits only the patient"),
    Actor(
        "Patient Identifier Cross-referencing (PIX)",
        "Cross-reference Manager",
        IN_PART,
        "the feed (ITI-8, ITI-30); no query (ITI-9), no notification (ITI-10) is sent",
    ),
    Actor(
        "Audit Trail and Node Authentication (ATNA)", "Secure Node", IN_PART, "ITI-19, 20"
    ),
    Actor(
        "", "Audit Record Repository", NOT, "the history in FHIR has the shape of ITI-81"
    ),
    Actor("Consistent Time (CT)", "Time Client", NOT, "the clock is the machine's"),
    Actor("Cross-enterprise Document Sharing (XDS, XDS-I)", "any", NOT),
    Actor("Presentation of Grouped Procedures (PGP)", "any", NOT, "linked, not split"),
    Actor("Portable Data for Imaging (PDI)", "any", NOT, "`import` reads any files"),
)

TRANSACTIONS = (
    Transaction(
        "RAD-4",
        "Procedure Scheduled",
        "receives",
        "ORM^O01, OMG^O19, OMI^O23",
        ("tests/unit/hl7/test_orders.py", "tests/integration/test_late_messages.py"),
    ),
    Transaction(
        "RAD-5",
        "Query Modality Worklist",
        "answers",
        "C-FIND (actor not claimed)",
        ("tests/integration/test_worklist.py", "tests/interop/test_query_instances.py"),
    ),
    Transaction(
        "RAD-6",
        "Modality Procedure Step In Progress",
        "receives",
        "N-CREATE",
        ("tests/integration/test_performed.py",),
    ),
    Transaction(
        "RAD-7",
        "Modality Procedure Step Completed",
        "receives",
        "N-SET",
        ("tests/integration/test_performed.py",),
    ),
    Transaction(
        "RAD-8",
        "Modality Images Stored",
        "receives",
        "C-STORE",
        ("tests/conformance/test_every_class.py", "tests/interop/test_dcmtk.py"),
    ),
    Transaction(
        "RAD-10",
        "Storage Commitment",
        "answers",
        "N-ACTION, N-EVENT-REPORT",
        ("tests/integration/test_commitment.py",),
    ),
    Transaction(
        "RAD-12",
        "Patient Update",
        "receives",
        "ADT A02 to A14, A31, A40, A47 and kin",
        ("tests/integration/test_merging.py", "tests/integration/test_hl7_samples.py"),
    ),
    Transaction(
        "RAD-13",
        "Procedure Updated",
        "receives",
        "ORM^O01, OMG^O19, OMI^O23",
        ("tests/unit/hl7/test_orders.py", "tests/integration/test_late_messages.py"),
    ),
    Transaction(
        "RAD-14",
        "Query Images",
        "answers",
        "C-FIND",
        ("tests/interop/test_queries.py", "tests/integration/test_every_door.py"),
    ),
    Transaction(
        "RAD-16",
        "Retrieve Images",
        "answers",
        "C-MOVE, C-GET",
        ("tests/interop/test_retrieve.py", "tests/integration/test_every_door.py"),
    ),
    Transaction(
        "RAD-49",
        "Instance Availability Notification",
        "sends",
        "N-CREATE",
        ("tests/integration/test_notify.py",),
    ),
    Transaction(
        "RAD-66",
        "Rejection Note Stored",
        "receives",
        "C-STORE of a Key Object Selection Document",
        ("tests/integration/test_rejecting.py",),
    ),
    Transaction(
        "ITI-8",
        "Patient Identity Feed",
        "receives",
        'ADT A01, A04, A05, A08, A40; `profile = "strict"`',
        ("tests/integration/test_merging.py",),
    ),
    Transaction(
        "ITI-19",
        "Authenticate Node",
        "answers",
        "TLS 1.2 and newer, with certificates of both sides",
        ("tests/integration/test_tls_and_keys.py",),
    ),
    Transaction(
        "ITI-20",
        "Record Audit Event",
        "sends",
        "DICOM audit messages by syslog over TLS; which ones: the DICOM statement",
        ("tests/integration/test_auditing.py",),
    ),
    Transaction(
        "ITI-30",
        "Patient Identity Management",
        "receives",
        "ADT A28, A31, A40, A47, A24, A37",
        ("tests/integration/test_merging.py", "tests/integration/test_hl7_samples.py"),
    ),
)
