"""Who may come in: API keys, made once, shown once, recognised by their digest.

A key is `rk_PREFIX_SECRET`. It is found by its prefix and compared in constant time.
The secret has 256 random bits, so that a plain SHA-256 of it can be neither guessed
nor looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from reconcile.db import keys, views_keys
from reconcile.db.database import Database
from reconcile.errors import WrongUse

ROLES = ("reader", "steward", "administrator", "auditor")

_KEY = re.compile(r"(rk_[0-9a-f]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks; `source` is the AE title that a key stores as, where it has one."""

    name: str
    role: str
    source: str = ""


def make_key(database: Database, *, name: str, role: str, source: str = "") -> str:
    """A new key; this is the only time that it can be seen.

    Raises:
        WrongUse: there is no such role, or the name is empty.
    """
    if role not in ROLES:
        raise WrongUse(f"a role is one of {', '.join(ROLES)}")
    if not name.strip():
        raise WrongUse("a key needs a name: who uses it")
    prefix = f"rk_{secrets.token_hex(6)}"
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    row = keys.NewKey(name, role, prefix, _digest(key), source or None)
    database.run(lambda connection: keys.add(connection, row))
    return key


def revoke_key(database: Database, prefix: str) -> None:
    """Let the key that begins so open nothing any more.

    Raises:
        NotFound: there is none.
    """
    database.run(lambda c: keys.revoke(c, prefix))


def principal(database: Database, presented: str) -> Principal | None:
    """Whose key was presented; None: nobody's.

    Raises:
        ServiceUnavailable: the database is away, so nobody can be known.
    """
    form = _KEY.fullmatch(presented)
    if form is None:
        return None
    with database.read_only() as connection:
        found = views_keys.live_key(connection, form[1])
    if found is None or not hmac.compare_digest(found[1], _digest(presented)):
        return None
    return Principal(found[0].name, found[0].role, found[0].source or "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("ascii")).digest()
