"""`reconcile`, and `python -m reconcile`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run one command.

    While modules are loaded nothing becomes garbage: looking for it is not done then.
    """
    gc.disable()
    from reconcile.cli.main import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
