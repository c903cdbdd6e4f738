"""What the modules of PS3.3 ask for, as text: one attribute a line, by its path.

    [name]                      a module, or what several have in common
    + other                     all of another one, at this place
    Sequence/Attribute = value  in all items that are there; in a new one if there are none
    Sequence#2/Attribute = ...  in the second item, made if it is not there
    Sequence = (A B words) ...  code sequence: value, scheme and meaning of each
    Sequence = >1.1.2           a reference to an instance of this class; "[]": no item
    Attribute = @name           a UID, the same wherever an instance has this name
    -Path                       none
    ?Path = value               only in items that are there, and have none

Several values stand apart by a backslash; bytes are hexadecimal, "*n" repeats them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from tests.support.instances import uid
from tests.support.iods_items import ROOT, code, reference

_FILE = Path(__file__).with_name("iods_modules.txt")
_CODE = re.compile(r"\((\S+) (\S+) ([^)]+)\)")
_STEP = re.compile(r"(\w+)(?:#(\d+))?")
_BINARY = ("OB", "OW", "OD", "OF", "OL", "OV", "UN")

Line = tuple[str, str]


def _read(text: str) -> dict[str, list[Line]]:
    modules: dict[str, list[Line]] = {}
    lines: list[Line] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("["):
            lines = modules.setdefault(line.strip("[]"), [])
        elif not line.startswith("--"):
            path, _, value = line.partition("=")
            lines.append((path.strip(), value.strip()))
    return modules


MODULES = _read(_FILE.read_text(encoding="utf-8"))


def fill(dataset: Dataset, *modules: str) -> None:
    """Give a data set the attributes of modules, in place of those it has."""
    names: dict[str, str] = {}
    for path, value in (line for module in modules for line in _lines(module)):
        *steps, keyword = path.lstrip("-?").split("/")
        assert tag_for_keyword(keyword), path
        for place in list(places(dataset, steps, make=not path.startswith(("-", "?")))):
            if path.startswith("-") and keyword in place:
                delattr(place, keyword)
            elif not (path.startswith("-") or (path.startswith("?") and keyword in place)):
                setattr(place, keyword, _value(keyword, value, names))


def _lines(module: str) -> Iterator[Line]:
    for path, value in MODULES[module]:
        if path.startswith("+"):
            yield from _lines(path[1:].strip())
        else:
            yield path, value


def places(dataset: Dataset, steps: list[str], make: bool = True) -> Iterator[Dataset]:
    """The items at the end of a path; made where there are none, or passed over."""
    if not steps:
        yield dataset
        return
    matched = _STEP.fullmatch(steps[0])
    assert matched, steps
    keyword, number = matched.groups()
    items = list(getattr(dataset, keyword, None) or [])
    if make and len(items) < int(number or 1):
        items += [Dataset() for _ in range(int(number or 1) - len(items))]
        setattr(dataset, keyword, items)
    for each in items[int(number) - 1 : int(number)] if number else items:
        yield from places(each, steps[1:], make)


def _value(keyword: str, text: str, names: dict[str, str]) -> object:
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        return _items(text)
    if text.startswith("@"):
        return names.setdefault(text, uid())
    if vr.split()[0] in _BINARY and "or" not in vr.split()[1:2]:
        value, _, times = text.partition("*")
        return bytes.fromhex(value) * int(times or 1)
    if not text:
        return None if vr in _NUMBERS else ""
    values = [_NUMBERS.get(vr.split()[0], str)(each) for each in text.split("\\")]
    return values if len(values) > 1 else values[0]


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag, keyword
    return tag


_NUMBERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV", "IS"), int),
    **dict.fromkeys(("FL", "FD"), float),
    "AT": _tag,
}


def _items(text: str) -> list[Dataset]:
    if text.startswith(">"):
        return [reference(ROOT + each.strip()) for each in text[1:].split(">")]
    return [code(*found.groups()) for found in _CODE.finditer(text)]
