"""The embedded PostgreSQL: as root and as anybody, through kill -9, alone in its folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from reconcile.db import embedded, programs
from reconcile.db.embedded import EmbeddedPostgres, Urls
from reconcile.errors import ServiceUnavailable

IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")

OWNER_PROCESS = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from reconcile.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that the server's user can enter; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="reconcile-embedded-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as path:
        yield path


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One that runs for all tests that only look at it."""
    with reachable_folder() as path, EmbeddedPostgres(path / "data") as running:
        yield running


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def keep_a_row(urls: Urls) -> None:
    run(urls.owner, "drop table if exists kept")
    run(urls.owner, "create table kept (value int)")
    run(urls.owner, "insert into kept values (42)")


def kept(urls: Urls) -> list[tuple[object, ...]]:
    return run(urls.owner, "select value from kept")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.cluster / "postmaster.pid").read_text().split("\n", 1)[0])


def in_a_process_of_an_ordinary_user(step: Callable[[], None]) -> None:
    """Run `step` as the user we are, or as `nobody` in a child where we are root."""
    if not IS_ROOT:
        return step()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            step()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return None


def test_rows_survive_stop_and_start(folder: Path) -> None:
    """A server that was stopped comes back with what it had."""
    server = EmbeddedPostgres(folder / "data")
    keep_a_row(server.start())
    server.stop()
    assert not server.is_running()
    assert not server.socket_folder.exists()
    assert kept(server.start()) == [(42,)]
    server.stop()


def test_another_process_attaches(server: EmbeddedPostgres) -> None:
    """Commands use the server that `serve` has started, wherever their TMPDIR is."""
    keep_a_row(server.attach())
    assert kept(EmbeddedPostgres(server.folder).attach()) == [(42,)]


def test_nobody_attaches_to_nothing(folder: Path) -> None:
    """Where no server runs, it is said in one sentence; nothing is made."""
    with pytest.raises(ServiceUnavailable, match="no archive is running"):
        EmbeddedPostgres(folder / "data").attach()
    assert not (folder / "data").exists()


def test_one_owner_at_a_time(server: EmbeddedPostgres) -> None:
    """A second archive on the same data neither takes the server over nor stops it."""
    second = EmbeddedPostgres(server.folder)
    for step in (second.start, second.stop):
        with pytest.raises(ServiceUnavailable, match="another process runs an archive"):
            step()
    assert server.is_running()


def test_owner_killed(folder: Path) -> None:
    """After kill -9 of the owner the next one takes over, and can stop the server."""
    data = folder / "data"
    command = [sys.executable, "-c", OWNER_PROCESS, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        server = EmbeddedPostgres(data)
        keep_a_row(server.attach())
        owner.kill()
    assert kept(server.start()) == [(42,)]
    server.stop()
    assert not server.is_running()


@pytest.mark.parametrize("number_lives_on", [False, True])
def test_server_killed(folder: Path, number_lives_on: bool) -> None:
    """After kill -9 of the server too, even where its process id belongs to another."""
    server = EmbeddedPostgres(folder / "data")
    keep_a_row(server.start())
    os.kill(postmaster(server), signal.SIGKILL)
    wait_until_gone(server)
    if number_lives_on:
        lock = server.cluster / "postmaster.pid"
        rest = lock.read_text().split("\n", 1)[1]
        lock.write_text(f"{os.getpid()}\n{rest}")
    assert not server.is_running()
    assert kept(server.start()) == [(42,)]
    server.stop()


def wait_until_gone(server: EmbeddedPostgres) -> None:
    """Backends notice that their postmaster died, and end."""
    busy = 'while ls -l /proc/[0-9]*/cwd 2>&1 | grep -qF "$0"; do sleep 0.1; done'
    command = ["/bin/sh", "-c", busy, str(server.cluster)]
    subprocess.run(command, check=True, timeout=60)


def test_ordinary_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any right beyond one's own, in an empty HOME."""
    copied = folder / "wheels" / "copied"
    programs.copy_wheel(programs.wheel_folder(), copied)
    # The environment of the tests may lie where only root can read.
    version = programs.wheel_version()
    monkeypatch.setattr(programs, "wheel_folder", lambda: copied)
    monkeypatch.setattr(embedded, "wheel_version", lambda: version)
    home = folder / "home"
    home.mkdir()
    if IS_ROOT:
        os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)

    def step() -> None:
        os.environ["HOME"] = str(home)
        server = EmbeddedPostgres(home / "data")
        keep_a_row(server.start())
        assert mode(server.folder) == 0o700
        server.stop()
        assert kept(server.start()) == [(42,)]
        server.stop()
        assert [each.name for each in home.iterdir()] == ["data"]

    in_a_process_of_an_ordinary_user(step)


