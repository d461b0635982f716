"""Select the subset: sizes that memory decides, constraints, GreeDi or exact greedy, and what is written of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ray_subsel.config import RunConfig, SelectConfig, fingerprint_fields
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.plugins import is_own, source_fingerprint
from ray_subsel.corpus.constraint_columns import check_corpus
from ray_subsel.corpus.id_lists import IdLists, read_id_lists
from ray_subsel.planning.selection_plan import with_candidates
from ray_subsel.planning.stage_memory import InputSize, stage_bytes, stage_memory_line
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar, log_line
from ray_subsel.stages.base import RunContext, Stage
from ray_subsel.stages.resolve_constraints import partition_constraints
from ray_subsel.stages.select_exact import choose_exactly
from ray_subsel.stages.select_greedi import choose, partitioned
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.stages.write_selection import write_selection


class SelectStage(Stage):
    """Vectors to the chosen rows: ``selection.parquet`` and ``subset.parquet``."""

    name = "select"
    outputs = ("limits", "candidates", "selection.parquet", "subset.parquet")

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.named = IdLists()
        self.select = SelectConfig(k=1) if config.select is None else config.select
        self.k = 0
        self.warning: str | None = None

    def is_wanted(self) -> bool:
        """Tell whether something is to be selected."""
        return self.config.select is not None

    def check(self) -> None:
        """Look at the columns and lists of ids that constraints name."""
        check_corpus(self.config.corpus, self.select)
        self.named = read_id_lists(self.select)

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return the settings, with the partitions that memory decides."""
        config = self.select
        n = sum(meta.items for meta in context.shards)
        self.k, self.warning = resolve_k(config.k, config.fraction, rows=context.corpus.n_rows, items=n, no_limit=True)
        upstream = context.fingerprint("embed" if config.near is None else "near")
        settings = {**fingerprint_fields(config), **self.named.fingerprints, "embed": upstream}
        if not is_own(config.objective_class):  # so that a change of its code is noticed
            settings["objective_code"] = source_fingerprint(config.objective_class)
        self.select = self._with_sizes(settings, context)
        return settings | {"partitions": self.select.partitions, "fan_in": self.select.fan_in}

    def _with_sizes(self, settings: dict[str, Any], context: RunContext) -> SelectConfig:
        """Return the configuration with what memory decides; a run that goes on keeps what it began with."""
        config, there = self.select, context.manifest.stages.get(self.name)
        asked = {name: settings[name] for name in settings if name not in ("partitions", "fan_in")}
        given = {name: value for name in ("partitions", "fan_in") if (value := settings[name]) is not None}
        if there is not None and {**there.settings, **asked, **given} == there.settings:
            return dataclasses.replace(
                config, partitions=there.settings["partitions"], fan_in=there.settings.get("fan_in")
            )
        n, d = _shape(context)
        sizes = context.sizes(config, n=n, d=d, k=self.k)
        layout = len(context.shards[0].partition_items)
        if config.partitions is None and layout > sizes.partitions > 1:  # sorted by more than is needed: no matter
            config = dataclasses.replace(config, partitions=layout)
            sizes = context.sizes(config, n=n, d=d, k=self.k)
        return dataclasses.replace(config, partitions=sizes.partitions, fan_in=sizes.fan_in)

    def run(self, context: RunContext, peak: PeakMemory) -> dict[str, Any]:
        """Select, and write what was chosen."""
        config, rows = self.select, context.corpus
        n, d = _shape(context)
        sizes = context.sizes(config, n=n, d=d, k=self.k)
        source = InputSize(rows.n_rows, rows.shards, sum(file["bytes"] for file in rows.files))
        stages = stage_bytes(source, self.config.corpus, self.config.embed, sizes, near=config.near is not None)
        for line in (*sizes.lines(), stage_memory_line(stages)):
            log_line(line)
        facts = partitioned(context.directory, context.shards, config)
        here = context.policy.is_small(n, d)
        limits = partition_constraints(
            rows, facts, self.config.corpus, config, self.named, items=n, m=sizes.partitions, here=here
        )
        job = plan_selection(context.directory, config, facts, self.k, limits, policy=context.policy)
        if limits is not None and job.tree.rounds > 1:
            sizes = with_candidates(config, context.machine(), sizes, job.tree.root.available + len(limits.given.ids))
            stages["select"] = max(stages["select"], sizes.predicted_peak_bytes)
        if config.mode == "exact":
            with bar("select", self.k, "item") as progress:
                outcome = choose_exactly(context.directory, facts, job, bar=progress, processes=sizes.processes)
        else:
            with bar("select", job.m, "partition") as progress:
                outcome = choose(
                    context.directory, facts, job, bar=progress, processes=sizes.processes, beside=sizes.beside
                )
        about = write_selection(context.directory, rows, facts, outcome, config)
        peak.add(outcome.peak_bytes or 0)
        return {
            **about,
            "predicted_peak_bytes": max(stages.values()),
            "predicted_peaks": stages,
            "warnings": [*([self.warning] if self.warning else []), *about["warnings"]],
        }

    def describe(self, facts: dict[str, Any], seconds: float) -> str:
        """Return how many items were chosen."""
        return f"{facts['k']:,} of {facts['n']:,} items in {seconds:.2f} s"


def _shape(context: RunContext) -> tuple[int, int]:
    """Return n and d of the ground set."""
    return sum(meta.items for meta in context.shards), max(meta.dimension for meta in context.shards)
