"""Keep what each start of a run took, for its report: stages of earlier starts and of the last one are told apart.

A start is one process that works on a run directory. Its seconds add up: those of the stages that it finished, of Ray's
start, and of what is around them. Of earlier starts the stages that they finished are known, and nothing else.
"""

from __future__ import annotations

from typing import Any

from ray_subsel.planning.stage_seconds import AROUND, RAY
from ray_subsel.storage.manifest import TIMES, Manifest


def keep_times(manifest: Manifest, wall: float, ray: float) -> None:
    """Keep the time that was no stage's, so that times add up to those of this start; where it did nothing, none.

    Parameters
    ----------
    manifest : Manifest
        With what this start has finished.
    wall : float
        Seconds since it began.
    ray : float
        Those of Ray's start.
    """
    if not manifest.finished:
        return  # what is kept is of the start that did the work
    rest = wall - ray - sum(manifest.stages[name].seconds for name in set(manifest.finished) & manifest.stages.keys())
    told = ({RAY: ray} if ray else {}) | {AROUND: max(0.0, rest)}  # each is rounded, to a thousandth
    manifest.about[TIMES]["seconds"] = {name: round(one, 3) for name, one in told.items()}
    manifest.save()


def times_of(manifest: Manifest) -> dict[str, Any]:
    """Return what a report says of time.

    Returns
    -------
    dict
        ``seconds`` of each finished stage, by the start that finished it, of Ray's start and of what is around, both by
        the last start; ``earlier``, the stages that starts before that one finished; ``resumed``, those that another
        start had begun than the one that finished them, whose seconds those are.
    """
    last = manifest.about.get(TIMES) or {}
    done = {name: stage for name, stage in manifest.stages.items() if stage.done}
    finished = last.get("stages", list(done))
    return {
        "seconds": {name: stage.seconds for name, stage in done.items()} | last.get("seconds", {}),
        "earlier": [name for name in done if name not in finished],
        "resumed": [name for name, stage in done.items() if stage.resumed],
    }
