"""Codes of SNOMED as they were once written, and as SNOMED CT writes them.

The pairs are pydicom's, generated from PS3.16 Annex O: 7 990, one to one. They stand in a
module of pydicom that is not promised to stay, so that nothing else may import them.

Source:
    PS3.16 section 8 (Coding Schemes) and Annex O.
"""

from __future__ import annotations

from functools import lru_cache

#: Coding Scheme Designators of what SCT replaced.
REPLACED = frozenset(("SRT", "SNM3", "99SDM"))


def sct_of(designator: str, value: str) -> str:
    """The SCT code of a concept that was coded in SRT; empty where there is none.

    Args:
        designator: Coding Scheme Designator (0008,0102): SRT, or SNM3 and 99SDM, which
            mean the same.
        value: Code Value (0008,0100), "T-D1100".
    """
    return _pairs().get(value, "") if designator in REPLACED else ""


@lru_cache(maxsize=1)
def _pairs() -> dict[str, str]:
    from pydicom.sr import _snomed_dict

    return dict(_snomed_dict.mapping["SRT"])
