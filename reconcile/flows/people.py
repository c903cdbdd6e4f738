"""People, who come in by their browser: sessions, and which role their claims give them.

A session is 256 random bits in a cookie; the database has its SHA-256 only. It ends by
time, by idleness, and when its owner leaves.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconcile.db import sessions
from reconcile.db.database import Database
from reconcile.db.sessions import Session
from reconcile.errors import NotAuthorised
from reconcile.flows.keys import Principal

#: The most that a person may do stands first: who has several roles has this one.
PRECEDENCE = ("administrator", "steward", "auditor", "reader")
#: A session is not written to more often.
_SEEN_EVERY = timedelta(minutes=1)
_NAME_CHARACTERS_MAX = 128


@dataclass(frozen=True, slots=True)
class Claims:
    """How the claims of an identity provider are read.

    Attributes:
        name: of the claim that names a person in the history.
        roles: of the claim that holds roles; parts of a path are separated by dots.
        granted_by: by role, the values that grant it; its own name where it is not there.
    """

    name: str = "preferred_username"
    roles: str = "roles"
    granted_by: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def principal(self, said: Mapping[str, Any]) -> Principal:
        """Who somebody is by what the provider says.

        Raises:
            NotAuthorised: they have no role here.
        """
        named = said.get(self.name) or said.get("sub")
        held = set(_texts(_at(said, self.roles)))
        for role in PRECEDENCE:
            if held & set(self.granted_by.get(role, (role,))):
                return Principal(str(named)[:_NAME_CHARACTERS_MAX], role)
        raise NotAuthorised("the identity provider gives this person no role here")


def _at(said: Mapping[str, Any], path: str) -> object:
    """A claim by its own name, dots or not, else by the way through nested ones."""
    if path in said:
        return said[path]
    found: object = said
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    return []


@dataclass(frozen=True, slots=True)
class People:
    """Lets people in and out.

    Attributes:
        lasts: the longest that anybody is let in for.
        idle: after so long without a request they have left.
    """

    database: Database
    clock: Callable[[], datetime]
    lasts: timedelta = timedelta(hours=8)
    idle: timedelta = timedelta(minutes=30)

    def let_in(self, who: Principal) -> str:
        """A session of somebody; the secret that their browser keeps."""
        secret, now = secrets.token_urlsafe(32), self.clock()
        row = Session(who.name, who.role, now, now + self.lasts)
        self.database.run(lambda c: sessions.open_session(c, _digest(secret), row, now))
        return secret

    def who(self, secret: str) -> Principal | None:
        """Whose session it is; None: nobody's."""
        now, digest = self.clock(), _digest(secret)
        with self.database.read_only() as connection:
            found = sessions.session(connection, digest, now, self.idle)
        if found is None:
            return None
        if now - found.seen_at > _SEEN_EVERY:
            self.database.run(lambda c: sessions.seen(c, digest, now))
        return Principal(found.actor, found.role)

    def let_out(self, secret: str) -> None:
        """End a session."""
        self.database.run(lambda c: sessions.close_session(c, _digest(secret)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
