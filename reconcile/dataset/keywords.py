"""Tags and keywords of the data dictionary (PS3.6)."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.datadict import keyword_for_tag, tag_for_keyword


def keyword(tag: str) -> str:
    """The keyword of a tag; the tag itself where it has none."""
    return keyword_for_tag(int(tag, 16)) or tag


def keywords(tags: Iterable[str]) -> tuple[str, ...]:
    """The keywords of tags, in order."""
    return tuple(keyword(tag) for tag in tags)


def tag_of(name: str) -> str | None:
    """The tag of a keyword, or of a tag written as eight hex digits; None: unknown."""
    found = tag_for_keyword(name)
    if found is not None:
        return f"{found:08X}"
    is_tag = len(name) == 8 and all(c in "0123456789abcdefABCDEF" for c in name)
    return name.upper() if is_tag else None
