"""Value representations: how each is framed, padded, bounded, and which tag has which.

Transcribed from PS3.5 Table 6.2-1 and section 7.1.2; the VR of a tag is looked up in
pydicom's data dictionary (PS3.6). No byte of a data set is read here.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom import datadict

# PS3.5 Table 7.1-1: VRs with two reserved bytes and a 32-bit length. All VRs that
# the standard will ever add are of this form (PS3.5 section 6.2).
LONG = frozenset(
    ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
)
# PS3.5 Table 7.1-2: VRs with a 16-bit length.
SHORT = frozenset(
    [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
KNOWN = LONG | SHORT

# PS3.5 section 6.1.2.3: VRs whose text is in the Specific Character Set.
CHARSET_TEXT = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
# Text of the default repertoire only.
PLAIN_TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"])
TEXT = CHARSET_TEXT | PLAIN_TEXT
# PS3.5 Table 6.2-1: text in which a backslash is a character and not a delimiter.
SINGLE_VALUED = frozenset(["LT", "ST", "UR", "UT"])

# PS3.5 Table 6.2-1: most characters of one value; of PN, of one component group.
CHARACTERS_MAX = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 8,
    "DS": 16,
    "DT": 26,
    "IS": 12,
    "LO": 64,
    "LT": 10240,
    "PN": 64,
    "SH": 16,
    "ST": 1024,
    "TM": 14,
    "UI": 64,
}

# PS3.5 Table 6.2-1: bytes of one value of the binary VRs, and of one word of the
# streams that change with the byte order.
NUMBER_FORMAT = {
    "FD": "d",
    "FL": "f",
    "SL": "i",
    "SS": "h",
    "SV": "q",
    "UL": "I",
    "US": "H",
    "UV": "Q",
}
WORD_BYTES = {"OB": 1, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "UN": 1}
# PS3.5 section 7.3: bytes that are turned round together in another byte order.
TURNED_BYTES = WORD_BYTES | {"AT": 2, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8}
TURNED_BYTES |= {"UL": 4, "US": 2, "UV": 8}

_AMBIGUOUS = {
    "US or SS": "US",
    "US or OW": "US",
    "US or SS or OW": "US",
    "OB or OW": "OW",
    "NONE": "UN",
}


def is_private(tag: int) -> bool:
    """Whether the tag is of an odd group (PS3.5 section 7.8)."""
    return bool(tag >> 16 & 1)


def is_private_creator(tag: int) -> bool:
    """Whether the element reserves a private block (PS3.5 section 7.8.1)."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


@lru_cache(maxsize=16384)
def dictionary_vr(tag: int) -> str:
    """The VR of a tag by PS3.6; UN where nothing is known of it."""
    if tag & 0xFFFF == 0:
        return "UL"
    if is_private(tag):
        return "LO" if is_private_creator(tag) else "UN"
    try:
        found = str(datadict.dictionary_VR(tag))
    except KeyError:
        return "UN"
    return _AMBIGUOUS.get(found, found)


@lru_cache(maxsize=16384)
def dictionary_vrs(tag: int) -> frozenset[str]:
    """Every VR that PS3.6 allows a tag; none where nothing is known of it."""
    if tag & 0xFFFF == 0 or is_private(tag):
        return frozenset((dictionary_vr(tag),)) - {"UN"}
    try:
        return frozenset(str(datadict.dictionary_VR(tag)).split(" or ")) - {"NONE"}
    except KeyError:
        return frozenset()


@lru_cache(maxsize=16384)
def dictionary_vm(tag: int) -> tuple[int, int, int] | None:
    """The VM of a tag by PS3.6: at least, at most (0: any number), in steps of.

    None where nothing is known of it.
    """
    if is_private(tag):
        return (1, 1, 1) if is_private_creator(tag) else None
    try:
        least, _, most = datadict.dictionary_VM(tag).partition("-")
    except KeyError:
        return None
    if not most:
        return int(least), int(least), 1
    if most.endswith("n"):
        return int(least), 0, int(most[:-1] or 1)
    return int(least), int(most), 1


def pad(value: bytes, vr: str) -> bytes:
    """`value` at even length (PS3.5 sections 6.2 and 7.1.1)."""
    if len(value) % 2 == 0:
        return value
    return value + (b" " if vr in TEXT and vr != "UI" else b"\0")
