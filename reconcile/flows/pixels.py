"""Give frames and bulk data of an instance out: RAD-16 Retrieve Images, piece by piece.

Frames are given as they are stored, or in little endian; what is stored in big endian is
said anew first, in a file of its own, since its words have to be turned round.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import BinaryIO

from reconcile.dataset.convert import EXPLICIT_VR
from reconcile.dataset.elements import encoding_of
from reconcile.dataset.facts import Received, read
from reconcile.dataset.frames import Pieces, Shape
from reconcile.db import used, views_instances
from reconcile.db.views_instances import Holding
from reconcile.flows.opened import written
from reconcile.flows.retrieve import Chunks, RetrieveFlow


class PixelFlow:
    """The steps of giving parts of an instance out."""

    def __init__(self, retrieve: RetrieveFlow) -> None:
        self._retrieve = retrieve

    def holding(self, study: str, series: str, instance: str) -> Holding:
        """What an instance is given out from; study and series by any UID they have.

        Raises:
            NotFound: there is none, not in this study and series, or it is hidden.
        """
        with self._retrieve.database.read_only() as connection:
            found = views_instances.holding(connection, instance, study, series)
            unused = used.unused_study(connection, found.kept.receipt_id)
        if unused is not None:
            self._retrieve.use(unused)
        return found

    def undoes(self, syntax: str) -> bool:
        """Whether compression of this kind can be undone."""
        decoding = self._retrieve.decoding
        return decoding is not None and syntax in decoding.syntaxes

    def decoded(self, found: Holding, shape: Shape, stored: Pieces) -> bytes:
        """A compressed frame without compression, in little endian.

        Raises:
            CannotConvert: it cannot be decoded.
            ServiceUnavailable: too much is being decoded.
        """
        decoding = self._retrieve.decoding
        assert decoding is not None, "the caller has asked `undoes`"
        return decoding.frame(found.kept.transfer_syntax_uid, shape, stored)

    @contextmanager
    def state(self, found: Holding) -> Iterator[Received]:
        """An instance as it is given out now, its values in little endian.

        Raises:
            BytesMissing: there is a row and no file.
            CannotConvert: its words cannot be turned round.
        """
        if encoding_of(found.kept.transfer_syntax_uid).little:
            with self._retrieve.state(found) as state:
                try:
                    yield state
                finally:
                    state.close()
            return
        chunks = self._retrieve.as_given(found, (EXPLICIT_VR,)).chunks
        scratch = self._retrieve.storage.spool_dir
        with written(scratch, partial(_write, chunks)) as view:
            state = read(view, EXPLICIT_VR, found.kept.text_charset)
            try:
                yield state
            finally:
                state.close()


def _write(chunks: Chunks, file: BinaryIO) -> None:
    with closing(chunks):
        file.writelines(chunks)
