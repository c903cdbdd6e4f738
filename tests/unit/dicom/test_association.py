"""An association without a connection: whose it is, and its requests in their order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import CALLING_NOT_RECOGNISED
from reconcile.dicom.states import State
from reconcile.flows.arrival import Stored
from tests.support.door import associate_rq, c_store_rq, changed, element, p_data, pdu
from tests.unit.dicom.peers import Line


class Gone(Exception):
    """What a flow may raise that nobody thought of."""


def instance(number: int) -> bytes:
    command = c_store_rq(number, f"1.2.{number}")
    return p_data(3, command) + p_data(2, b"data set")


def established(folder: Path, limits: Limits | None = None) -> Line:
    line = Line(folder, limits)
    line.comes(associate_rq())
    assert line.kinds() == [2]
    line.sent.clear()
    return line


def test_requests_are_carried_out_one_at_a_time_and_in_order(tmp_path: Path) -> None:
    """The next one is submitted when the one before it has been answered."""
    line = established(tmp_path)
    line.comes(*map(instance, (1, 2, 3)))
    for number in (1, 2, 3):
        assert line.uids() == [f"1.2.{n}" for n in range(1, number + 1)]
        line.submitted[-1][1](Stored())
        assert len(line.sent) == number
    assert not line.association.working


def test_an_answer_is_one_write(tmp_path: Path) -> None:
    """A whole response in one piece; small PDUs of a peer too."""
    line = Line(tmp_path)
    line.comes(associate_rq().replace(b"\0\0\x40\0", b"\0\0\0\x20"))
    line.sent.clear()
    line.comes(instance(1))
    line.submitted[0][1](Stored())
    (sent,) = line.sent
    assert sent.count(b"\x04\0\0\0\0\x20") >= 3
    assert element(0x0900, b"\0\0") in b"".join(
        sent[at + 12 : at + 38] for at in range(0, len(sent), 38)
    )


def test_so_much_waits_and_the_rest_is_not_taken(tmp_path: Path) -> None:
    """One is carried out, `pipelined` wait, and the bytes of all others stay bytes."""
    line = established(tmp_path, changed(pipelined=2))
    line.comes(*map(instance, range(1, 11)))
    assert line.association.full
    for number in range(1, 11):
        assert line.association.full == (number < 9)
        line.submitted[-1][1](Stored())
    assert line.uids() == [f"1.2.{number}" for number in range(1, 11)]
    assert line.kinds() == [4] * 10


def test_who_asks_for_thousands_of_little_things_lets_others_have_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read may hold so many that others would wait for a noticeable time."""
    line = established(tmp_path, changed(turn=10))
    later: list[Callable[[], None]] = []

    def post(call: Callable[[], None]) -> bool:
        later.append(call)
        return True

    monkeypatch.setattr(line.association, "post", post)
    echo = element(0x0100, b"\x30\0") + element(0x0110, b"\1\0")
    line.comes(p_data(3, echo + element(0x0800, b"\x01\x01")) * 35)
    answered = []
    while later:
        assert line.association.full
        line.association.look()
        assert len(later) == 1
        answered.append(len(line.sent))
        later.pop()()
    assert answered == [1, 2, 3]
    assert sum(output.count(b"\x04\0\0\0\0") for output in line.sent) == 35
    assert not line.association.full


def test_a_release_waits_for_the_answers(tmp_path: Path) -> None:
    """What was asked before it is answered before it (AR-7, PS3.8 Table 9-8)."""
    line = established(tmp_path)
    line.comes(instance(1), instance(2), pdu(5, bytes(4)))
    for _ in range(2):
        assert 6 not in line.kinds()
        line.submitted[-1][1](Stored())
    assert [output[0] for output in line.sent[:-1]] == [4]
    assert line.sent[-1].endswith(pdu(6, bytes(4)))
    assert line.association.upper.state is State.AWAITING_CLOSE


def test_what_waits_is_dropped_with_the_association(tmp_path: Path) -> None:
    """What is carried out ends; nothing of the rest is, and no file stays."""
    line = established(tmp_path)
    line.comes(instance(1), instance(2), p_data(3, c_store_rq(3)), p_data(0, b"half"))
    assert line.spools.held
    line.association.connection_closed()
    line.association.connection_closed()
    assert line.association.serving
    line.submitted[0][1](Stored())
    assert (line.uids(), line.sent) == (["1.2.1"], [])
    assert not line.association.working
    assert line.spools.held == 0


def test_finishing_answers_what_runs_and_aborts(tmp_path: Path) -> None:
    """The one that waits is not begun."""
    line = established(tmp_path)
    line.comes(instance(1), instance(2))
    line.association.finish()
    assert line.sent == []
    line.submitted[0][1](Stored())
    assert line.uids() == ["1.2.1"]
    assert line.sent[0].endswith(pdu(7, bytes(4)))
    assert element(0x0900, b"\0\0") in line.sent[0]


@pytest.mark.parametrize("state", [State.AWAITING_REQUEST, State.AWAITING_CLOSE])
def test_without_an_association_there_is_nothing_to_abort(
    tmp_path: Path, state: State
) -> None:
    """The connection is closed; one that is about to end anyway is left to end."""
    line = Line(tmp_path)
    if state is State.AWAITING_CLOSE:
        line.comes(b"GET / HTTP/1.1\r\n\r\n")
        line.sent.clear()
    line.association.abort()
    assert line.sent == []
    assert line.is_cut == (state is State.AWAITING_REQUEST)


def test_who_is_refused_is_told_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A-ASSOCIATE-RJ, and a line in the log."""
    line = Line(tmp_path)
    line.verdict = CALLING_NOT_RECOGNISED
    line.comes(associate_rq())
    assert line.sent == [pdu(3, bytes((0, 1, 1, 3)))]
    assert "association refused association=a-1 calling='CT_A'" in caplog.text


def test_what_goes_wrong_with_a_message_is_an_abort(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, in our own words; nothing that comes afterwards is looked at."""
    line = established(tmp_path)
    line.comes(p_data(2, b"DOE^JANE"), instance(1))
    assert line.sent == [pdu(7, bytes(4))]
    assert "a data set without its command" in caplog.text
    assert not line.submitted


def test_what_goes_wrong_with_us_is_an_abort_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an error that nobody thought of only its type is said."""
    line = established(tmp_path)

    def fail(*_: object) -> None:
        raise Gone("DOE^JANE")

    monkeypatch.setattr(line.association, "_take_fragment", fail)
    line.comes(instance(1))
    assert line.sent == [pdu(7, bytes(4))]
    assert "Gone" in caplog.text
    assert "DOE" not in caplog.text


@pytest.mark.parametrize("begin", [Line, established])
def test_what_is_no_dicom_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, begin: Callable[[Path], Line]
) -> None:
    """Why a peer was aborted stands in the log, without its bytes."""
    line = begin(tmp_path)
    for _ in range(2):
        line.comes(b"GET / HTTP/1.1\r\n\r\n")
    assert caplog.text.count("pdu refused") == 1
    assert "pdu refused association=a-1 reason='there is no PDU of type 47H'" in caplog.text


def test_an_answer_to_nothing_is_an_abort(tmp_path: Path) -> None:
    """A C-STORE-RSP comes only while a C-GET is carried out; to others it says nothing."""
    line = established(tmp_path)
    answer = p_data(3, element(0x0100, b"\x01\x80") + element(0x0800, b"\x01\x01"))
    line.comes(instance(1), answer)
    assert line.sent == []
    line.submitted[0][1](Stored())
    assert line.kinds() == [4]
    line.comes(answer)
    assert line.kinds() == [4, 7]
