"""What an audit message has to be: PS3.15 A.5.1 and A.5.3 as tables; a reader of syslog.

The standard's schema is in RelaxNG; its text is NEMA's and is not repeated here. What it
requires (elements in their order, how often, which attributes, which values) is told by
the tables below, from PS3.15 2023b, Section A.5.1.1, and for the messages that are sent
from the tables of A.5.3. Nothing here is shared with what makes the messages.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NUMBERS = [str(number) for number in range(1, 27)]
ANY = re.compile(r"(?s).*")
#: RELAX NG collapses the blanks of a token: any text is one.
TOKEN = ANY
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
BOOLEAN = re.compile(r"true|false|1|0")
INTEGER = re.compile(r"[+-]?\d+")
DATE_TIME = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


def one_of(*values: str) -> re.Pattern[str]:
    """A value that is enumerated."""
    return re.compile("|".join(map(re.escape, values)))


@dataclass(frozen=True)
class Kind:
    """An element: attributes (name, pattern, required), children (name, least, most)."""

    attributes: tuple[tuple[str, re.Pattern[str], bool], ...] = ()
    children: tuple[tuple[str, int, int | None], ...] = ()
    text: re.Pattern[str] = field(default_factory=lambda: re.compile(r"\s*"))


CODED = Kind(
    (
        ("csd-code", TOKEN, True),
        ("codeSystemName", TOKEN, True),
        ("displayName", TOKEN, False),
        ("originalText", TOKEN, True),
    )
)
KINDS: Mapping[str, Kind] = {
    "AuditMessage": Kind(
        children=(
            ("EventIdentification", 1, 1),
            ("ActiveParticipant", 1, None),
            ("AuditSourceIdentification", 1, 1),
            ("ParticipantObjectIdentification", 0, None),
        )
    ),
    "EventIdentification": Kind(
        (
            ("EventActionCode", one_of(*"CRUDE"), False),
            ("EventDateTime", DATE_TIME, True),
            ("EventOutcomeIndicator", one_of("0", "4", "8", "12"), True),
        ),
        (("EventID", 1, 1), ("EventTypeCode", 0, None), ("EventOutcomeDescription", 0, 1)),
    ),
    "ActiveParticipant": Kind(
        (
            ("UserID", ANY, True),
            ("AlternativeUserID", ANY, False),
            ("UserName", ANY, False),
            ("UserIsRequestor", BOOLEAN, True),
            ("NetworkAccessPointID", TOKEN, False),
            ("NetworkAccessPointTypeCode", one_of(*NUMBERS[:5]), False),
        ),
        (("RoleIDCode", 0, None), ("MediaIdentifier", 0, 1)),
    ),
    "AuditSourceIdentification": Kind(
        (("AuditEnterpriseSiteID", TOKEN, False), ("AuditSourceID", TOKEN, True)),
        (("AuditSourceTypeCode", 0, None),),
    ),
    "AuditSourceTypeCode": Kind((("csd-code", one_of(*NUMBERS[:9]), True),)),
    "ParticipantObjectIdentification": Kind(
        (
            ("ParticipantObjectID", TOKEN, True),
            ("ParticipantObjectTypeCode", one_of(*NUMBERS[:4]), False),
            ("ParticipantObjectTypeCodeRole", one_of(*NUMBERS), False),
            ("ParticipantObjectDataLifeCycle", one_of(*NUMBERS[:15]), False),
            ("ParticipantObjectSensitivity", TOKEN, False),
        ),
        (
            ("ParticipantObjectIDTypeCode", 1, 1),
            # either of them, see `problems`
            ("ParticipantObjectName", 0, 1),
            ("ParticipantObjectQuery", 0, 1),
            ("ParticipantObjectDetail", 0, None),
            ("ParticipantObjectDescription", 0, None),
        ),
    ),
    "ParticipantObjectName": Kind(text=ANY),
    "ParticipantObjectQuery": Kind(text=BASE64),
    "ParticipantObjectDetail": Kind((("type", TOKEN, True), ("value", BASE64, True))),
    "ParticipantObjectDescription": Kind(children=(("SOPClass", 0, None),)),
    "SOPClass": Kind((("UID", TOKEN, False), ("NumberOfInstances", INTEGER, True))),
    **dict.fromkeys(
        ("EventID", "EventTypeCode", "RoleIDCode", "ParticipantObjectIDTypeCode"), CODED
    ),
}

# A.5.3.2, .6, .7, .10, .11: by EventID, actions; roles that have to be there once each;
# objects (type, role, ID type) with how often at least and at most.
PATIENT, STUDY = ("1", "1", "2"), ("2", "3", "110180")
MESSAGES: Mapping[
    str, tuple[str, tuple[str, ...], Mapping[tuple[str | None, ...], range]]
] = {
    "110101": ("R", (), {("2", "13", "12"): range(1, 2)}),
    "110103": ("CRUD", (), {STUDY: range(1, 100), PATIENT: range(1, 2)}),
    "110104": (
        "CRU",
        ("110153", "110152"),
        {STUDY: range(1, 100), PATIENT: range(1, 2)},
    ),
    "110110": ("CRUD", (), {PATIENT: range(1, 2)}),
    "110112": ("E", ("110153", "110152"), {}),
}


def problems(text: str | bytes) -> list[str]:
    """What is wrong with a message; empty: it is valid."""
    root = ElementTree.fromstring(text)  # noqa: S314 - we have made it
    if root.tag != "AuditMessage":
        return [f"{root.tag} is no AuditMessage"]
    found = list(_against(root, KINDS[root.tag]))
    return found or list(_specific(root))


def _against(element: Element, kind: Kind) -> Iterator[str]:
    yield from _attributes(element, kind)
    if not kind.text.fullmatch(element.text or ""):
        yield f"{element.tag} has text"
    yield from _children(element, kind)
    for child in element:
        if child.tag in KINDS:
            yield from _against(child, KINDS[child.tag])


def _attributes(element: Element, kind: Kind) -> Iterator[str]:
    known = {name for name, _, _ in kind.attributes}
    yield from (f"{element.tag}/@{name}?" for name in set(element.attrib) - known)
    for name, pattern, required in kind.attributes:
        value = element.get(name)
        if value is None:
            if required:
                yield f"{element.tag} has no {name}"
        elif not pattern.fullmatch(value):
            yield f"{element.tag}/@{name}={value!r}"


def _children(element: Element, kind: Kind) -> Iterator[str]:
    rest = [child.tag for child in element]
    for name, least, most in kind.children:
        count = 0
        while rest and rest[0] == name:
            rest, count = rest[1:], count + 1
        if count < least or (most is not None and count > most):
            yield f"{element.tag} has {count} {name}"
    yield from (f"{element.tag} has {name} there" for name in rest)
    if element.tag == "ParticipantObjectIdentification" and (
        (element.find("ParticipantObjectName") is None)
        == (element.find("ParticipantObjectQuery") is None)
    ):
        yield "either a name or a query"


def _specific(root: Element) -> Iterator[str]:
    """The message's own table."""
    event = root[0][0].get("csd-code") or ""
    if event not in MESSAGES:
        yield f"{event} is not sent"
        return
    actions, roles, objects = MESSAGES[event]
    if (root[0].get("EventActionCode") or "-") not in actions:
        yield f"{event} with {root[0].get('EventActionCode')}"
    played = [role.get("csd-code") for role in root.iter("RoleIDCode")]
    yield from (f"role {role} is not once" for role in roles if played.count(role) != 1)
    asking = [p.get("UserIsRequestor") for p in root.iter("ActiveParticipant")]
    if asking.count("true") > 1:
        yield "several have asked for it"
    there: list[tuple[str | None, ...]] = [
        (
            each.get("ParticipantObjectTypeCode"),
            each.get("ParticipantObjectTypeCodeRole"),
            each[0].get("csd-code"),
        )
        for each in root.iter("ParticipantObjectIdentification")
    ]
    for kind, often in objects.items():
        if there.count(kind) not in often:
            yield f"{event} has {there.count(kind)} of {kind}"
    for study in root.iter("ParticipantObjectIdentification"):
        transferred = event == "110104" and study[0].get("csd-code") == "110180"
        if transferred and study.find("ParticipantObjectDescription/SOPClass") is None:
            yield "a study without SOP classes"


