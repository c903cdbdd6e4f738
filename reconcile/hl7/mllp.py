"""MLLP framing without sockets: bytes go in, whole messages come out.

Source: HL7 v2 Minimal Lower Layer Protocol, Release 1, section 2 (block format).
"""

from __future__ import annotations

from collections.abc import Iterator

from reconcile.errors import CannotUnderstand
from reconcile.hl7.errors import BlockTooLarge

START = b"\x0b"
END = b"\x1c\r"

#: An ADT or OMI message is a few kB; embedded documents make some larger. Past this the
#: peer is not speaking MLLP, or is trying to fill our memory.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

#: Some senders put CR LF, or a keep-alive blank, between blocks. More than this between
#: two blocks is another protocol.
NOISE_BYTES_MAX = 1024

#: What is handed out of a block that is too large: enough for its first segment.
HEAD_BYTES = 8 * 1024


class Framer:
    """Cuts a byte stream into HL7 messages.

    Feed it whatever the socket gave, in pieces of any size. What comes out does not
    depend on where the pieces were cut, nor does what it costs.

    A block that its sender abandoned and began anew (a second START followed by MSH
    before the END) counts from its last beginning: two messages are never read as one.
    """

    def __init__(
        self,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        noise_bytes_max: int = NOISE_BYTES_MAX,
    ) -> None:
        self._message_bytes_max = message_bytes_max
        self._noise_bytes_max = noise_bytes_max
        self._buffer = bytearray()
        self._noise = 0
        # Where the search for END goes on: no byte is looked at twice.
        self._scanned = 0

    @property
    def inside(self) -> bool:
        """Whether a block has begun that has not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message completed by `data`, without its framing.

        Raises:
            CannotUnderstand: too much stands between two blocks.
            BlockTooLarge: a block has grown past the limit.
            After either the stream cannot be trusted any more: close the connection.
        """
        self._buffer += data
        while self._skip_noise():
            message = self._take()
            if message is None:
                return
            yield message

    def _skip_noise(self) -> bool:
        """Drop what stands before the next block; whether there is one."""
        start = self._buffer.find(START)
        noise = len(self._buffer) if start < 0 else start
        del self._buffer[:noise]
        self._noise += noise
        if self._noise > self._noise_bytes_max:
            raise CannotUnderstand("bytes outside an MLLP block")
        return start >= 0

    def _take(self) -> bytes | None:
        """Take the block that the buffer begins with, if it is whole."""
        end = self._buffer.find(END, self._scanned)
        size = (end if end >= 0 else self._without_half_an_end()) - len(START)
        if size > self._message_bytes_max:
            head = bytes(self._buffer[len(START) : len(START) + min(size, HEAD_BYTES)])
            limit = self._message_bytes_max
            raise BlockTooLarge(f"the message is larger than {limit} bytes", head)
        if end < 0:
            self._scanned = max(0, len(self._buffer) - len(END) + 1)
            return None
        begin = self._buffer.rfind(START + b"MSH", 0, end)
        message = bytes(self._buffer[max(begin, 0) + len(START) : end])
        del self._buffer[: end + len(END)]
        self._scanned = self._noise = 0
        return message

    def _without_half_an_end(self) -> int:
        return len(self._buffer) - self._buffer.endswith(END[:1])


def frame(message: bytes) -> bytes:
    """The inverse of Framer for one message."""
    assert END not in message
    return START + message + END
