"""An archive whose registry is as large as is wanted: for `registry` and `history`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from bench.copies import Copies
from bench.data import encoded
from bench.identity import CALLING, Identity
from bench.ours import Reconcile
from bench.request import Request
from bench.servers import Wrong
from bench.wire import Association
from reconcile.db.embedded import EmbeddedPostgres

#: The run of the study that all others are copied from.
FIRST = Identity(1, 0)
#: Runs of what is stored on top are numbered from here on.
ON_TOP = 500_000


@contextmanager
def copied(server: Reconcile) -> Iterator[Copies]:
    """What fills the registry of a running archive in which nothing was stored."""
    server.prepare([FIRST])
    with superuser(server.data) as connection:
        store(server, 1)
        copies = Copies(connection, FIRST)
        store(server, 2)
        copies.learn()
        yield copies


def store(server: Reconcile, counter: int) -> None:
    """Send one image of the first study.

    Raises:
        Wrong: it is answered otherwise than expected.
    """
    object_ = encoded("small")
    peer = Association(server.port, server.called, CALLING, object_.sop_class)
    request = Request(object_, peer.pdu_length)
    request.begin(FIRST)
    answer = peer.store(request.instance(counter))
    peer.release()
    if f"{answer.status:04X}" != server.expected:
        raise Wrong(f"the archive answered {answer.status:04X}")


def superuser(folder: Path) -> psycopg.Connection[tuple[Any, ...]]:
    """Of the server that runs over `folder`; only a benchmark may be it."""
    url = make_url(EmbeddedPostgres(folder).attach().owner)
    url = url.set(drivername="postgresql", username="postgres")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
