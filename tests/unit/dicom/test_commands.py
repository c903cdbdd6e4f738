"""Command sets: read within bounds, refused where they lie."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from pynetdicom.dsutils import decode

from reconcile.dicom.commands import C_ECHO_RQ, C_STORE_RQ, CommandSet, response
from reconcile.dicom.status import Answer
from reconcile.errors import CannotUnderstand


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


FIELD = element(0x0100, b"\x01\x00")


def test_a_command_set_is_read() -> None:
    """The fields that matter, padding taken off."""
    content = (
        element(0x0000, struct.pack("<I", 0))
        + element(0x0002, b"1.2.840.10008.5.1.4.1.1.2\0")
        + FIELD
        + element(0x0110, b"\x07\x00")
        + element(0x0800, b"\x01\x00")
        + element(0x1000, b"1.2.3 ")
    )
    command = CommandSet.parse(content)
    assert command == CommandSet(C_STORE_RQ, 7, 1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")


def test_absent_fields_are_told_from_empty_ones() -> None:
    """None is absent; a number of the wrong length is absent too."""
    command = CommandSet.parse(FIELD + element(0x0110, b"\x07"))
    assert command == CommandSet(C_STORE_RQ, None, None, "", "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        element(0x0110, b"\x07\x00"),
        element(0x0100, b"\x01\x00", group=8),
        FIELD + struct.pack("<HHI", 0, 0x1000, 0xFFFFFFFF),
        FIELD + b"\0",
    ],
    ids=["empty", "short", "no field", "other group", "length", "tail"],
)
def test_what_is_no_command_set_is_refused(content: bytes) -> None:
    """A length that lies is found before anything is read by it."""
    with pytest.raises(CannotUnderstand):
        CommandSet.parse(content)


def test_bytes_that_are_no_text_make_no_uid() -> None:
    """They are shown to be wrong, not raised as a decoding error."""
    command = CommandSet.parse(FIELD + element(0x1000, b"\xff\xfe"))
    assert not command.sop_instance_uid.isascii()


def test_a_response_is_read_by_the_library() -> None:
    """Every field of a C-STORE-RSP, in its own place (PS3.7 Table 9.3-2)."""
    request = CommandSet(C_STORE_RQ, 17, 1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")
    answer = Answer(0xB000, "coerced PatientID", (0x00100020, 0x0020000D))
    content = response(request, answer)
    command = decode(BytesIO(content), True, True)
    assert command.CommandGroupLength == len(content) - 12
    assert command.CommandField == 0x8001
    assert command.MessageIDBeingRespondedTo == 17
    assert command.CommandDataSetType == 0x0101
    assert command.Status == 0xB000
    assert list(command.OffendingElement) == [0x00100020, 0x0020000D]
    assert command.ErrorComment == "coerced PatientID"
    assert command.AffectedSOPClassUID == request.sop_class_uid
    assert command.AffectedSOPInstanceUID == "1.2.3"
    assert [element.tag for element in command] == sorted(e.tag for e in command)


def test_a_uid_that_is_none_is_not_repeated() -> None:
    """What a peer made up does not come back in a response."""
    request = CommandSet(C_STORE_RQ, 17, 1, "", "../x")
    command = decode(BytesIO(response(request, Answer(0xC002))), True, True)
    assert "AffectedSOPClassUID" not in command
    assert "AffectedSOPInstanceUID" not in command
    assert "ErrorComment" not in command


def test_a_response_to_an_echo_has_no_instance() -> None:
    """PS3.7 Table 9.3-13."""
    request = CommandSet(C_ECHO_RQ, 65535, 0x0101, "1.2.840.10008.1.1", "")
    command = decode(BytesIO(response(request, Answer(0))), True, True)
    assert command.CommandField == 0x8030
    assert command.MessageIDBeingRespondedTo == 65535
    assert (command.Status, command.AffectedSOPClassUID) == (0, "1.2.840.10008.1.1")
    assert "AffectedSOPInstanceUID" not in command


def test_whether_a_data_set_follows_is_said() -> None:
    """Every value but 0101 says that one does, an absent one too (PS3.7 E.1)."""
    assert not CommandSet(C_STORE_RQ, 1, 0x0101, "", "").has_data_set
    assert all(
        CommandSet(C_STORE_RQ, 1, kind, "", "").has_data_set for kind in (0, 1, None)
    )
