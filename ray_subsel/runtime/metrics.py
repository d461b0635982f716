"""Count what a run has done in Ray's metrics, which each node offers to Prometheus; nothing where Ray does not run.

The driver counts, where its stages take in what workers have done. On the endpoint Ray puts ``ray_`` before the names
below and, as Prometheus asks for, ``_total`` behind those of counters.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class Metric:
    """Something that is counted.

    Attributes
    ----------
    name : str
    description : str
        With its unit.
    counts : bool
        Whether it is a counter, which only grows, or a gauge, which is set.
    by_stage : bool
        Whether it is told of each stage.
    """

    name: str
    description: str
    counts: bool = True
    by_stage: bool = False

    @property
    def exported(self) -> str:
        """The name that Prometheus knows."""
        return f"ray_{self.name}" + ("_total" if self.counts else "")

    @property
    def tags(self) -> tuple[str, ...]:
        """What tells one series from another: the run directory, without credentials, and the stage."""
        return ("run", "stage") if self.by_stage else ("run",)


ROWS_READ = Metric("subsel_rows_read", "Rows that were read and kept, not those that were rejected")
ROWS_EMBEDDED = Metric("subsel_rows_embedded", "Distinct rows that have a vector")
PARTITIONS_DONE = Metric("subsel_partitions_done", "Partitions, or packs of groups, in which items were chosen")
ITEMS_CHOSEN = Metric("subsel_items_chosen", "Items chosen so far", counts=False)
VALUE = Metric("subsel_value", "f of the items chosen so far", counts=False)
BYTES_WRITTEN = Metric("subsel_bytes_written", "Bytes of the files of a finished stage", by_stage=True)
STAGE_SECONDS = Metric("subsel_stage_seconds", "Seconds that a finished stage took", counts=False, by_stage=True)
PEAK_BYTES = Metric("subsel_peak_bytes", "Bytes of a stage's largest process", counts=False, by_stage=True)

METRICS = (ROWS_READ, ROWS_EMBEDDED, PARTITIONS_DONE, ITEMS_CHOSEN, VALUE, BYTES_WRITTEN, STAGE_SECONDS, PEAK_BYTES)

AGAIN = 5.0
"""Seconds after which gauges are set again: Ray reports each setting once, and forgets it soon after."""

_made: dict[tuple[str, str], Any] = {}
"""Ray's objects, by the driver's id, which differs from one Ray to the next, and the metric's name."""
_gauges: dict[tuple[tuple[str, str], tuple[tuple[str, str], ...]], float] = {}
"""What gauges are set to, by their key in ``_made`` and their tags."""
_setting = threading.Lock()


def record(metric: Metric, amount: float, run: RunDir, stage: str | None = None) -> None:
    """Add to a counter, or set a gauge.

    Parameters
    ----------
    metric : Metric
    amount : float
        What comes to a counter, or what a gauge is from now on.
    run : RunDir
        The run that it is of.
    stage : str, optional
        Of a metric that is told by stage.
    """
    driver = _driver()
    if driver is None or (metric.counts and amount <= 0):
        return
    key = driver, metric.name
    with _setting:
        if key not in _made:
            from ray.util.metrics import Counter, Gauge

            if not any(known == driver for known, _ in _made):
                threading.Thread(target=_set_again, args=(driver,), name="metrics", daemon=True).start()
            kind = Counter if metric.counts else Gauge
            _made[key] = kind(metric.name, description=metric.description, tag_keys=metric.tags)
        tags = {"run": run.path()} | ({} if stage is None else {"stage": stage})
        if metric.counts:
            _made[key].inc(amount, tags=tags)
        else:
            _gauges[key, tuple(tags.items())] = amount
            _made[key].set(amount, tags=tags)


def _driver() -> str | None:
    """Return the id of this process in the Ray that it is connected to; None where it is to none."""
    if "ray" not in sys.modules:
        return None
    import ray

    return str(ray.get_runtime_context().get_worker_id()) if ray.is_initialized() else None


def _set_again(driver: str) -> None:
    """Set the gauges of a driver again and again, until it leaves Ray; then forget them."""
    with contextlib.suppress(Exception):  # Ray may end between any two lines
        while _driver() == driver:
            with _setting:
                for (key, tags), amount in _gauges.items():
                    if key[0] == driver:
                        _made[key].set(amount, tags=dict(tags))
            time.sleep(AGAIN)
    with _setting:
        for known in [known for known in _gauges if known[0][0] == driver]:
            del _gauges[known]
        for name in [key for key in _made if key[0] == driver]:
            del _made[name]
