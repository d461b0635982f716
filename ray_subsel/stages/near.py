"""Collapse near copies (cosine of at least tau) before selection, by :mod:`ray_subsel.stages.deduplicate`."""

from __future__ import annotations

import dataclasses
from typing import Any

from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar
from ray_subsel.stages.base import RunContext, Stage
from ray_subsel.stages.deduplicate import SCRATCH, NearTask, accounted, collapse, leader_facts


class NearStage(Stage):
    """Embeddings to groups of near copies and the embeddings of their leaders: ``groups/`` and ``leaders/``."""

    name = "near"
    outputs = ("near", "groups", "leaders")

    def is_wanted(self) -> bool:
        """Tell whether a selection asks for a threshold."""
        return self.config.select is not None and self.config.select.near is not None

    def is_left_out(self) -> bool:
        """Tell whether a selection does without."""
        return self.config.select is not None and self.config.select.near is None

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return the threshold, the seed and what was embedded."""
        assert self.config.select is not None
        select = self.config.select
        return {"near": select.near, "seed": select.seed, "embed": context.fingerprint("embed")}

    def _task(self, context: RunContext) -> NearTask:
        select = self.config.select
        assert select is not None
        assert select.near is not None
        return NearTask.of(context.directory, context.shards, select.near, select.seed)

    def is_complete(self, context: RunContext) -> bool:
        """Tell whether every item is in a group."""
        return accounted(self._task(context))

    def needs_ray(self, context: RunContext) -> bool:
        """Tell whether there is more than this process collapses."""
        task = self._task(context)
        return not context.policy.is_small(task.n, task.d)

    def run(self, context: RunContext, peak: PeakMemory) -> dict[str, Any]:
        """Collapse what is not collapsed yet."""
        task = self._task(context)
        with bar("near", 3 * task.n) as progress:
            context.shards, about = collapse(task, here=not self.needs_ray(context), bar=progress, peak=peak)
        facts = dataclasses.asdict(about)
        return facts | {"cells": facts.pop("clusters"), "pieces": facts.pop("buckets")}  # as manifests have it

    def load(self, context: RunContext) -> None:
        """Read the metadata of the leaders."""
        context.shards = leader_facts(context.directory)

    def clean_up(self, context: RunContext) -> None:
        """Delete the sample and the buckets."""
        context.directory.delete(SCRATCH)

    def describe(self, facts: dict[str, Any], seconds: float) -> str:
        """Return how many items are left."""
        return f"{facts['near_collapsed']:,} of {facts['items']:,} items joined another, {facts['kept']:,} are left"
