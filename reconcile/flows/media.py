"""Flag a medium that holds images of more than one patient: one item for all of it.

Each of its studies is decided by itself, as any other. That a disc holds somebody else's
images too is for a person to know, since somebody has mixed them up, or burnt them so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from reconcile.core.media import MULTI_PATIENT_MEDIA, OnMedium, may_be_one, on_medium
from reconcile.db import events, holds, stored
from reconcile.db.database import Connection, Database
from reconcile.flows.importing import DIRECTORY_NAME, Imported
from reconcile.flows.rules import Rules

#: A directory names each file of its medium; more than this tells it from any other.
_DIRECTORY_BYTES_MAX = 16 << 20


@dataclass(slots=True)
class Medium:
    """What was found on one medium so far.

    Attributes:
        name: tells it from others, the same when it is imported again.
        patients: a header of each patient.
        firsts: digests of the first instance of each study that the item has not yet.
    """

    name: str
    patients: list[OnMedium] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    firsts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MediaFlow:
    """Looks at what is imported from media, while it is; `cause_id` is the import's."""

    database: Database
    rules: Rules
    clock: Callable[[], datetime]
    source: str
    cause_id: str
    media: dict[Path, Medium] = field(default_factory=dict)

    def saw(self, folder: Path, imported: Imported) -> bool:
        """Look at an instance of a medium; whether there is more than one patient now.

        Raises:
            ServiceUnavailable: it could not be told.
        """
        facts = imported.facts
        medium = self.media.get(folder) or Medium(_name_of(folder))
        self.media[folder] = medium
        if facts is None or not facts.patient_scoped:
            return False
        header = on_medium(facts)
        if not any(may_be_one(header, known) for known in medium.patients):
            medium.patients.append(header)
        if facts.study_instance_uid not in medium.studies:
            medium.studies.add(facts.study_instance_uid)
            medium.firsts.append(imported.digest)
        if len(medium.patients) > 1 and medium.firsts:
            self.database.run(lambda connection: self._tell(connection, medium))
            medium.firsts.clear()
        return len(medium.patients) > 1

    def _tell(self, connection: Connection, medium: Medium) -> None:
        found = (stored.receipt_of(connection, digest) for digest in medium.firsts)
        receipts = [each for each in found if each is not None]
        if not receipts or holds.was_closed(connection, MULTI_PATIENT_MEDIA, medium.name):
            return
        first, *others = receipts
        item = holds.add_to_open(connection, None, MULTI_PATIENT_MEDIA, medium.name, first)
        if item is None:
            item = holds.open_item(
                connection,
                holds.Item("review", MULTI_PATIENT_MEDIA, medium.name, self.source),
                self._happening(connection),
                first,
            )
        for receipt in others:
            holds.add(connection, item, receipt)

    def _happening(self, connection: Connection) -> UUID:
        happening = events.Happening(
            "import",
            self.cause_id,
            self.source,
            self.rules.digest,
            self.clock(),
            explanation={"outcome": MULTI_PATIENT_MEDIA},
        )
        return events.happen(connection, happening)


def _name_of(folder: Path) -> str:
    """By its directory, wherever the medium is read; else by where it is."""
    digest = hashlib.sha256()
    try:
        found = [p for p in folder.iterdir() if p.name.upper() == DIRECTORY_NAME]
        with found[0].open("rb") as file:
            digest.update(file.read(_DIRECTORY_BYTES_MAX))
    except (OSError, IndexError):
        digest.update(str(folder.absolute()).encode("utf-8", "surrogateescape"))
    return f"medium {digest.hexdigest()[:16]}"
