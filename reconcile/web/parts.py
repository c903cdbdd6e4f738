"""What the HTTP door is put together from; handed in by the shell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Request

from reconcile.core.facts import Source
from reconcile.db.database import Database
from reconcile.flows.decoding import Decoding
from reconcile.flows.keys import ROLES, Principal
from reconcile.flows.query import QueryFlow
from reconcile.flows.replay import ActAgain, ReplayFlow, no_door
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.rules import Rules
from reconcile.flows.several import SeveralFlow
from reconcile.flows.spooling import Note, unheard
from reconcile.flows.store import StoreFlow
from reconcile.storage.local import LocalStorage
from reconcile.web.openid import Entrance

#: Tables of the configuration: (heading, rows of key, value, whether that is the default).
InForce = Sequence[tuple[str, Sequence[tuple[str, str, bool]]]]


def _nothing() -> Sequence[str]:
    return ()


def _unlisted(ae_title: str) -> Source | None:
    return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the door.

    Attributes:
        require_keys: nobody is let in without an API key. False: only while there is no
            key at all, and only by a name of this machine.
        schema_findings: what keeps the schema from being what the program needs; asked
            until it answers nothing.
        body_bytes_max: of a request's body.
        public_url: under which others reach this door; empty: as they say themselves.
        instance_bytes_max: of one instance that comes.
        sources: how instances of a peer are read, by its AE title.
        listed: the same, of a peer that is configured; None: it is not.
        clock: of what this door changes.
        destinations: AE titles that something can be forwarded to.
        act_again: reads a message that is kept and acts on it; the HL7 door's.
        decoding: undoes lossless compression.
        entrance: how people come in by their browser; None: they do not.
        protected_roles: who sees patients who are marked as protected.
        two_persons: who planned a deletion does not confirm it.
        doors: address of each that is open, by name.
        in_force: the configuration without its secrets, for people.
        heard: takes note of queries and of who reads the history.
    """

    database: Database
    storage: LocalStorage
    rules: Rules
    require_keys: bool
    schema_findings: Callable[[], Sequence[str]] = _nothing
    body_bytes_max: int = 1 << 20
    public_url: str = ""
    instance_bytes_max: int = 4 << 30
    sources: Callable[[str], Source] = Source
    listed: Callable[[str], Source | None] = _unlisted
    clock: Callable[[], datetime] = _now
    act_again: ActAgain = no_door
    destinations: Collection[str] = ()
    decoding: Decoding = field(default_factory=Decoding)
    entrance: Entrance | None = None
    protected_roles: Collection[str] = ROLES
    two_persons: bool = True
    doors: Mapping[str, str] = field(default_factory=dict)
    in_force: InForce = ()
    heard: Note = unheard

    def sees_protected(self, asking: Principal) -> bool:
        """Whether somebody sees patients who are marked as protected."""
        return asking.role in self.protected_roles

    @property
    def retrieve(self) -> RetrieveFlow:
        """The flow that gives instances out."""
        return RetrieveFlow(self.database, self.storage, self.decoding)

    @property
    def several(self) -> SeveralFlow:
        """The flow that gives many instances out."""
        return SeveralFlow(self.retrieve, self.query)

    @property
    def query(self) -> QueryFlow:
        """The flow that answers which studies there are."""
        return QueryFlow(self.database, self.rules, self.storage)

    @property
    def replays(self) -> ReplayFlow:
        """The flow that acts again on messages."""
        return ReplayFlow(self.database, self.act_again)

    @property
    def storing(self) -> StoreFlow:
        """The flow of an arriving instance; it remembers, so that it is to be kept."""
        return StoreFlow(self.database, self.storage, self.rules, self.clock, "stow-rs")

    @property
    def deciding(self) -> StoreFlow:
        """The flow of a header whose instance another archive keeps."""
        return StoreFlow(self.database, self.storage, self.rules, self.clock, "decide")

    @property
    def resolving(self) -> StoreFlow:
        """The flow that files what a person lets be given out."""
        return StoreFlow(self.database, self.storage, self.rules, self.clock, "resolve")


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _principal(request: Request) -> Principal:
    found: Principal = request.state.principal
    return found


def base_of(request: Request) -> str:
    """The beginning of our own addresses, as whoever asks can reach them."""
    return (_parts(request).public_url or str(request.base_url)).rstrip("/")


PartsOf = Annotated[Parts, Depends(_parts)]
Asking = Annotated[Principal, Depends(_principal)]
#: PS3.5 section 9.1; only data, never a part of a path.
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$", description="A DICOM UID")]
