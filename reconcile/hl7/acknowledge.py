"""Acknowledgements in original mode: MSH, MSA, ERR.

Written with the sender's own delimiters, so that what is repeated of its header is
repeated as it stands.

Source: HL7 v2.5.1 sections 2.9.2, 2.15.5 (ERR), 2.15.8 (MSA); IHE ITI TF-2 Appendix C.
"""

from __future__ import annotations

import re
from datetime import datetime

from reconcile.flows.message import Fault, Outcome
from reconcile.hl7.message import Header
from reconcile.hl7.syntax import Syntax, one_line

#: HL7 table 0357, message error condition codes.
CONDITIONS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}

#: ERR-8 is TX 250.
_TEXT_CHARACTERS_MAX = 250
_VERSION = re.compile(r"2\.([0-4])(\.|$)")


def acknowledge(
    header: Header, outcome: Outcome, *, control_id: str, at: datetime
) -> bytes:
    """The acknowledgement of a message.

    Args:
        header: of the message; its sender becomes the receiver.
        outcome: what became of it.
        control_id: MSH-10 of the acknowledgement.
        at: when it is sent; time zone aware.
    """
    syntax = header.segment.syntax
    segments = [
        _msh(header, control_id, at),
        ["MSA", outcome.acknowledgement, header.segment.field(10)],
        *_err(header, outcome),
    ]
    text = "".join(syntax.field.join(segment) + "\r" for segment in segments)
    if text.isascii():
        return text.encode("ascii")
    segments[0] += [""] * (17 - len(segments[0])) + [header.segment.field(18)]
    text = "".join(syntax.field.join(segment) + "\r" for segment in segments)
    return text.encode(syntax.codec, "replace")


def acknowledge_unreadable(outcome: Outcome, *, control_id: str, at: datetime) -> bytes:
    """The acknowledgement of what has no readable MSH: MSA-2 stays empty."""
    assert outcome.fault is not None
    syntax = Syntax()
    start = ["MSH", "^~\\&", "", "", "", "", _ts(at), "", "ACK", control_id, "P", "2.5"]
    segments = [
        start,
        ["MSA", outcome.acknowledgement, ""],
        _err_now(syntax, outcome.fault, "E"),
    ]
    return "".join("|".join(segment) + "\r" for segment in segments).encode("ascii")


def _msh(header: Header, control_id: str, at: datetime) -> list[str]:
    msh, syntax = header.segment, header.segment.syntax
    event = syntax.escape(header.event)
    name = syntax.component.join(["ACK", event, "ACK"]) if event else "ACK"
    parties = [msh.field(number) for number in (5, 6, 3, 4)]
    as_sent = [msh.field(11) or "P", msh.field(12) or "2.5"]
    return ["MSH", msh.field(2), *parties, _ts(at), "", name, control_id, *as_sent]


def _err(header: Header, outcome: Outcome) -> list[list[str]]:
    """ERR, where there is a problem to tell.

    What is accepted although it waits for a person is a warning, which only versions
    that have severities (2.5 on) can say.
    """
    fault, syntax = outcome.fault, header.segment.syntax
    accepted = outcome.acknowledgement == "AA"
    if fault is None:
        return []
    if _VERSION.match(header.version):
        return [] if accepted else [_err_before_25(syntax, fault)]
    if accepted:
        return [_err_now(syntax, Fault("0", fault.text, fault.location), "W")]
    return [_err_now(syntax, fault, "E")]


def _err_now(syntax: Syntax, fault: Fault, severity: str) -> list[str]:
    location = fault.location.replace("^", syntax.component)
    coded = [fault.code, CONDITIONS.get(fault.code, ""), "HL70357"]
    text = syntax.escape(one_line(fault.text)[:_TEXT_CHARACTERS_MAX])
    return ["ERR", "", location, syntax.component.join(coded), severity, "", "", "", text]


def _err_before_25(syntax: Syntax, fault: Fault) -> list[str]:
    """ERR-1: segment, sequence, field and code in one, the code in subcomponents."""
    place = [*fault.location.split("^"), "", ""][:3]
    coded = [fault.code, CONDITIONS.get(fault.code, ""), "HL70357"]
    return ["ERR", syntax.component.join([*place, syntax.subcomponent.join(coded)])]


def _ts(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S%z")
