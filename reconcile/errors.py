"""Every error this package raises on purpose, and what each door answers for it.

The class decides the answer of every door, so that a flow never has to know through
which one it was called. Messages name UIDs, message control ids, keywords and folders,
never the value of a patient attribute: they end up in logs and on other people's
screens.
"""

from __future__ import annotations

from typing import ClassVar


class ReconcileError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        dimse_status: status of a C-STORE response (PS3.4 Table B.2-1, PS3.7 Annex C).
        hl7_ack: acknowledgement code (HL7 table 0008).
        hl7_error: ERR-3, message error condition code (HL7 table 0357).
        http_status: status of the problem document (RFC 9457).
        exit_code: of the command line: 1 a finding, 2 wrong use, 3 not reachable.
    """

    title: ClassVar[str] = "Processing failed"
    dimse_status: ClassVar[int] = 0x0110
    hl7_ack: ClassVar[str] = "AE"
    hl7_error: ClassVar[str] = "207"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1


class ConfigurationError(ReconcileError):
    """The configuration holds a wrong key or value."""

    title = "Configuration is wrong"
    exit_code = 2


class ServiceUnavailable(ReconcileError):
    """A service that we stand on cannot be reached: try again later."""

    title = "A service cannot be reached"
    dimse_status = 0xA700
    hl7_ack = "AR"
    http_status = 503
    exit_code = 3


class StorageFull(ServiceUnavailable):
    """The file system has no room for what came."""

    title = "No room to store"
    dimse_status = 0xA701


class LowOnRoom(StorageFull):
    """Less is free than is to stay free: nothing is taken until there is room."""

    title = "Room runs low"
    dimse_status = 0xA700


class TooLarge(ReconcileError):
    """What came is larger than this archive takes."""

    title = "Larger than the limit"
    dimse_status = 0xA702
    hl7_ack = "AR"
    http_status = 413


class SOPClassMismatch(ReconcileError):
    """SOP Class UID of the data set is not the one of the request."""

    title = "Data set does not match SOP Class"
    dimse_status = 0xA900
    http_status = 409


class SOPInstanceMismatch(ReconcileError):
    """SOP Instance UID of the data set is not the one of the request."""

    title = "Data set does not match SOP Instance"
    dimse_status = 0xA901
    http_status = 409


class CannotUnderstand(ReconcileError):
    """What came cannot be decoded, or breaks its own standard."""

    title = "Cannot be understood"
    dimse_status = 0xC000
    hl7_ack = "AR"
    hl7_error = "100"
    http_status = 400


class MissingUID(CannotUnderstand):
    """A UID without which nothing can be filed is absent."""

    title = "A required UID is missing"
    dimse_status = 0xC001


class InvalidUID(CannotUnderstand):
    """A UID has characters or a length that no UID may have (PS3.5 section 9.1)."""

    title = "A UID is invalid"
    dimse_status = 0xC002


class LimitExceeded(CannotUnderstand):
    """Nesting, number of elements or an element's length is past a limit."""

    title = "Past a limit of this archive"
    dimse_status = 0xC003
    http_status = 413


class InflateLimitExceeded(LimitExceeded):
    """A deflated data set would inflate past the limits of size, ratio or time."""

    title = "Inflates past a limit of this archive"
    dimse_status = 0xC004


class CannotConvert(ReconcileError):
    """An instance cannot be given out in any of the transfer syntaxes asked for."""

    title = "Not in a transfer syntax that was asked for"
    dimse_status = 0x0110
    http_status = 406


class InstanceRejected(ReconcileError):
    """The instance was rejected by a note, and is configured not to come again."""

    title = "The instance was rejected"
    dimse_status = 0xC005
    http_status = 409


class InstanceDeleted(ReconcileError):
    """The instance was deleted on purpose, and is configured not to come again."""

    title = "The instance was deleted"
    dimse_status = 0xC006
    http_status = 409


class SOPClassNotSupported(ReconcileError):
    """The SOP class cannot be stored."""

    title = "SOP class not supported"
    dimse_status = 0x0122
    http_status = 409


class NotAuthorised(ReconcileError):
    """Who asks may not do this."""

    title = "Not authorised"
    dimse_status = 0x0124
    hl7_ack = "AR"
    http_status = 403
    exit_code = 2


class NotFound(ReconcileError):
    """What is asked for is not here."""

    title = "Not found"
    http_status = 404


class Deleted(NotFound):
    """What is asked for was here, and was deleted on purpose: a tombstone tells of it."""

    title = "Deleted on purpose"
    http_status = 410


class WrongUse(ReconcileError):
    """A parameter is missing or wrong."""

    title = "A parameter is wrong"
    http_status = 400
    exit_code = 2


class RequiredFieldMissing(ReconcileError):
    """An HL7 field without which the message cannot be acted on is absent."""

    title = "Required field missing"
    hl7_error = "101"
    http_status = 400


class DataTypeError(ReconcileError):
    """An HL7 field is not of its data type."""

    title = "Data type error"
    hl7_error = "102"
    http_status = 400


class UnsupportedMessage(ReconcileError):
    """A message type that this archive does not act on."""

    title = "Unsupported message type"
    hl7_ack = "AR"
    hl7_error = "200"


class UnsupportedEvent(UnsupportedMessage):
    """An event of a known message type that this archive does not act on."""

    title = "Unsupported event"
    hl7_error = "201"


class UnknownKey(ReconcileError):
    """A message speaks of something that is not known here."""

    title = "Unknown key identifier"
    hl7_error = "204"
    http_status = 404


class DuplicateKey(ReconcileError):
    """A message gives an identifier that already belongs to somebody else."""

    title = "Duplicate key identifier"
    hl7_error = "205"
    http_status = 409


class NormalizedFault(ReconcileError):
    """An N-service cannot be carried out (PS3.7 section 10, PS3.4 Annexes F and J).

    Attributes:
        error_id: Error ID (0000,0903); 0: none.
    """

    error_id: ClassVar[int] = 0


class DuplicateInstance(NormalizedFault):
    """What is to be created is here already."""

    title = "Duplicate SOP Instance"
    dimse_status = 0x0111


class NoSuchInstance(NormalizedFault):
    """A SOP Instance is named that is not managed here."""

    title = "No such SOP Instance"
    dimse_status = 0x0112


class InvalidArgument(NormalizedFault):
    """A value is none of its attribute."""

    title = "Invalid value"
    dimse_status = 0x0106


class MissingAttribute(NormalizedFault):
    """An attribute that has to be there is not."""

    title = "Missing attribute"
    dimse_status = 0x0120


class MissingValue(NormalizedFault):
    """An attribute that has to have a value has none."""

    title = "Missing attribute value"
    dimse_status = 0x0121


class NoSuchAction(NormalizedFault):
    """An action is asked for that the SOP class does not have."""

    title = "No such action"
    dimse_status = 0x0123


class StepIsOver(NormalizedFault):
    """A performed step is completed or discontinued, and stays as it is.

    Source:
        PS3.4 section F.7.2.2.4, Table F.7.2-2.
    """

    title = "Performed Procedure Step Object may no longer be updated"
    error_id = 0xA710
