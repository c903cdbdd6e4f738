"""What an association and its requests see of the world, without sockets and threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Barrier

from reconcile.core.facts import Source
from reconcile.core.matchkeys import Question
from reconcile.dicom.association import Association, Wire
from reconcile.dicom.destinations import Giving
from reconcile.dicom.limits import Limits
from reconcile.dicom.messages import Context, Normalized, Pages, Report, Request
from reconcile.dicom.policy import Certificate, Refusal
from reconcile.dicom.spool import WORKERS, Spools
from reconcile.flows.arrival import Arrival
from reconcile.flows.auditing import Heard
from reconcile.flows.query import Answer as Found
from reconcile.flows.settling import Answer


def work_ends(spools: Spools) -> None:
    """Wait until no worker has anything left to do."""
    together = Barrier(WORKERS)
    for done in [spools.workers.submit(together.wait) for _ in range(WORKERS)]:
        done.result()


class SomePeer:
    """Keeps what a request asks of it; what is posted waits for `serve_posted`."""

    id, address, calling, called = "a-1", "127.0.0.1", "CT_A", "RECONCILE"
    may_send, stalled = True, False
    giving: Giving | None = None
    normalized: Normalized | None = None

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.source = Source("CT_A")
        self.limits = limits or Limits()
        self.spools = Spools(folder, self.limits)
        self.contexts: Mapping[int, Context] = {}
        self.own: list[tuple[int, bytes, bool]] = []
        self.aborts = 0
        self.submitted: list[tuple[Arrival, Answer]] = []
        self.posted: list[Callable[[], None]] = []
        self.responses: list[bytes] = []
        self.sent: list[tuple[bytes, bytes]] = []
        self.reports: list[Report] = []
        self.pages: list[list[Found]] = []
        self.asked: list[tuple[Question, str]] = []
        self.ended: list[Request] = []
        self.looks = 0
        self.is_gone = False

    def submit(self, arrival: Arrival, answer: Answer) -> None:
        self.submitted.append((arrival, answer))

    def post(self, call: Callable[[], None]) -> bool:
        if not self.is_gone:
            self.posted.append(call)
        return not self.is_gone

    def work(self, call: Callable[[], None]) -> None:
        call()

    def give(self, call: Callable[[], None]) -> None:
        call()

    def send_command(self, context_id: int, command_set: bytes) -> None:
        self.own.append((context_id, command_set, True))

    def send_part(self, context_id: int, content: bytes, *, last: bool) -> None:
        self.own.append((context_id, content, last))

    def abort(self) -> None:
        self.aborts += 1

    def find(self, question: Question, view: str, asked: Heard) -> Pages:
        self.asked.append((question, view))
        return iter(self.pages)

    def look(self) -> None:
        self.looks += 1

    def send(self, request: Request, command_set: bytes, data_set: bytes) -> None:
        self.sent.append((command_set, data_set))

    def respond(self, request: Request, command_set: bytes, data_set: bytes = b"") -> None:
        self.responses.append(command_set)
        self.ended.append(request)

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def done(self, request: Request) -> None:
        self.ended.append(request)

    def serve_posted(self) -> None:
        """Wait for the workers, then call what they and others posted."""
        work_ends(self.spools)
        while self.posted:
            self.posted.pop(0)()


class Line:
    """A connection and a door in one; what is posted is called at once."""

    address, admitted, stalled = "127.0.0.1", True, False
    certificate: Certificate | None = None
    giving: Giving | None = None
    normalized: Normalized | None = None

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.spools = Spools(folder, self.limits)
        self.verdict: Source | Refusal = Source("CT_A")
        self.submitted: list[tuple[Arrival, Answer]] = []
        self.sent: list[bytes] = []
        self.works: list[Callable[[], None]] = []
        self.pages: list[list[Found]] = []
        self.is_cut = False
        self.association = Association(self, self, "a-1")

    def admit(self, association: Association, wire: Wire) -> Source | Refusal:
        assert (association.calling, association.called) == ("CT_A", "RECONCILE")
        return self.verdict

    def post(self, call: Callable[[], None]) -> bool:
        call()
        return True

    def submit(self, arrival: Arrival, answer: Answer) -> None:
        self.submitted.append((arrival, answer))

    def work(self, call: Callable[[], None]) -> None:
        self.works.append(call)

    def give(self, call: Callable[[], None]) -> None:
        self.works.append(call)

    def find(self, question: Question, view: str, asked: Heard) -> Pages:
        return iter(self.pages)

    def settle(self) -> None:
        output = self.association.upper.take_output()
        if output:
            self.sent.append(output)

    def cut(self) -> None:
        self.is_cut = True

    def comes(self, *pdus: bytes) -> None:
        """All of it in one read."""
        self.association.receive(memoryview(bytearray(b"".join(pdus))))

    def kinds(self) -> list[int]:
        """Types of the PDUs that were sent, of each write the first."""
        return [output[0] for output in self.sent]

    def uids(self) -> list[str]:
        return [arrival.sop_instance_uid for arrival, _ in self.submitted]
