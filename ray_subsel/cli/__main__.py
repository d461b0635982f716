"""``python -m ray_subsel.cli``."""

from __future__ import annotations

import sys

from ray_subsel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
