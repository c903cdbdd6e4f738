"""Association requests and their answers, against the library's in both directions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from reconcile.dicom.limits import Limits
from reconcile.dicom.negotiation import (
    Acceptance,
    Answered,
    AssociateRequest,
    Proposed,
    Roles,
    accept_pdu,
    is_title,
    read_request,
    reject_pdu,
)
from reconcile.dicom.proposing import read_acceptance, request_pdu
from reconcile.errors import CannotUnderstand, LimitExceeded
from tests.support.door import CT, EXPLICIT, IMPLICIT, MR, associate_rq, changed, item

FIXED = b"\0\1\0\0" + b"RECONCILE".ljust(16) + b"CT_A".ljust(16) + bytes(32)


def context(syntaxes: int = 1, number: int = 1) -> bytes:
    subs = item(0x30, b"1.2") + item(0x40, b"1.2.840.10008.1.2") * syntaxes
    return item(0x20, bytes((number, 0, 0, 0)) + subs)


def read(body: bytes, **changes: Any) -> AssociateRequest:
    return read_request(body, changed(**changes))


def theirs(
    contexts: Sequence[tuple[str, list[str]]], *more: Any, calling: str = "CT_A"
) -> bytes:
    """The body of a request as pynetdicom makes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, "RECONCILE"
    length = MaximumLengthNotification()
    length.maximum_length_received = 16382
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID("1.2.3.4")
    primitive.user_information = [length, implementation, *more]
    built = [build_context(abstract, syntaxes) for abstract, syntaxes in contexts]
    for number, each in enumerate(built):
        each.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = built
    return bytes(A_ASSOCIATE_RQ(primitive).encode()[6:])


def test_a_request_of_the_library_is_read() -> None:
    """Titles, contexts in their order, maximum length."""
    wanted = [(CT, [IMPLICIT, EXPLICIT]), (MR, [EXPLICIT]), ("1.2.3", [IMPLICIT])]
    request = read(theirs(wanted))
    assert (request.calling, request.called) == ("CT_A", "RECONCILE")
    assert (request.maximum_length, request.version) == (16382, 1)
    assert request.contexts == tuple(
        Proposed(2 * number + 1, abstract, tuple(syntaxes))
        for number, (abstract, syntaxes) in enumerate(wanted)
    )


def test_the_largest_request_of_the_library_is_read() -> None:
    """128 contexts, each with every transfer syntax."""
    syntaxes = list(ALL_TRANSFER_SYNTAXES)
    uids = [str(each.abstract_syntax) for each in AllStoragePresentationContexts[:128]]
    request = read(theirs([(uid, syntaxes) for uid in uids]))
    assert [each.abstract_syntax for each in request.contexts] == uids
    assert {each.transfer_syntaxes for each in request.contexts} == {tuple(syntaxes)}
    assert [each.context_id for each in request.contexts] == list(range(1, 257, 2))


def test_extended_negotiation_of_the_library_is_read() -> None:
    """SOP Class Extended and Common Extended, roles; all else is passed over."""
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CT
    extended.service_class_application_information = b"\2\0\0\0\1\0"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = "1.2.3"
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = [UID(MR)]
    roles = SCP_SCU_RoleSelectionNegotiation()
    roles.sop_class_uid, roles.scu_role, roles.scp_role = CT, True, True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 2
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    name = ImplementationVersionNameNotification()
    name.implementation_version_name = "A VERSION"
    body = theirs([(CT, [EXPLICIT])], name, window, roles, extended, common, identity)
    request = read(body)
    assert request.extended == {CT: b"\2\0\0\0\1\0"}
    assert request.declared == {"1.2.3": "1.2.840.10008.4.2"}
    assert request.roles == {CT: Roles(scu=True, scp=True)}


def test_items_may_come_in_any_order() -> None:
    """A transfer syntax before the abstract one, contexts after the user information."""
    subs = item(0x40, b"1.2.840.10008.1.2") + item(0x30, b"1.2.3\0")
    body = FIXED + item(0x50, item(0x51, b"\0\0\1\0")) + item(0x20, b"\5\0\0\0" + subs)
    request = read(body)
    assert request.contexts == (Proposed(5, "1.2.3", (IMPLICIT,)),)
    assert request.maximum_length == 256


def test_an_ordinary_request_passes() -> None:
    """128 contexts of 45 transfer syntaxes are what a generous SCU proposes."""
    contexts = b"".join(context(45, number) for number in range(1, 256, 2))
    read(FIXED + item(0x10, b"1.2") + contexts + item(0x50, item(0x51, bytes(4))))


