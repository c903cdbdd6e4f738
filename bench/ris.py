"""What the RIS says: an order for each study, with its patient, over MLLP.

Several connections at once, and an answer is waited for before the next message: so a
message is acted on when `tell` returns.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.identity import CALLING, Identity
from bench.servers import Wrong

CONNECTIONS = 4
SECONDS = 60
START, END = b"\x0b", b"\x1c\r"


def tell(port: int, studies: Iterable[Identity]) -> None:
    """Order all of them.

    Raises:
        Wrong: a message is answered anything but AA.
    """
    wanted = list(studies)
    shares = [wanted[at::CONNECTIONS] for at in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda share: _tell(port, share), shares))


def _tell(port: int, studies: Sequence[Identity]) -> None:
    if not studies:
        return
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in studies:
            peer.sendall(START + order(each).encode() + END)
            said = _acknowledged(_message(peer))
            if said != "AA":
                raise Wrong(f"{said or 'nothing'} in answer to an order")


def say(port: int, message: str) -> None:
    """One message on a connection of its own.

    Raises:
        Wrong: it is answered anything but AA.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer:
        peer.sendall(START + message.encode() + END)
        said = _acknowledged(_message(peer))
    if said != "AA":
        raise Wrong(f"{said or 'nothing'} in answer to a message")


def patient_message(event: str, control_id: str, *segments: str, ahead: int = 0) -> str:
    """ADT: what stands in these segments happened now, or so many minutes ahead."""
    when = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(time.time() + 60 * ahead))
    return _segments(_header(f"ADT^{event}", control_id), f"EVN||{when}", *segments)


def _message(peer: socket.socket) -> str:
    got = b""
    while not got.endswith(END):
        more = peer.recv(65_536)
        if not more:
            raise Wrong("the HL7 door closed")
        got += more
    return got.decode()


def _acknowledged(message: str) -> str:
    """MSA-1."""
    found = [each for each in message.split("\r") if each.startswith("MSA|")]
    return found[0].split("|")[1] if found else ""


def order(identity: Identity) -> str:
    """OMI^O23: a new order with its patient and one scheduled procedure step."""
    number, uid = identity.number, identity.ordered_study_uid
    step = f"SPS1|CT|CT^CT^99RIS|||{CALLING}"
    return _segments(
        _header("OMI^O23^OMI_O23", f"O{number}"),
        f"PID|1||{_ids(identity)}||{identity.patient_name}||19800102|F",
        "PV1|1|O||||||77^HOUSE^GREGORY^^^DR",
        f"ORC|NW|PL{number}^HIS|FI{number}^RIS||SC",
        "TQ1|1||||||20260301081500",
        f"OBR|1|PL{number}^HIS|FI{number}^RIS|CTCH^CT of the chest^99RIS",
        f"IPC|{identity.accession}^A|RP1|{uid}|{step}",
    )


def _ids(identity: Identity) -> str:
    return f"{identity.patient_id}^^^A~{identity.enterprise_id}^^^E"


def _header(event: str, control_id: str) -> str:
    now = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())
    head = f"MSH|^~\\&|RIS|HOSPITAL|RECONCILE|HOSPITAL|{now}||{event}|{control_id}"
    return f"{head}|P|2.5.1||||||UNICODE UTF-8"


def _segments(*segments: str) -> str:
    return "".join(f"{each}\r" for each in segments)
