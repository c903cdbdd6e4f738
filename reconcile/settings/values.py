"""Kinds of values in the configuration; each says in words what it allows."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address` ("HOST:PORT").

    Nobody reaches a closed door ("").
    """
    host = address.rpartition(":")[0].strip("[]")
    if host in ("", "localhost"):
        return not address or host == "localhost"
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(value: str) -> str:
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})", value)
    if value and (match is None or int(match[1]) > 65535):
        raise ValueError('"HOST:PORT" with a port of 0 to 65535, or "" for a closed door')
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError('a name such as "Europe/Vienna" or "UTC"') from error
    return value


def _network(value: str) -> str:
    try:
        if value:
            ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError('an IP address or a network such as "192.0.2.0/24"') from error
    return value


def _web_address(value: str) -> str:
    """An address without a password in it: the configuration holds no secrets."""
    allowed = '"http://HOST/PATH" or "https://HOST/PATH" without user and password, or ""'
    try:
        said = urlsplit(value)
        known = said.scheme in ("http", "https") and said.hostname and said.port != 0
    except ValueError:
        raise ValueError(allowed) from None
    if value and (not known or "@" in said.netloc or re.search(r"[^!-~]", value)):
        raise ValueError(allowed)
    return value


def _matching(pattern: str, allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


_NAME = r"(?! )[^\x00-\x1f\\^&|~]{1,64}(?<! )"
_DRIVER = "postgresql+psycopg://"

# Port 0: any free port.
Address = Annotated[str, AfterValidator(_address)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Network = Annotated[str, AfterValidator(_network)]
# AE: at most 16 characters, no backslash, padding is no part of it (PS3.5 Table 6.2-1).
AETitle = Annotated[
    str,
    _matching(
        r"(?! )[ -\[\]-~]{1,16}(?<! )",
        "1 to 16 ASCII characters without backslash or space at an end",
    ),
]
# LO and HD; the separators of HL7 and of a DICOM multi-value cannot be part of it.
Name = Annotated[
    str,
    _matching(_NAME, "1 to 64 characters without \\ ^ & | ~"),
]
OptionalName = Annotated[str, _matching(rf"|{_NAME}", 'a name, or ""')]
# Room for "." and the 39 digits of a UUID in the 64 characters of a UID (PS3.5 B.2).
UidRoot = Annotated[
    str,
    _matching(r"(?=.{3,24}$)[0-2](\.(0|[1-9]\d*))+", "a UID root of at most 24 characters"),
]
DatabaseUrl = Annotated[
    str,
    _matching(r"|postgresql(\+psycopg)?://.*", 'postgresql://USER@HOST/DATABASE, or ""'),
    AfterValidator(lambda url: re.sub(r"^postgresql(\+psycopg)?://", _DRIVER, url)),
    Field(repr=False),
]
StorageUrl = Annotated[
    str, _matching(r"|file:///.+", '"file:///FOLDER", or "" for a folder under the data')
]
WebAddress = Annotated[str, AfterValidator(_web_address), Field(repr=False)]
# RFC 5321 4.1.2, without the quoted forms that nobody uses.
MailAddress = Annotated[
    str,
    _matching(
        r"|[^\x00-\x20\x7f-\uffff<>,;:\"@]+@[\w.-]+",
        'an address such as "a@example.org", or ""',
    ),
]
Date = Annotated[str, _matching(r"\d{8}", "a date as YYYYMMDD")]
Show = Literal["separate", "hidden"]
Role = Literal["reader", "steward", "administrator", "auditor"]
Rejects = Literal["hide", "keep"]
Expires = Literal["hide", "keep", "delete"]
DeletedAgain = Literal["refuse", "store"]
TimeOfDay = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")]
NoteCodes = Annotated[
    tuple[Literal["113001", "113037", "113038", "113039"], ...], Field(strict=False)
]
ComesAgain = Literal["ignore", "restore", "refuse"]
HoldCode = Annotated[str, _matching(r"[A-Z][A-Z0-9-]*", "a code of holds")]
# PS3.3 Table 10-18.
UniversalIdType = Literal["", "DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"]
# TOML has lists, a frozen value has tuples.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Dates = Annotated[tuple[Date, ...], Field(strict=False)]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
# What people and systems can be told of.
Told = Literal["hold", "message", "review", "study-received", "study-changed"]
AllTold = Annotated[tuple[Told, ...], Field(strict=False, min_length=1)]
HoldCodes = Annotated[tuple[HoldCode, ...], Field(strict=False)]
