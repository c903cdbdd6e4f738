"""`reconcile serve`: the supervisor.

It owns the embedded PostgreSQL, binds every port before a child exists, forks receivers,
hl7, web and jobs, restarts a child that dies, and says `ready` when all of them are.
SIGHUP lets it read the configuration again and replace its children one by one: a receiver
goes when its associations have ended. It loads what all of them need, and has itself
neither a thread nor a connection when it forks (docs/adr/0035).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from reconcile.cli import wiring, worker
from reconcile.cli.child import Child
from reconcile.cli.reload import Serving, forget, refuse_fixed
from reconcile.db import domains, migrate, views_keys
from reconcile.db.embedded import EmbeddedPostgres, Urls
from reconcile.errors import ConfigurationError, ReconcileError, ServiceUnavailable
from reconcile.settings import Settings

log = logging.getLogger(__name__)

DOORS = ("dicom", "hl7", "http", "dicom_tls", "hl7_tls", "http_tls")

#: Seconds that a child has to finish what it began.
STOP_SECONDS = 30
#: Seconds that a child has to open its door.
START_SECONDS = 60
#: A child that dies again and again is restarted after this many seconds at most.
BACKOFF_SECONDS_MAX = 30


class Supervisor:
    """Starts, watches and stops the processes of one archive."""

    def __init__(
        self, settings: Settings, read: Callable[[], Settings] | None = None
    ) -> None:
        """`read` reads the configuration again; None: it is not from a file."""
        self.settings = settings
        self.read = read
        self.serving = Serving(os.getpid())
        self.stopping = threading.Event()
        self.reloading = threading.Event()
        self.leaving: list[Child] = []
        self.postgres: EmbeddedPostgres | None = None
        self.sockets: dict[str, socket.socket] = {}
        self.children: list[Child] = []
        self.keys_required = True
        self.urls = Urls("", "", "")

    def run(self, on_ready: Callable[[dict[str, str]], None] | None = None) -> int:
        """Serve until SIGTERM or SIGINT; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        signal.signal(signal.SIGHUP, lambda *_: self.reloading.set())
        try:
            self._start()
            self._say_ready(on_ready)
            self._watch()
        finally:
            self._stop()
        return 0

    def _start(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        urls = self._database()
        parts = wiring.parts(self.settings, urls.writer, urls.reader, pool_size=2)
        configured = list(parts.rules.domains.values())
        parts.database.run(lambda connection: domains.keep(connection, configured))
        self.keys_required = self._keys_required(parts)
        parts.database.close()
        parts.storage.clean_spool()
        self._bind()
        self.urls = urls
        worker.load_all()
        self.children = self._plan(urls)
        for child in self.children:
            child.start(self.sockets.values())

    def _database(self) -> Urls:
        database = self.settings.database
        if database.url:
            owner = database.owner_url or database.url
            urls = Urls(owner, database.url, database.reader_url or database.url)
        else:
            postgres = EmbeddedPostgres(self.settings.data_dir)
            urls = postgres.start()
            self.postgres = postgres
        # Where the owner's URL is not known here, somebody else migrates.
        if migrate.check(urls.owner):
            migrate.upgrade(urls.owner)
        return urls

    def _keys_required(self, parts: wiring.Parts) -> bool:
        """Whether the HTTP door asks for keys: always, unless only this machine can.

        Raises:
            ConfigurationError: others could come in, and nobody has a key.
        """
        with parts.database.read_only() as connection:
            there_are_keys = views_keys.any_key(connection)
        people = bool(self.settings.auth.oidc_issuer)
        if not (there_are_keys or people or self.settings.http_is_loopback):
            raise ConfigurationError(
                "[listen] http is not on loopback, there is no API key and no"
                " [auth] oidc_issuer: make a key with `reconcile key add`"
            )
        return there_are_keys or people

    def _bind(self) -> None:
        listen = self.settings.listen
        for door in DOORS:
            address = getattr(listen, door)
            if address:
                self.sockets[door] = _listening(address, door)

    def _plan(self, urls: Urls) -> list[Child]:
        receivers = wiring.receiver_count(self.settings)
        roles = ["receiver"] * receivers + ["hl7", "web", "jobs"]
        doors: dict[str, tuple[str, ...]] = {
            "receiver": ("dicom", "dicom_tls"),
            "hl7": ("hl7", "hl7_tls"),
            "web": ("http", "http_tls"),
            "jobs": (),
        }
        children = []
        for role in roles:
            orders = worker.Orders(
                role,
                self.settings,
                urls.writer,
                urls.reader,
                urls.owner if role == "web" else "",
                self.keys_required,
                self.addresses(),
            )
            own = {d: self.sockets[d] for d in doors[role] if d in self.sockets}
            children.append(Child(role, orders.carry_out, own))
        return children

    def addresses(self) -> dict[str, str]:
        """host:port of every open door."""
        return {door: _address(opened) for door, opened in self.sockets.items()}

    def _say_ready(self, on_ready: Callable[[dict[str, str]], None] | None) -> None:
        deadline = time.monotonic() + START_SECONDS
        for child in self.children:
            while not child.is_ready(0.1):
                if self.stopping.is_set():
                    return
                if not child.alive or time.monotonic() > deadline:
                    raise ServiceUnavailable(f"the {child.role} process did not start")
        told = " ".join(f"{door}={at}" for door, at in self.addresses().items())
        self.serving.say(self.settings.data_dir)
        print(f"ready {told}", flush=True)
        if not self.keys_required:
            log.warning("without API keys the HTTP door answers on this machine only")
        if on_ready:
            threading.Thread(target=on_ready, args=(self.addresses(),), daemon=True).start()

    def _watch(self) -> None:
        while not self.stopping.wait(0.5):
            for child in self.children:
                if child.started and not child.alive:
                    self._mourn(child)
                elif not child.started and time.monotonic() >= child.start_at:
                    child.start(self.sockets.values())
            self._see_off()
            if self.reloading.is_set():
                self.reloading.clear()
                self._reload()

    def _see_off(self) -> None:
        """Forget those that were replaced, and have finished."""
        for child in [each for each in self.leaving if not each.alive]:
            child.forget()
            self.leaving.remove(child)

    # -- another configuration -----------------------------------------------------------

    def _reload(self) -> None:
        error = ""
        try:
            self._adopt(self._read_again())
        except ReconcileError as failed:
            error = str(failed)
            log.error("the configuration was not reloaded: %s", error)
        self.serving = replace(self.serving, reloads=self.serving.reloads + 1, error=error)
        self.serving.say(self.settings.data_dir)

    def _read_again(self) -> Settings:
        if self.read is None:
            raise ConfigurationError("this archive was not started from a file")
        settings = self.read()
        refuse_fixed(self.settings, settings)
        return settings

    def _adopt(self, settings: Settings) -> None:
        """Replace every child by one that knows these settings."""
        parts = wiring.parts(settings, self.urls.writer, self.urls.reader, pool_size=2)
        configured = list(parts.rules.domains.values())
        try:
            parts.database.run(lambda connection: domains.keep(connection, configured))
        finally:
            parts.database.close()
        self.settings = settings
        old, self.children = self.children, self._plan(self.urls)
        for before, after in zip(old, self.children, strict=True):
            self._replace(before, after)
        log.info("the configuration was reloaded")

    def _replace(self, before: Child, after: Child) -> None:
        """A receiver after the new one is there; others before, since they act alone."""
        overlaps = before.role == "receiver"
        if not overlaps:
            before.signal(signal.SIGTERM)
            _wait_for(before, time.monotonic() + STOP_SECONDS)
            before.forget()
        after.start(self.sockets.values())
        deadline = time.monotonic() + START_SECONDS
        while after.alive and not after.is_ready(0.1):
            if self.stopping.is_set() or time.monotonic() > deadline:
                break
        if overlaps:
            before.signal(signal.SIGUSR1)
            self.leaving.append(before)

    # -- deaths --------------------------------------------------------------------------

    def _mourn(self, child: Child) -> None:
        """A child died: it is started again, the later the oftener it died."""
        lived = time.monotonic() - child.started_at
        child.deaths = 1 if lived > BACKOFF_SECONDS_MAX else child.deaths + 1
        log.error("process=%s died=%s restart=%d", child.role, child.code, child.deaths)
        wait = min(2 ** (child.deaths - 1) - 1, BACKOFF_SECONDS_MAX)
        child.start_at = time.monotonic() + wait
        child.forget()

    def _stop(self) -> None:
        forget(self.settings.data_dir)
        every = [*self.children, *self.leaving]
        for child in every:
            child.signal(signal.SIGTERM)
        for opened in self.sockets.values():
            opened.close()
        deadline = time.monotonic() + STOP_SECONDS
        for child in every:
            _wait_for(child, deadline)
        if self.postgres:
            self.postgres.stop()


def _wait_for(child: Child, deadline: float) -> None:
    """Until a child has ended; if it does not in time, end it."""
    if not child.ends_within(max(0.1, deadline - time.monotonic())):
        log.error("process=%s did not stop in time", child.role)
        child.signal(signal.SIGKILL)
        child.ends_within(STOP_SECONDS)


def _address(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listening(address: str, door: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
    except OSError as error:
        raise ServiceUnavailable(
            f"[listen] {door} = {address}: {error.strerror}"
        ) from error
    opened.listen(128)
    return opened


def serve(read: Callable[[], Settings], *, demo: bool = False) -> int:
    """Run the archive, with the sample hospital played through its doors if asked."""
    settings = read()
    if not demo:
        return Supervisor(settings, read).run()
    from reconcile.cli.demo import play, sample_hospital

    settings = sample_hospital(settings)
    return Supervisor(settings).run(partial(play, settings))
