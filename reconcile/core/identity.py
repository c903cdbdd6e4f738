"""Who a patient is, in the form that DICOM, HL7 and the registry can all agree on."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

#: Patient ID is LO: at most 64 characters (PS3.5 Table 6.2-1).
PATIENT_ID_CHARACTERS_MAX = 64

#: The built-in domain of Patient IDs under which held studies are given out. An ID of it
#: that comes back says nothing: it never was a patient's.
HELD_DOMAIN_NAME = "H"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, order=True)
class Issuer:
    """Assigning authority of an identifier (HL7 HD; DICOM Issuer of Patient ID).

    `universal_id_type` is one of DNS, EUI64, ISO, URI, UUID, X400, X500
    (PS3.3 Table 10-18).
    """

    namespace: str = ""
    universal_id: str = ""
    universal_id_type: str = ""

    def __bool__(self) -> bool:
        return bool(self.namespace or self.universal_id)


#: Nobody was said to be the issuer.
NO_ISSUER = Issuer()


@dataclass(frozen=True, slots=True, order=True)
class PatientIdentifier:
    """One Patient ID together with the name of the domain that makes it mean something.

    A bare ID is not an identifier: two scanners may both have called somebody "1".
    """

    value: str
    domain: str

    def __str__(self) -> str:
        return f"{self.value}^^^{self.domain}"


@dataclass(frozen=True, slots=True)
class Domain:
    """The rules of one assigning authority: whose IDs are the same, which are none."""

    name: str
    universal_id: str = ""
    universal_id_type: str = ""
    aliases: tuple[str, ...] = ()
    temporary: bool = False
    test: bool = False
    test_ids: tuple[str, ...] = ()
    reuse: bool = False
    fold_case: bool = False
    strip_zeros: bool = False
    pad_to: int = 0
    check_digit: str = ""
    deny: tuple[str, ...] = ()
    gate: str = "on"
    placeholder_names: tuple[str, ...] = ()
    placeholder_dates: tuple[str, ...] = ()

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.name, self.universal_id, self.universal_id_type)

    def is_named_by(self, issuer: Issuer) -> bool:
        """Whether `issuer` designates this domain.

        Universal IDs decide where both have one; else the local names do.
        """
        if issuer.universal_id and self.universal_id:
            return issuer.universal_id == self.universal_id
        return bool(issuer.namespace) and issuer.namespace in (self.name, *self.aliases)

    def is_test(self, value: str) -> bool:
        """Whether an ID is a test patient's: all of the domain's, or by its pattern."""
        return self.test or any(fnmatchcase(value, each) for each in self.test_ids)

    def normalise(self, raw: str) -> str:
        """The form in which two spellings of one ID are equal; `raw` itself is kept."""
        value = bare(raw)
        if self.fold_case:
            value = bare(value.upper())
        if self.strip_zeros:
            value = value.lstrip("0") or value[-1:]
        if self.pad_to and value.isdigit():
            value = value.rjust(self.pad_to, "0")
        return value

    def denies(self, raw: str) -> bool:
        """Whether `raw` is one of the IDs that say nothing ("UNKNOWN", "W/I")."""
        if says_nothing(raw):
            return True
        denied = {bare(entry).upper() for entry in self.deny}
        return self.name == HELD_DOMAIN_NAME or bare(raw).upper() in denied

    def breaks_check_digit(self, value: str) -> bool:
        return self.check_digit == "luhn" and not passes_luhn(value)


#: What programs write where they have no value: an ID in no domain.
NO_VALUES = frozenset({"NULL", "(NULL)", "<NULL>", "UNDEFINED"})


def says_nothing(raw: str) -> bool:
    """Whether an ID is a program's word for none."""
    return bare(raw).upper() in NO_VALUES


def bare(raw: str) -> str:
    """An ID without padding, in one of its encodings: "１００" is "100" (NFKC)."""
    return unicodedata.normalize("NFKC", raw).strip(" \0")


HELD_DOMAIN = Domain(HELD_DOMAIN_NAME)


def is_valid_patient_id(raw: str) -> bool:
    """Whether `raw` fits LO: no control characters and at most 64 characters."""
    value = raw.rstrip(" \0")
    return len(value) <= PATIENT_ID_CHARACTERS_MAX and not _CONTROL.search(value)


def passes_luhn(value: str) -> bool:
    """ISO/IEC 7812-1 Annex B check digit over a string of digits."""
    if not (value.isascii() and value.isdigit()):
        return False
    digits = [int(d) for d in reversed(value)]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in DICOM's order of components: family^given^middle^prefix^suffix.

    The three groups are the same name written three ways (PS3.5 section 6.2);
    like is compared with like.
    """

    alphabetic: str = ""
    ideographic: str = ""
    phonetic: str = ""

    def __bool__(self) -> bool:
        return bool(self.alphabetic or self.ideographic or self.phonetic)


@dataclass(frozen=True, slots=True)
class Demographics:
    """What is said of a person beside identifiers; empty: nothing was said.

    `birth_date` and `death_date` are DA (YYYYMMDD), or as said where less precise.
    `sex` is M, F, O or empty (PS3.3 C.7.1.1).
    """

    name: PersonName = field(default_factory=PersonName)
    birth_date: str = ""
    sex: str = ""
    death_date: str = ""
    multiple_birth: bool = False


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """What an HL7 message says of a patient, in the registry's terms.

    Fields of `cleared` were sent as `""`: delete the value. Fields absent from both
    `demographics` and `cleared` were omitted: keep what is known. `protected` is whether
    not all may see who it is; None: nothing is said of it.
    """

    identifiers: tuple[tuple[str, Issuer], ...]
    demographics: Demographics
    cleared: frozenset[str] = frozenset()
    said_at: datetime | None = None
    protected: bool | None = None
