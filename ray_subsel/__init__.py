"""Small training subsets by submodular maximization, on one machine or a Ray cluster."""

from __future__ import annotations

from ray_subsel.core.errors import InputError
from ray_subsel.selection.active import ActiveLoop
from ray_subsel.selection.api import select
from ray_subsel.selection.result import Selection
from ray_subsel.streaming.selector import StreamSelector

__version__ = "0.1.0"

__all__ = ["ActiveLoop", "InputError", "Selection", "StreamSelector", "__version__", "select"]
