"""One association, from the first byte to the last: pynetdicom's, with our loop.

Takes the place of pynetdicom's Association and ACSE for an acceptor: it sleeps until
something happens, knows at once when the peer has gone, does the TLS handshake in its
own thread, and asks `policy` what to answer. What a C-STORE means is the door's business.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydicom.uid import UID
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.acse import ACSE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, SOPClassExtendedNegotiation
from pynetdicom.transport import AddressInformation

from reconcile.core.facts import Source
from reconcile.dicom.limits import Limits
from reconcile.dicom.messages import DoorMessages, StoreRequest
from reconcile.dicom.policy import (
    ACCEPTANCE,
    Certificate,
    Refusal,
    answer_contexts,
    declared_storage,
    storage_extended,
)
from reconcile.dicom.status import Answer
from reconcile.dicom.upper_layer import DoorSocket, UpperLayer
from reconcile.errors import CannotUnderstand

if TYPE_CHECKING:
    from pathlib import Path

LOG = logging.getLogger(__name__)

_ENDING_SECONDS = 5.0


class Door(Protocol):
    """What an association needs of the door that it came through."""

    limits: Limits
    spool_dir: Path
    ae: ApplicationEntity

    def admit(self, association: DoorAssociation) -> Source | Refusal:
        """Whose association this is, or why it is refused."""

    def store(self, association: DoorAssociation, request: StoreRequest) -> Answer:
        """Carry out a C-STORE; never raises."""

    def left(self, association: DoorAssociation) -> None:
        """The association is over."""


class DoorACSE(ACSE):
    """Association control: the answer to an association request (PS3.7 Annex D)."""

    def _negotiate_as_acceptor(self) -> None:
        association = cast(DoorAssociation, self.assoc)
        request = cast(A_ASSOCIATE, self.requestor.primitive)
        self.requestor.ae_title = request.calling_ae_title
        verdict = association.door.admit(association)
        if isinstance(verdict, Refusal):
            self._refuse(association, verdict)
            return
        association.source = verdict
        self._agree(association, request)
        self.send_accept()
        association.is_established = True
        LOG.info(
            "association accepted association=%s calling=%r address=%s contexts=%d",
            association.id,
            verdict.ae_title,
            association.address,
            len(association._accepted_cx),
        )

    def _refuse(self, association: DoorAssociation, refusal: Refusal) -> None:
        LOG.warning(
            "association refused association=%s calling=%r address=%s why=%r",
            association.id,
            association.calling,
            association.address,
            refusal.why,
        )
        self.send_reject(refusal.result, refusal.source, refusal.reason)

    def _agree(self, association: DoorAssociation, request: A_ASSOCIATE) -> None:
        declared = declared_storage(self.requestor.sop_class_common_extended)
        contexts = answer_contexts(request.presentation_context_definition_list, declared)
        taken = [context for context in contexts if context.result == ACCEPTANCE]
        association._accepted_cx = {cast(int, c.context_id): c for c in taken}
        association._rejected_cx = [c for c in contexts if c.result != ACCEPTANCE]
        storage = {str(c.abstract_syntax) for c in taken} - {"1.2.840.10008.1.1"}
        asked = [str(uid) for uid in self.requestor.sop_class_extended if uid in storage]
        answers = storage_extended(asked, coerce=association.source.coerce)
        for uid, information in answers.items():
            self.acceptor.add_negotiation_item(_extended(uid, information))


def _extended(uid: str, information: bytes) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = UID(uid)
    item.service_class_application_information = information
    return item


class DoorAssociation(Association):
    """An acceptor's association; a thread, with a second one for its upper layer."""

    def __init__(
        self,
        door: Door,
        connection: socket.socket,
        address: tuple[Any, ...],
        *,
        name: str,
        admitted: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.door = door
        self.id = name
        self.address = str(address[0])
        self.admitted = admitted
        self.certificate: Certificate | None = None
        self.source = Source("")
        self.serving = False
        self._tls = tls
        self._activity = threading.Event()
        super().__init__(door.ae, MODE_ACCEPTOR)
        self.name = f"association {name}"
        self.messages = DoorMessages(self)
        self.upper = UpperLayer(self)
        self.dimse, self.dul, self.acse = self.messages, self.upper, DoorACSE(self)
        self.acse_timeout = door.limits.request_seconds  # they set the new upper layer's
        self.network_timeout = door.limits.idle_seconds
        self.acceptor.maximum_length = door.limits.maximum_pdu
        self.acceptor.ae_title = door.ae.ae_title
        self.acceptor.address_info = _address(connection.getsockname())
        self.requestor.address_info = _address(address)
        self.set_socket(DoorSocket(self, connection))

    @property
    def calling(self) -> str:
        """The calling AE title, without padding; empty before there is a request."""
        request = self.requestor.primitive
        return request.calling_ae_title.strip() if request else ""

    @property
    def called(self) -> str:
        """The called AE title, without padding; empty before there is a request."""
        request = self.requestor.primitive
        return request.called_ae_title.strip() if request else ""

    @property
    def busy(self) -> bool:
        """Whether a message is coming, waiting or being carried out."""
        return self.serving or self.messages.receiving or not self.dimse.msg_queue.empty()

    @property
    def quiet_seconds(self) -> float:
        """How long the peer has said nothing."""
        timer = self.dul._idle_timer
        return (timer.timeout or 0.0) - timer.remaining

    def abstract_syntax(self, context_id: int) -> str:
        """Of an accepted presentation context; empty where there is none."""
        context = self._accepted_cx.get(context_id)
        return str(context.abstract_syntax) if context else ""

    def transfer_syntax(self, context_id: int) -> str:
        """Of an accepted presentation context.

        Raises:
            CannotUnderstand: there is no such context.
        """
        context = self._accepted_cx.get(context_id)
        if context is None:
            raise CannotUnderstand("the presentation context was not accepted")
        return str(context.transfer_syntax[0])

    def notify(self) -> None:
        """Something has happened that the loop should look at. From any thread."""
        self._activity.set()

    def run_reactor(self) -> None:
        """Live from the handshake to the end."""
        try:
            if self._shake_hands():
                self._converse()
        except Exception as error:  # noqa: BLE001 - the door lives
            LOG.error(
                "association failed association=%s error=%s", self.id, type(error).__name__
            )
        finally:
            self._finish()

    def _shake_hands(self) -> bool:
        """Do the TLS handshake, if there is one; False where it failed."""
        plain = self.upper.socket.socket
        if self._tls is None or plain is None:
            return True
        try:
            plain.settimeout(self.door.limits.handshake_seconds)
            secured = self._tls.wrap_socket(
                plain, server_side=True, do_handshake_on_connect=False
            )
            self.upper.socket.socket = secured
            secured.do_handshake()
        except (OSError, ValueError) as error:
            LOG.warning(
                "handshake failed association=%s address=%s error=%s",
                self.id,
                self.address,
                type(error).__name__,
            )
            return False
        self.certificate = _certificate(secured)
        return True

    def _converse(self) -> None:
        self.upper.start()
        self._started_dul = True
        request: Any = self.dul.receive_pdu(
            wait=True, timeout=self.door.limits.request_seconds + 1
        )
        if isinstance(request, A_ASSOCIATE):
            self.requestor.primitive = request
            self.acse.negotiate_association()
        if self.is_established:
            self._run_reactor()

    def _run_reactor(self) -> None:
        """Carry out what is asked until there is nobody left to ask."""
        while not self._kill and not self._over():
            context_id, message = self.dimse.get_msg(block=False)
            if message is not None and context_id is not None:
                self._carry_out(message, context_id)
            elif not self._release_if_asked():
                self._rest()

    def _over(self) -> bool:
        if self.upper.ended.is_set() or self.is_aborted:
            return True
        if self.acse.is_aborted():
            self.is_aborted = True
            self.is_established = False
            LOG.info("association aborted association=%s", self.id)
            return True
        return False

    def _release_if_asked(self) -> bool:
        if self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released = True
            self.is_established = False
            self._kill = True
            LOG.info("association released association=%s", self.id)
            return True
        if self.dul.idle_timer_expired():
            LOG.warning("association idle association=%s", self.id)
            self.abort(block=False)
        return False

    def _rest(self) -> None:
        """Sleep until something happens, or the peer has been quiet for too long."""
        self._pause()
        if self.dimse.msg_queue.empty() and self.dul.peek_next_pdu() is None:
            self._activity.wait(max(0.05, self.dul._idle_timer.remaining))
        self._activity.clear()

    def _pause(self) -> None:
        """Let whoever wants to send on this association do so undisturbed."""
        self._is_paused = True
        self._reactor_checkpoint.wait()
        self._is_paused = False

    def _carry_out(self, message: Any, context_id: int) -> None:
        self.serving = True
        try:
            if isinstance(message, StoreRequest):
                self._store(message)
            else:
                self._serve_request(message, context_id)
        finally:
            self.serving = False
            self.dul._idle_timer.restart()
            self.upper.wake()  # it may have stopped reading until now

    def _store(self, request: StoreRequest) -> None:
        try:
            answer = self.door.store(self, request)
        finally:
            request.discard()
        self.messages.respond(request, answer)

    def kill(self) -> None:
        """Make this association end; pynetdicom calls it after an abort."""
        self._kill = True
        self.is_established = False
        self._reactor_checkpoint.set()
        self.notify()

    def _abort_blocking(self, block: bool = True) -> None:
        """Ask for an A-ABORT. The loop waits for it, and for nobody else."""
        super()._abort_blocking(block=False)

    def _is_open(self) -> bool:
        """Whether the peer believes that the association goes on."""
        over = self.is_released or self.is_aborted or self.is_rejected
        return self.upper.is_alive() and not over

    def _finish(self) -> None:
        with contextlib.suppress(Exception):
            if self.requestor.primitive is not None and self._is_open():
                self.abort(block=False)
            self.kill()
            self.upper.close(_ENDING_SECONDS)
            self.upper.dispose()
            self.messages.close()
        self.door.left(self)


def _address(found: tuple[Any, ...]) -> AddressInformation:
    return AddressInformation.from_tuple(cast("tuple[str, int]", found))


def _certificate(secured: ssl.SSLSocket) -> Certificate | None:
    encoded = secured.getpeercert(binary_form=True)
    if not encoded:
        return None
    fingerprint = hashlib.sha256(encoded).hexdigest()
    return Certificate.of(fingerprint, secured.getpeercert() or {})
