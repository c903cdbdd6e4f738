"""The configuration in force, as flows need it; the shell makes it from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconcile.core.identity import HELD_DOMAIN, Domain
from reconcile.core.rejection import Treatment


@dataclass(frozen=True, slots=True)
class Rules:
    """What decisions are made by, beside facts.

    Attributes:
        domains: by name, the built-in ones included.
        digest: of the configuration that decisions depend on; every happening keeps it.
        modifying_system: (0400,0563).
        uid_root: of the UIDs that this archive makes.
        show: "separate" or "hidden", what becomes of a held study at once.
        show_codes: the same for single hold codes.
        temporary_hours: how long a patient of a temporary domain whom only images have
            told of is on nobody's worklist.
        rejection: what titles of rejection notes do, by DCM code.
        readmits: whether what was deleted is stored when it comes again, by who wanted it
            to be deleted.
        note_days: how long a deletion that a rejection note wants can be cancelled.
        remember_days: how long what a person decided holds for what comes later.
    """

    domains: Mapping[str, Domain]
    archive_domain: str
    digest: str
    modifying_system: str = "RECONCILE"
    deidentified_domain: str = "D"
    uid_root: str = "2.25"
    show: str = "separate"
    show_codes: Mapping[str, str] = field(default_factory=dict)
    temporary_hours: int = 24
    remember_days: int = 365
    rejection: Mapping[str, Treatment] = field(default_factory=dict)
    readmits: Mapping[str, bool] = field(default_factory=dict)
    note_days: int = 30

    def hides(self, code: str) -> bool:
        """Whether what is held for `code` is kept from being given out."""
        return self.show_codes.get(code, self.show) == "hidden"


def built_in(
    domains: Mapping[str, Domain], *, archive: str, deidentified: str
) -> dict[str, Domain]:
    """The configured domains and those that are always there."""
    always = {name: Domain(name) for name in (archive, deidentified, HELD_DOMAIN.name)}
    return {**always, **domains}
