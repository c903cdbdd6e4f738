"""The 88 situations from practice, and where each stands in this release.

A row that is driven through the doors has a test of its number (`test_row_12_...`, or
`test_rows_67_68_...`). `waits` names what of it, or all of it, a later part of the
product will show; a row without tests has to say what it waits for.
"""

from __future__ import annotations

from typing import NamedTuple

ROWS_COUNT = 88

PRIVACY = "roles that may see protected patients"


class Row(NamedTuple):
    """One row.

    Attributes:
        what: it is about.
        waits: for what; empty: it is shown as a whole.
        argued: the decision (a file of docs/adr) where its result is another one here.
    """

    what: str
    waits: str = ""
    argued: str = ""


ROWS: dict[int, Row] = {
    # A. Identity and issuer
    1: Row("an ID with its issuer"),
    2: Row("a bare ID that is another person's there"),
    3: Row("a bare ID, and no default issuer"),
    4: Row("one local ID in two sites"),
    5: Row("a domain by its OID and by its name"),
    6: Row("an issuer that is not configured"),
    7: Row("no ID, but an order"),
    8: Row("neither ID nor order"),
    9: Row("a known ID among the other patient IDs"),
    10: Row("IDs of two persons in one message"),
    # B. Identifier normalisation
    11: Row("padding"),
    12: Row("leading zeros"),
    13: Row("case"),
    14: Row("HL7 components and second values in an ID"),
    15: Row("an ID that is none"),
    16: Row("an ID that is somebody else all of a sudden"),
    17: Row("IDs that say nothing"),
    # C. The gate
    18: Row("name components exchanged"),
    19: Row("day and month exchanged"),
    20: Row("a new family name"),
    21: Row("mother or junior"),
    22: Row("another sex"),
    23: Row("an initial, and no birth date"),
    24: Row("placeholders"),
    25: Row("character sets"),
    26: Row("a study after death"),
    # D. Newborn, temporary, test
    27: Row("a newborn is given a name"),
    28: Row("two newborns of one name"),
    29: Row("a trauma patient"),
    30: Row("a temporary ID merged into a real one"),
    31: Row("a temporary ID changed"),
    32: Row("a test patient"),
    33: Row("a test patient merged with a real one"),
    34: Row("a domain without the gate"),
    # E. Merge
    35: Row("a merge"),
    36: Row("the same merge again"),
    37: Row("a merge of one with itself"),
    38: Row("a chain of merges"),
    39: Row("a merge of one who is merged elsewhere"),
    40: Row("a merge before anything else"),
    41: Row("a merge by who may not"),
    42: Row("a merge across domains"),
    43: Row("a merge that a steward forbade"),
    44: Row("merges of older versions, of visits and accounts"),
    # F. Unmerge, move, split
    45: Row("a study assigned to another person"),
    46: Row("an unlink of what was never linked"),
    47: Row("an ID moved to another person"),
    48: Row("a visit moved"),
    # G. Order of arrival, replay, concurrency
    49: Row("images before the message that fits"),
    50: Row("images before the message that contradicts"),
    51: Row("an image under the old ID after a merge"),
    52: Row("an order for one of a person's IDs"),
    53: Row("the same message after a crash"),
    54: Row("a merge and its inverse at once"),
    55: Row("64 stores of a new study at once"),
    56: Row("no registry"),
    57: Row("cancelled admissions, deleted persons"),
    # H. Study level
    58: Row("one accession of two issuers"),
    59: Row("the next image after a resolution"),
    60: Row("a wrong resolution taken back"),
    61: Row("media with two patients"),
    62: Row("a protected patient", PRIVACY),
    63: Row("a correction of what was forwarded"),
    # I. Audit
    64: Row("a decision that is told"),
    65: Row("a history that was tampered with"),
    # J. Studies, orders, duplicates, corrections
    66: Row("yesterday's name"),
    67: Row("an order with a Study UID"),
    68: Row("a second study for it"),
    69: Row("an order of two procedures"),
    70: Row("one acquisition for two orders"),
    71: Row("an order after its images"),
    72: Row("an order after its images were used"),
    73: Row("a late order without a UID"),
    74: Row("an order that moves to another patient"),
    75: Row("an order cancelled after its images"),
    76: Row("the same instance again"),
    77: Row("our own export comes back"),
    78: Row("the same in another transfer syntax"),
    79: Row("other header under a taken UID"),
    80: Row("other pixels under a taken UID"),
    81: Row("appended after a merge, then unmerged"),
    82: Row("removed identity"),
    83: Row("removed identity from a trusted node"),
    84: Row("a performed step before its images"),
    85: Row("a performed step of the wrong worklist entry"),
    86: Row("an accession that is too long"),
    87: Row("a name beyond the character set"),
    88: Row("a held emergency study"),
}
