"""The command line, ``subsel``."""

from __future__ import annotations

from ray_subsel.cli.main import main, make_parser

__all__ = ["main", "make_parser"]