@pytest.mark.parametrize(
    "body",
    [
        FIXED + context() * 129,
        FIXED + context(129),
        FIXED + item(0x50, item(0x52, b"") * 1025),
        FIXED + b"\x20\0\xff\xff" + bytes(10),
        FIXED + b"\x20\0",
        FIXED + item(0x20, b"\1\0\0\0" + b"\x30\0\xff\xff"),
        FIXED + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2") + b"\x40\0\xff\xff"),
        FIXED + item(0x50, item(0x56, b"\0\x09" + b"1.2")),
        FIXED + item(0x50, item(0x57, b"\0\x03" + b"1.2" + b"\0\x09" + b"1")),
        FIXED + item(0x50, item(0x57, b"\0\x03" + b"1.2")),
    ],
    ids=[
        "contexts",
        "syntaxes",
        "user items",
        "too long",
        "cut short",
        "inner too long",
        "syntax too long",
        "UID too long",
        "service class too long",
        "no service class",
    ],
)
def test_too_many_or_too_long_is_refused(body: bytes) -> None:
    """Nothing is made of a request that has too many, or whose lengths lie."""
    with pytest.raises(LimitExceeded):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        FIXED[:-1],
        FIXED[:20] + bytes(16) + bytes(32),
        FIXED[:20] + b"A\\B".ljust(16) + bytes(32),
        FIXED[:20] + b"A\nB".ljust(16) + bytes(32),
        FIXED[:20] + b"\xc3\xa4".ljust(16) + bytes(32),
        FIXED + context(number=2),
        FIXED + context() + context(),
        FIXED + item(0x20, b"\1\0"),
        FIXED + item(0x50, item(0x51, bytes(3))),
    ],
    ids=[
        "empty",
        "short",
        "no title",
        "backslash",
        "control character",
        "beyond ASCII",
        "even id",
        "id twice",
        "no id",
        "length of three bytes",
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """Two contexts of one id would leave open in which syntax a data set is."""
    with pytest.raises(CannotUnderstand):
        read(body)


def test_a_title_is_one_by_its_characters() -> None:
    """1 to 16 of the default repertoire, and not only spaces (PS3.5 section 6.2)."""
    assert all(map(is_title, ("A", "CT A", "X" * 16, "a!~")))
    assert not any(map(is_title, ("", " ", "X" * 17, "A\\B", "A\tB", "\xe4")))


def test_an_acceptance_is_read_by_the_library() -> None:
    """Every context by its result, our lengths and names, extended negotiation."""
    request = read(associate_rq()[6:])
    answers = (
        Answered(1, 0, CT, EXPLICIT),
        Answered(3, 3, MR, IMPLICIT),
        Answered(255, 4, CT, IMPLICIT),
    )
    acceptance = Acceptance(
        answers,
        131072,
        "2.25.1",
        "RECONCILE_0_1",
        {CT: b"\2\0\1\0\1\0"},
        {CT: Roles(scu=False, scp=True)},
    )
    decoded = A_ASSOCIATE_AC()
    decoded.decode(accept_pdu(request, acceptance))
    primitive = decoded.to_primitive()
    assert (primitive.calling_ae_title, primitive.called_ae_title) == ("CT_A", "RECONCILE")
    assert primitive.application_context_name == "1.2.840.10008.3.1.1.1"
    assert [
        (each.context_id, each.result, str(each.transfer_syntax[0]))
        for each in primitive.presentation_context_definition_results_list
    ] == [(1, 0, EXPLICIT), (3, 3, IMPLICIT), (255, 4, IMPLICIT)]
    said: list[Any] = primitive.user_information
    length, implementation, version, roles, extended = said
    assert length.maximum_length_received == 131072
    assert implementation.implementation_class_uid == "2.25.1"
    assert version.implementation_version_name == "RECONCILE_0_1"
    assert extended.sop_class_uid == CT
    assert extended.service_class_application_information == b"\2\0\1\0\1\0"
    assert (roles.sop_class_uid, roles.scu_role, roles.scp_role) == (CT, False, True)


def test_an_acceptance_repeats_what_is_reserved() -> None:
    """Titles and reserved bytes go back as they came (PS3.8 Table 9-17)."""
    body = FIXED[:-32] + bytes(range(32)) + context()
    acceptance = Acceptance((Answered(1, 0, CT, IMPLICIT),), 0, "1.2", "V")
    made = accept_pdu(read(body), acceptance)
    assert struct.unpack_from(">BxI", made) == (2, len(made) - 6)
    assert made[10:74] == FIXED[4:-32] + bytes(range(32))


def test_a_rejection_is_that_of_the_library() -> None:
    """Result, source, reason."""
    decoded = A_ASSOCIATE_RJ()
    decoded.decode(reject_pdu(2, 3, 1))
    assert (decoded.result, decoded.source, decoded.reason_diagnostic) == (2, 3, 1)
    assert decoded.encode() == reject_pdu(2, 3, 1)


def test_limits_are_those_that_are_given() -> None:
    """A door with other numbers counts by them."""
    limits = Limits(presentation_contexts=1, transfer_syntaxes=1, user_items=1)
    with pytest.raises(LimitExceeded):
        read_request(FIXED + context() + context(number=3), limits)
    with pytest.raises(LimitExceeded):
        read_request(FIXED + context(2), limits)


def test_our_own_request_is_read_as_any_other() -> None:
    """Each context has one transfer syntax; ids are 1, 3, 5."""
    pairs = [(CT, EXPLICIT), (CT, IMPLICIT), (MR, EXPLICIT)]
    request = read(request_pdu("STORE", "RECONCILE", pairs, 131072)[6:])
    assert (request.called, request.calling) == ("STORE", "RECONCILE")
    assert request.maximum_length == 131072
    assert request.contexts == tuple(
        Proposed(2 * n + 1, abstract, (transfer,))
        for n, (abstract, transfer) in enumerate(pairs)
    )
    answers = tuple(
        Answered(each.context_id, result, each.abstract_syntax, each.transfer_syntaxes[0])
        for each, result in zip(request.contexts, (0, 4, 0), strict=True)
    )
    body = accept_pdu(request, Acceptance(answers, 16384, "2.25.1", "PEER"))[6:]
    accepted = read_acceptance(body, pairs)
    assert accepted.contexts == {(CT, EXPLICIT): 1, (MR, EXPLICIT): 5}
    assert accepted.maximum_length == 16384


def test_a_role_selection_has_two_roles() -> None:
    """PS3.7 Table D.3-9."""
    uid = struct.pack(">H", len(CT)) + CT.encode()
    for roles in (b"", b"\1", b"\1\1\1"):
        item = b"\x54\0" + struct.pack(">H", len(uid + roles)) + uid + roles
        user = b"\x50\0" + struct.pack(">H", len(item)) + item
        with pytest.raises(CannotUnderstand):
            read(associate_rq()[6:] + user)
