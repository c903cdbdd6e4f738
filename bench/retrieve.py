"""How many instances a second are given out, beside Orthanc: `python -m bench retrieve`.

Each server is sent one study of 1 000 CT slices, which it coerces. Then the study is asked
for under the UID that it is given out under, several times, and goes to a peer that throws
away what it takes: DCMTK's storescp. What counts is the time from the request to the last
answer, which says that all of it was taken. By WADO-RS the study comes over HTTP, in the
transfer syntax in which it is stored.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from bench import states, storescp, tables
from bench.chosen import Chosen, numbers, parser, some_of, with_servers
from bench.data import encoded
from bench.identity import CALLING, Identity
from bench.orthanc import Orthanc
from bench.ours import Reconcile
from bench.request import Request
from bench.results import Record, scratch
from bench.rows import Retrieved
from bench.servers import Program, Server, Wrong, free_port, running
from bench.usage import Watched
from bench.wire import PDU_BYTES_MAX, Association

SERVERS = ("reconcile", "orthanc")
INSTANCES, ROUNDS = 1_000, 3
KIND, SINK = "ct", "SINK"
STUDY = Identity(1, 1)
MODEL = "1.2.840.10008.5.1.4.1.2.2.2"
ANSWER_SECONDS = 600


@contextmanager
def sink(folder: Path) -> Iterator[int]:
    """A storage SCP that throws away what it takes; its port."""
    port, program = free_port(), Program(folder / "sink.log")
    command = ["storescp", "--fork", "--ignore", "--max-pdu", str(PDU_BYTES_MAX)]
    program.start([*command, "-aet", SINK, str(port)], port, {})
    try:
        yield port
    finally:
        program.stop()


def fill(server: Server, instances: int) -> None:
    """One study; every instance is acknowledged as it should be.

    Raises:
        Wrong: one is not.
    """
    server.prepare([STUDY])
    object_ = encoded(KIND)
    peer = Association(server.port, server.called, CALLING, object_.sop_class)
    request = Request(object_, peer.pdu_length)
    request.begin(STUDY)
    for counter in range(1, instances + 1):
        status = f"{peer.store(request.instance(counter)).status:04X}"
        if status != server.expected:
            raise Wrong(f"an instance was answered {status}")
    peer.release()


def move(server: Server) -> int:
    """C-MOVE of the study; how many instances were sent.

    Raises:
        Wrong: it did not end in Success.
    """
    scu = ApplicationEntity(CALLING)
    scu.dimse_timeout = scu.network_timeout = ANSWER_SECONDS
    scu.add_requested_context(MODEL)
    peer = scu.associate("127.0.0.1", server.port, ae_title=server.called)
    if not peer.is_established:
        raise Wrong("no association for a C-MOVE")
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = STUDY.ordered_study_uid
    last = Dataset()
    try:
        for status, _ in peer.send_c_move(identifier, SINK, MODEL):
            last = status
    finally:
        peer.release()
    if last.get("Status") != 0:
        raise Wrong(f"a C-MOVE ended in {last.get('Status')}")
    return int(last.NumberOfCompletedSuboperations)


def wado(server: Server) -> int:
    """WADO-RS of the study as it is stored; how many instances came.

    Raises:
        Wrong: it was answered otherwise.
    """
    assert isinstance(server, Reconcile | Orthanc)
    peer = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=ANSWER_SECONDS)
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    path = f"/dicom-web/studies/{STUDY.ordered_study_uid}"
    try:
        peer.request("GET", path, headers={"Accept": accept})
        answer = peer.getresponse()
        if answer.status != 200:
            raise Wrong(f"WADO-RS was answered {answer.status}")
        said = re.search('boundary="?([^";]+)', answer.headers["Content-Type"])
        if said is None:
            raise Wrong("WADO-RS was answered with no boundary")
        return counted(answer, b"--" + said[1].encode()) - 1
    finally:
        peer.close()


def counted(answer: http.client.HTTPResponse, delimiter: bytes) -> int:
    """How often a delimiter stands in a body, which is thrown away."""
    found, kept = 0, b""
    while piece := answer.read(1 << 20):
        kept += piece
        found += kept.count(delimiter)
        kept = kept[len(kept) - len(delimiter) + 1 :]
    return found


#: How instances are asked for.
WAYS: dict[str, Callable[[Server], int]] = {"c-move": move, "wado-rs": wado}


def measure(server: Server, way: str, number: int, instances: int) -> Retrieved:
    """Ask once."""
    with Watched(server) as watched:
        began = time.perf_counter()
        came = WAYS[way](server)
        seconds = time.perf_counter() - began
    if came != instances:
        raise Wrong(f"{came} of {instances} instances came")
    megabytes = instances * len(encoded(KIND).data) / 1e6
    return Retrieved(
        server.name,
        way,
        number,
        instances,
        round(seconds, 3),
        round(instances / seconds, 1),
        round(megabytes / seconds, 1),
        round(watched.server_seconds, 2),
        round(watched.database_seconds, 2),
        round(watched.peak_bytes / 1e6, 1),
        round(watched.receiver_bytes / 1e6, 1),
    )


def all_of(server: Server, ways: list[str], rounds: int, instances: int) -> list[Retrieved]:
    """Fill a server, start it anew, and ask it; the first time of each does not count."""
    with running(server):
        fill(server, instances)
    rows: list[Retrieved] = []
    with running(server):
        for way in ways:
            assert isinstance(server, Reconcile | Orthanc)
            if way == "wado-rs" and not server.web_port:
                print(f"{server.name} has no DICOMweb", file=sys.stderr)
                continue
            WAYS[way](server)
            for number in range(1, rounds + 1):
                rows.append(measure(server, way, number, instances))
                row = rows[-1]
                print(f"{row.server} {row.way}: {row.per_second}/s", file=sys.stderr)
    return rows


def main(arguments: list[str]) -> int:
    options = parser("retrieve", __doc__, rounds=ROUNDS)
    with_servers(options, SERVERS)
    options.add_argument("--instances", type=numbers, default=[INSTANCES])
    options.add_argument("--ways", type=some_of(WAYS), default=list(WAYS))
    asked = options.parse_args(arguments)
    if why := storescp.missing():
        print(f"nobody takes what is given out: {why}", file=sys.stderr)
        return 2
    [instances] = asked.instances
    rows: list[Retrieved] = []
    failed = 0
    with scratch() as folder, sink(folder) as port:
        record = Record("retrieve", asked.name, folder)
        chosen = Chosen(asked, folder)
        for server in chosen.servers:
            assert isinstance(server, Reconcile | Orthanc), "storescp gives nothing out"
            server.sends_to(SINK, port)
            try:
                rows += all_of(server, asked.ways, asked.rounds, instances)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                print(f"{server.name}: {error}", file=sys.stderr)
                failed += 1
            settings = {"rounds": asked.rounds, "instances": instances}
            record.write(rows, chosen.versions, settings, chosen.left_out)
    for table in states.retrieve(rows):
        print("\n".join(tables.text(table)))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(failed > 0)
