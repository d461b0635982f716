"""Selection while rows arrive: memory for the chosen ones and a summary of what was seen, one pass, no second look."""

from __future__ import annotations

from ray_subsel.streaming.selector import Decisions, StreamSelector

__all__ = ["Decisions", "StreamSelector"]
