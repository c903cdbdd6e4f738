"""The configuration in force, for people to read: all of it but secrets.

An address may hold a password or a key in its user part, its path or its query. Of such
a value only where it leads is shown: scheme and host.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from reconcile.settings.model import Settings

#: Of a key whose name ends so, the value is an address that may hold a secret.
_ADDRESSES = ("url",)

#: Of a key whose name says so, the value is not shown at all; a file's name may be.
_SECRETS = ("password", "secret", "token")

Row = tuple[str, str, bool]
Table = tuple[str, tuple[Row, ...]]


def in_force(settings: Settings) -> tuple[Table, ...]:
    """Tables as the file heads them: rows of key, value, and whether it is the default."""
    found: list[Table] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            found.append((f"[{name}]", _rows(value)))
        elif isinstance(value, tuple):
            found += [(f"[[{name}]]", _rows(each)) for each in value]
    return tuple(found)


def _rows(table: BaseModel) -> tuple[Row, ...]:
    fields = type(table).model_fields
    return tuple(
        (name, _said(name, value), value == fields[name].default)
        for name in fields
        if (value := getattr(table, name)) is not None
    )


def _said(name: str, value: Any) -> str:
    """A value as the file spells it."""
    if isinstance(value, str) and name.endswith(_ADDRESSES):
        value = _without_secrets(value)
    elif value and name.endswith(_SECRETS):
        return "(kept back)"
    return json.dumps(value, ensure_ascii=False, default=str)


def _without_secrets(url: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…"
