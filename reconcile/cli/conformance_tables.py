"""The tables of the conformance statements, from the code.

What a table says is what decides: the classes that are accepted, the keys that are
matched, the messages that are dispatched. A page of the documentation is made of them,
and a test fails where it is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_description
from pydicom.uid import UID

from reconcile.cli.conformance_ihe import ACTORS, TRANSACTIONS
from reconcile.core.querykeys import ASIDE, KEYS, Level
from reconcile.dataset.iods import SOP_CLASSES
from reconcile.dicom import sop_classes
from reconcile.dicom.policy import NOT_A_DATA_SET
from reconcile.dicom.status import statuses
from reconcile.errors import ReconcileError
from reconcile.hl7 import errors as hl7_errors
from reconcile.hl7.dispatch import BUILDERS, UNSUPPORTED
from reconcile.hl7.orders import CONTROLS
from reconcile.hl7.understood import FIELDS

Rows = Iterator[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name on the command line, its title, its columns, and its rows."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Callable[[], Rows]


def page(tables: list[Table]) -> str:
    """Tables as Markdown, each under a heading."""
    parts = []
    for table in tables:
        head = [table.columns, ("---",) * len(table.columns)]
        lines = ["| " + " | ".join(row) + " |" for row in (*head, *table.rows())]
        parts.append("\n".join((f"## {table.title}", "", *lines, "")))
    return "\n".join(parts)


# -- DICOM ---------------------------------------------------------------------------


def _storage() -> Rows:
    for uid, (name, has_patient) in sorted(SOP_CLASSES.items(), key=_by_number):
        yield uid, name, "Storage" if has_patient else "Non-Patient Object Storage"


def _services() -> Rows:
    served = {sop_classes.VERIFICATION, *sop_classes.SERVED}
    for uid in sorted(served, key=lambda each: _by_number((each, None))):
        yield uid, UID(uid).name, "SCP"
    for uid in sorted(sop_classes.USED, key=lambda each: _by_number((each, None))):
        yield uid, UID(uid).name, "SCU"


def _syntaxes() -> Rows:
    for uid, said in sorted(UID_dictionary.items(), key=_by_number):
        if said[1] == "Transfer Syntax" and uid not in NOT_A_DATA_SET:
            yield uid, said[0], "retired" if said[3] else ""


def _keys() -> Rows:
    above: set[str] = set()
    for level, keys in KEYS.items():
        for tag, vr in keys.items():
            if level in (Level.WORKLIST, Level.INVENTORY) or tag not in above:
                yield (
                    level.value,
                    *_named(tag),
                    vr,
                    "" if vr == "SQ" or tag in ASIDE else "yes",
                )
        above |= set(keys)


def _named(tag: str) -> tuple[str, str]:
    path = tag.split(".")
    shown = " > ".join(f"({part[:4]},{part[4:]})" for part in path)
    return shown, dictionary_description(int(path[-1], 16))


def _statuses() -> Rows:
    for status in statuses():
        yield f"{status.code:04X}", status.category, status.meaning


def _by_number(pair: tuple[str, object]) -> list[int]:
    return [int(part) for part in pair[0].split(".")]


# -- HL7 -----------------------------------------------------------------------------


def _messages() -> Rows:
    for kind, event in BUILDERS:
        yield f"{kind}^{event}", "taken"
    for kind, event in sorted(UNSUPPORTED):
        yield f"{kind}^{event}", "refused with AR, and listed for a person"


def _controls() -> Rows:
    for code, control in CONTROLS.items():
        yield code, control.name.lower() if control else "acknowledged, nothing is done"


def _errors() -> Rows:
    found = {
        (each.hl7_error, each.hl7_ack, each.title)
        for each in vars(hl7_errors).values()
        if isinstance(each, type) and issubclass(each, ReconcileError)
    }
    yield from sorted(found)


def _acknowledgements() -> Rows:
    yield "AA", "acted on, already so, nothing to do, or kept for a person"
    yield "AE", "the content is wrong, or kept for a person; not to be sent again unchanged"
    yield "AR", "not supported, unknown sender, unreadable, or not to be kept now"


# -- IHE -----------------------------------------------------------------------------


def _actors() -> Rows:
    yield from ACTORS


def _transactions() -> Rows:
    for each in TRANSACTIONS:
        yield (
            each.number,
            each.name,
            each.side,
            each.spoken,
            ", ".join(f"`{name.rpartition('/')[2]}`" for name in each.tests),
        )


TABLES = (
    Table(
        "services",
        "SOP classes besides those of storage",
        ("SOP Class UID", "name", "role"),
        _services,
    ),
    Table(
        "storage",
        "SOP classes that are stored, and sent",
        ("SOP Class UID", "name", "service class"),
        _storage,
    ),
    Table(
        "transfer-syntaxes",
        "Transfer syntaxes that are taken for storage",
        ("UID", "name", "note"),
        _syntaxes,
    ),
    Table(
        "query-keys",
        "Keys of queries",
        ("level", "tag", "name", "VR", "matched"),
        _keys,
    ),
    Table(
        "statuses",
        "Statuses of a C-STORE",
        ("status", "category", "meaning"),
        _statuses,
    ),
    Table("hl7-messages", "HL7 messages", ("message", "what becomes of it"), _messages),
    Table("order-controls", "Order controls (ORC-1)", ("code", "does"), _controls),
    Table(
        "hl7-errors",
        "Errors in acknowledgements (ERR-3, HL7 table 0357)",
        ("ERR-3", "MSA-1", "meaning"),
        _errors,
    ),
    Table(
        "hl7-fields", "HL7 fields", ("field", "messages", "read as"), lambda: iter(FIELDS)
    ),
    Table(
        "hl7-acknowledgements",
        "HL7 acknowledgements (MSA-1)",
        ("MSA-1", "means"),
        _acknowledgements,
    ),
    Table(
        "ihe-actors",
        "IHE profiles and actors",
        ("profile", "actor", "claim", "how far, or why not"),
        _actors,
    ),
    Table(
        "ihe-transactions",
        "IHE transactions",
        ("transaction", "name", "the archive", "by", "shown by"),
        _transactions,
    ),
)