# -- Syslog -------------------------------------------------------------------------

HEADER = re.compile(
    rb"<(\d{1,3})>1 (\S+) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128})"
    rb" ([\x21-\x7e]{1,32}) - \xef\xbb\xbf(.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Logged:
    """A syslog message as it was read."""

    priority: int
    at: datetime
    msgid: str
    root: Element

    @property
    def event(self) -> str:
        return self.root[0][0].get("csd-code") or ""

    @property
    def action(self) -> str:
        return self.root[0].get("EventActionCode") or ""

    def objects(self, code: str) -> list[Element]:
        """Objects whose ID is of this type."""
        found = self.root.iter("ParticipantObjectIdentification")
        return [each for each in found if each[0].get("csd-code") == code]

    def ids(self, code: str) -> list[str]:
        return [each.get("ParticipantObjectID") or "" for each in self.objects(code)]

    @property
    def details(self) -> dict[str, str]:
        """Of all objects together."""
        return {
            each.get("type") or "": base64.b64decode(each.get("value") or "").decode()
            for each in self.root.iter("ParticipantObjectDetail")
        }


def frames(stream: bytes) -> Iterator[bytes]:
    """The messages of a stream (RFC 5425 section 4.3); what is cut is left out."""
    at = 0
    while at < len(stream):
        length = re.compile(rb"([1-9]\d{0,9}) ").match(stream, at)
        assert length, stream[at : at + 40]
        begin, size = length.end(), int(length[1])
        if begin + size > len(stream):
            return
        yield stream[begin : begin + size]
        at = begin + size


def logged(message: bytes) -> Logged:
    """A message that is valid in every respect; else an AssertionError says why."""
    header = HEADER.fullmatch(message)
    assert header, message[:80]
    assert len(message) <= 32768
    found = problems(header[7])
    assert not found, found
    at = datetime.fromisoformat(header[2].decode())
    root = ElementTree.fromstring(header[7])  # noqa: S314 - we have made it
    return Logged(int(header[1]), at, header[6].decode(), root)
