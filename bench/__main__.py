"""`python -m bench COMMAND`; each command has `--help`."""

from __future__ import annotations

import signal
import sys

from bench import (
    durability,
    events,
    find,
    history,
    idle,
    large,
    merge,
    receive,
    registry,
    report,
    retrieve,
    seal,
)

COMMANDS = {
    "receive": receive.main,
    "large": large.main,
    "retrieve": retrieve.main,
    "idle": idle.main,
    "registry": registry.main,
    "history": history.main,
    "events": events.main,
    "merge": merge.main,
    "find": find.main,
    "seal": seal.main,
    "durability": durability.main,
    "report": report.main,
}


def main(words: list[str]) -> int:
    """Run a command; the exit code."""
    if not words or words[0] not in COMMANDS:
        print(f"usage: python -m bench {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    # So that whoever is told to end, too, stops the servers that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return COMMANDS[words[0]](words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
