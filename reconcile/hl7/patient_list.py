"""A row of a list of patients as the messages that say the same: ADT^A28, A31 and A40.

So a list takes the way that a feed's messages take: kept before it is acted on, acted on
once, held where it contradicts what is known, and replayed when that is mended.

Source: HL7 v2.5.1 sections 3.3.28 (A28), 3.3.31 (A31), 3.3.40 (A40).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconcile.core.facts import Feed
from reconcile.errors import DataTypeError
from reconcile.hl7.syntax import Syntax

#: What may stand in a list of patients; the names of its columns.
FIELDS = (
    "patient_id",
    "domain",
    "other_ids",
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "name_prefix",
    "name_suffix",
    "birth_date",
    "sex",
    "death_date",
    "multiple_birth",
    "merged_into",
)
REQUIRED = ("patient_id",)

_SYNTAX = Syntax()
_NAME = ("family_name", "given_name", "middle_name", "name_suffix", "name_prefix")
#: PN has the prefix before the suffix, XPN behind it (PS3.5 section 6.2; HL7 2A.88).
_FROM_PN = (0, 1, 2, 4, 3)
_GROUPS = ("A", "I", "P")
_SEXES = frozenset({"", "M", "F", "O", "A", "N", "U"})
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_FILE_CHARACTERS_MAX = 80


class BadRow(DataTypeError):
    """A row cannot be said as a message; the text names no value of it."""


@dataclass(frozen=True, slots=True)
class PatientList:
    """Makes messages of rows.

    Attributes:
        file: its name; with the line it is the control id of a row's message.
        feed: who says it.
        drawn_at: when the list was drawn; what was said later is not overwritten.
        domain: of IDs that name none.
        dates: format of dates as `strptime` knows it; empty: as HL7 or ISO 8601 write
            them.
    """

    file: str
    feed: Feed
    drawn_at: datetime
    domain: str = ""
    dates: str = ""

    def patient(self, line: int, row: Mapping[str, str]) -> bytes:
        """The message that tells of a patient.

        Raises:
            BadRow: it has no ID, or a value that cannot be said.
        """
        event = "A31" if row.get("merged_into") else "A28"
        return self._message(line, event, [self._pid(row), "PV1||N"])

    def merge(self, line: int, row: Mapping[str, str]) -> bytes:
        """The message that tells into whom a patient was merged.

        Raises:
            BadRow: it has no ID.
        """
        surviving = self._identifier(row["merged_into"], row)
        prior = self._identifier(row["patient_id"], row)
        return self._message(line, "A40", [f"PID|||{surviving}", f"MRG|{prior}"])

    def identifier(self, line: int, row: Mapping[str, str]) -> bytes:
        """The message that tells of a patient by nothing but the ID.

        Raises:
            BadRow: it has none.
        """
        named = self._identifier(row["patient_id"], row)
        return self._message(line, "A31", [f"PID|||{named}", "PV1||N"])

    def order(self, line: int, row: Mapping[str, str], issuer: str) -> bytes:
        """The message that tells by which order a study was made, and that it is done.

        Raises:
            BadRow: it has no ID.
        """
        named = self._identifier(row["patient_id"], row)
        accession = _escape(row["accession_number"])
        obr = [""] * 19
        obr[0], obr[1] = "OBR", "1"
        obr[18] = f"{accession}^{_escape(issuer)}".rstrip("^")
        segments = [f"PID|||{named}", f"ORC|NW||{accession}||CM", "|".join(obr)]
        return self._message(line, "O01", segments)

    def _message(self, line: int, event: str, segments: Sequence[str]) -> bytes:
        at = self.drawn_at.strftime("%Y%m%d%H%M%S%z")
        kind = "ORM" if event == "O01" else "ADT"
        evn = [] if event == "O01" else [f"EVN|{event}|{at}"]
        said = "\r".join([*evn, *segments]) + "\r"
        number = self._control_id(line, said)
        sender = (_escape(part) for part in (self.feed.application, self.feed.facility))
        head = ["MSH", "^~\\&", *sender, "", "", at, "", f"{kind}^{event}", number]
        head += ["P", "2.5.1", *[""] * 5, "UNICODE UTF-8"]
        return ("|".join(head) + "\r" + said).encode()

    def _control_id(self, line: int, said: str) -> str:
        """File and line, and what tells a row that was changed from the one before."""
        digest = hashlib.sha256(said.encode()).hexdigest()[:8]
        return f"{_escape(self.file[:_FILE_CHARACTERS_MAX])}/{line}/{digest}"

    def _pid(self, row: Mapping[str, str]) -> str:
        others = [each for each in row.get("other_ids", "").split("~") if each.strip()]
        named = [self._identifier(row["patient_id"], row)]
        named += [self._identifier(each, {}) for each in others]
        fields = [""] * 31
        fields[0], fields[3] = "PID", "~".join(named)
        fields[5] = "~".join(_names(row))
        fields[7] = self._date(row, "birth_date")
        fields[8] = _one_of(row, "sex", _SEXES)
        fields[24] = _one_of(row, "multiple_birth", frozenset({"", "Y", "N"}))
        fields[29] = self._date(row, "death_date")
        fields[30] = "Y" if fields[29] else ""
        return "|".join(fields).rstrip("|")

    def _identifier(self, said: str, row: Mapping[str, str]) -> str:
        """CX of "100" or of "100^^^A"; its domain as it says, else as its row does."""
        value, *rest = said.strip().split("^")
        if not value.strip():
            raise BadRow("an ID is missing")
        domain = rest[2] if len(rest) > 2 else (row.get("domain") or self.domain)
        return f"{_escape(value)}^^^{_authority(domain)}".rstrip("^")

    def _date(self, row: Mapping[str, str], field: str) -> str:
        said = row.get(field, "")
        if not said or not self.dates:
            return _escape(said)
        try:
            found = datetime.strptime(said, self.dates)  # noqa: DTZ007 - a day
        except ValueError:
            raise BadRow(f"{field} is not written as {self.dates}") from None
        return found.strftime("%Y%m%d")


def _authority(domain: str) -> str:
    """HD of a namespace, an OID, or "namespace&OID&ISO"."""
    if _OID.fullmatch(domain.strip()):
        return f"&{domain.strip()}&ISO"
    return "&".join(_escape(part.strip()) for part in domain.split("&"))


def _names(row: Mapping[str, str]) -> Iterator[str]:
    """XPN repetitions of a PN, or of the parts of a name."""
    parts = [row.get(name, "") for name in _NAME]
    if any(parts):
        yield _xpn(parts, "A")
        return
    for group, said in zip(_GROUPS, row.get("name", "").split("="), strict=False):
        told = [*said.split("^"), "", "", "", ""]
        if any(told):
            yield _xpn([told[place] for place in _FROM_PN], group)


def _xpn(parts: Sequence[str], group: str) -> str:
    said = "^".join(_escape(part.strip()) for part in parts)
    return f"{said}^^L^{group}"


def _one_of(row: Mapping[str, str], field: str, allowed: frozenset[str]) -> str:
    said = row.get(field, "").upper()
    if said not in allowed:
        raise BadRow(f"{field} is none of {', '.join(sorted(allowed - {''}))}")
    return said


def _escape(text: str) -> str:
    return _SYNTAX.escape(text)
