"""`python -m bench` receives; `python -m bench --large` looks at a large registry."""

from __future__ import annotations

import sys

from bench import large, receive

if __name__ == "__main__":
    arguments = [each for each in sys.argv[1:] if each != "--large"]
    sys.exit((large if "--large" in sys.argv else receive).main(arguments))
