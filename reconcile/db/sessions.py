"""Who came in by their browser; found by the digest of what it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from reconcile.db.access import web_session

_session = web_session.c


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is in."""

    actor: str
    role: str
    seen_at: datetime
    expires_at: datetime


def open_session(
    connection: Connection, digest: bytes, session: Session, now: datetime
) -> None:
    """Let somebody in; forget those whose time is over."""
    connection.execute(delete(web_session).where(_session.expires_at <= now))
    connection.execute(insert(web_session).values(digest=digest, **asdict(session)))


def session(
    connection: Connection, digest: bytes, now: datetime, idle: timedelta
) -> Session | None:
    """Who it is; None: nobody, or no longer."""
    query = select(_session.actor, _session.role, _session.seen_at, _session.expires_at)
    query = query.where(
        _session.digest == digest, _session.expires_at > now, _session.seen_at > now - idle
    )
    row = connection.execute(query).first()
    return Session(*row) if row is not None else None


def seen(connection: Connection, digest: bytes, now: datetime) -> None:
    """They are still there."""
    connection.execute(
        update(web_session).where(_session.digest == digest).values(seen_at=now)
    )


def close_session(connection: Connection, digest: bytes) -> None:
    """They leave."""
    connection.execute(delete(web_session).where(_session.digest == digest))