def test_closed_folder_is_said_in_one_sentence(folder: Path) -> None:
    """The folder is named and not opened: that is for who closed it."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700 if IS_ROOT else 0o000)
    before = mode(closed)
    with pytest.raises(ServiceUnavailable) as refused:
        EmbeddedPostgres(closed / "data").start()
    assert str(closed) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert mode(closed) == before
    closed.chmod(0o700)


def test_closed_programs_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that the server's user cannot enter is copied beside the data, not opened."""
    closed = folder / "closed"
    programs.copy_wheel(programs.wheel_folder(), closed / "wheel")
    closed.chmod(0o700)
    monkeypatch.setattr(programs, "wheel_folder", lambda: closed / "wheel")
    with EmbeddedPostgres(folder / "data") as server:
        assert server.is_running()
    assert mode(closed) == 0o700
    assert (folder / "data" / "programs").exists() == IS_ROOT


def test_nothing_outside_is_changed(folder: Path) -> None:
    """Folders above the data keep owner and mode; the system gets no user."""
    above = folder / "above"
    above.mkdir()
    above.chmod(0o751)
    watched = [above, folder, folder.parent, Path(programs.wheel_folder()), Path("/")]
    users = Path("/etc/passwd").read_bytes()
    before = [(mode(each), each.stat().st_uid) for each in watched]
    with EmbeddedPostgres(above / "data"):
        pass
    assert [(mode(each), each.stat().st_uid) for each in watched] == before
    assert Path("/etc/passwd").read_bytes() == users


@pytest.mark.parametrize("trap", ["open", "link"])
def test_socket_folder_of_others_is_refused(folder: Path, trap: str) -> None:
    """Whoever makes our folder in the temporary one first does not get our connections."""
    server = EmbeddedPostgres(folder / "data")
    path = server.socket_folder
    if trap == "open":
        path.mkdir()
        path.chmod(0o777)
    else:
        path.symlink_to(folder)
    with pytest.raises(ServiceUnavailable, match="belongs to another user"):
        server.start()
    path.rmdir() if trap == "open" else path.unlink()
    server.start()
    server.stop()


def test_durable_private_and_unprivileged(server: EmbeddedPostgres) -> None:
    """What is acknowledged is on disk; no network; no role of ours may do everything."""
    urls = server.attach()
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    found = {name: run(urls.reader, f"show {name}")[0][0] for name in wanted}
    assert found == wanted
    assert mode(server.socket_folder) == 0o700
    assert mode(server.cluster) == 0o700
    powerful = """
        select rolname from pg_roles where rolname like 'reconcile%'
        and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)
    """
    assert run(urls.reader, powerful) == []


def test_reader_only_reads(server: EmbeddedPostgres) -> None:
    """Even what a grant would let it write."""
    urls = server.attach()
    keep_a_row(urls)
    run(urls.owner, "grant all on kept to reconcile_reader")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run(urls.reader, "insert into kept values (1)")


def test_log_quotes_no_values(server: EmbeddedPostgres) -> None:
    """Values of statements that fail are patient data, and logs go to other people."""
    urls = server.attach()
    with pytest.raises(psycopg.DataError):
        run(urls.writer, "select 'OKAFOR^ADA'::int")
    assert "OKAFOR" not in (server.cluster / "server.log").read_text()
