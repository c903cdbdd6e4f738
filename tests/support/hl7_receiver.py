"""A receiver of HL7 messages that is not ours: the server of python-hl7."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from hl7.mllp import start_hl7_server


@dataclass
class Receiver:
    """What it was sent, and what it answers: an acknowledgement code for each message.

    `answer`: from a message (as python-hl7 parses it) to its code; "": it hangs up.
    """

    port: int = 0
    got: list[Any] = field(default_factory=list)
    answer: Callable[[Any], str] = lambda message: "AA"

    def values(self, *fields: str) -> list[tuple[str, ...]]:
        """Fields of all that was taken, as "PID.3.1"."""
        return [tuple(_value(message, each) for each in fields) for message in self.got]


def _value(message: Any, name: str) -> str:
    segment, *place = name.split(".")
    if segment not in {str(each[0][0]) for each in message}:
        return ""
    numbers = [1, int(place[0]), 1, *(int(each) for each in place[1:])]
    try:
        return str(message.extract_field(segment, *numbers))
    except (LookupError, KeyError):
        return ""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that takes messages until the end."""
    receiver, loop = Receiver(), asyncio.new_event_loop()

    async def take(reader: Any, writer: Any) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                code = receiver.answer(message)
                if not code:
                    break
                if code in ("AA", "CA"):
                    receiver.got.append(message)
                writer.writemessage(message.create_ack(code))
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async def serve() -> Any:
        return await start_hl7_server(take, "127.0.0.1", port, encoding="utf-8")

    server = loop.run_until_complete(serve())
    receiver.port = server.sockets[0].getsockname()[1]
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
