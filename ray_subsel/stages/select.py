"""Select a subset: plan what fits into memory, resolve constraints, run GreeDi or the exact greedy, write it."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any, ClassVar, final

from ray_subsel.config import SelectConfig, fingerprint_fields
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.items import MULTIPLICITY, UTILITY
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.table import SELECTION
from ray_subsel.objectives.quality import WEIGHT as QUALITY_WEIGHT
from ray_subsel.objectives.target import WEIGHT as TARGET_WEIGHT
from ray_subsel.objectives.target import Target
from ray_subsel.planning.counting import Counted
from ray_subsel.planning.selection_plan import (
    SelectionPlan,
    plan_sizes,
    planned_k,
    with_candidates,
    with_queries,
    with_ranks,
)
from ray_subsel.planning.stage_memory import stage_bytes
from ray_subsel.planning.work import Work
from ray_subsel.runtime.metrics import ITEMS_CHOSEN, VALUE, record
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.constraint_table import FOLDER as CONSTRAINTS
from ray_subsel.stages.embed import embedding_done
from ray_subsel.stages.left_out import left_out_rows
from ray_subsel.stages.nearest import FOLDER as NEAREST
from ray_subsel.stages.nearest import find_nearest
from ray_subsel.stages.resolve_constraints import PartitionedConstraints, partition_constraints
from ray_subsel.stages.select_clusters import (
    BUDGET_VERSION,
    VERSION,
    ClusterJob,
    arranged_store,
    choose_clustered,
    cluster_layout,
    plan_clusters,
)
from ray_subsel.stages.select_exact import choose_exactly
from ray_subsel.stages.select_greedi import choose, sorted_store
from ray_subsel.stages.selection_job import FOLDER, SelectionJob, SelectionOutcome, plan_selection
from ray_subsel.stages.target import TargetStage
from ray_subsel.stages.utility_table import FOLDER as UTILITIES
from ray_subsel.stages.utility_table import Comparison, compare, forget_comparison, with_utilities, write_utilities
from ray_subsel.stages.write_aims import aim_facts, missing_quality
from ray_subsel.stages.write_selection import write_later_forms, write_selection
from ray_subsel.stages.write_subset import FORMS, STAGES
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore


@final
@dataclass(frozen=True)
class SelectStage(Stage[bool]):
    """Choose the subset.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The ground set: the embeddings, or the leaders of near copies.
    asked : SelectConfig
    lists : IdLists
        Rows that must and must not be chosen.
    upstream : str
        The stage that made the store.
    queries : EmbeddingStore or None
        The target.
    """

    name: ClassVar[str] = "select"
    outputs: ClassVar[tuple[str, ...]] = (
        *(CONSTRAINTS, UTILITIES, FOLDER, NEAREST, SELECTION),
        *(*FORMS.values(), STAGES),
    )

    rows: RowStore
    store: EmbeddingStore
    asked: SelectConfig
    lists: IdLists
    upstream: str = "embed"
    queries: EmbeddingStore | None = None

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the subset, the partitions that memory decides included."""
        settings = self._asked(context)
        config = self._settled(context, settings)
        return settings | {"partitions": config.partitions, "fan_in": config.fan_in}

    def resume(self, context: RunContext) -> bool | None:
        """Return that there is a selection; forms of the subset that are asked for now are written."""
        write_later_forms(context.run, self.rows, self.asked.to)
        return True

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Choose, and write what was chosen."""
        k, warning = self._k()
        entered = context.manifest.stages[self.name].settings
        config = dataclasses.replace(self.asked, partitions=entered["partitions"], fan_in=entered["fan_in"])
        began = time.perf_counter()
        n, d = self.store.n, self.store.d
        sizes = self._sizes(context, config, k)
        asked = context.config
        source = Counted(self.rows.n_rows, True, self.rows.n_bytes, self.rows.shards)
        embedding = embedding_done(context, self.rows, d)
        stages = stage_bytes(Work(asked, source, d, k, sizes, embedding, context.machine, context.policy))
        if context.plan is not None:
            context.plan.tell_sizes(sizes)
        in_process = context.in_process(context.policy.is_small(n, d))
        context.manifest.unseal(self.upstream)  # its parts are sorted by the partitions, in their place
        objective = config.objective_of(n, k)
        cluster_items, layout = objective.cluster_items(n) if config.by_clusters else None, None
        if cluster_items is not None:
            layout = cluster_layout(
                self.store, config, cluster_items=cluster_items, partitions=sizes.partitions, in_process=in_process
            )
            store = arranged_store(self.store, layout, in_process=in_process)
        else:
            store = sorted_store(self.store, config, in_process=in_process)
        constraints = partition_constraints(
            self.rows, store, asked.corpus, config, self.lists, items=n, in_process=in_process
        )
        comparison = Comparison(self.rows, store, self._target(n), asked.corpus.quality is not None)
        added = comparison.target is not None or comparison.quality
        nearest = compare(comparison, in_process=in_process) if added else None
        if config.by_clusters:
            if comparison.target is not None:
                objective = objective.with_target(None, dataclasses.replace(comparison.target, nearest=nearest))
            job = plan_clusters(store, objective, config, k, constraints, context.policy)
        else:
            target_of = None if self.queries is None else self._target_of
            job = plan_selection(store, config, k, constraints, context.policy, target_of)
        utilities = None
        if added:
            utilities = write_utilities(
                comparison, job.objective.full(), self._quality_weight, k=min(k, job.k), budget=job.whole.budget,
                seed=config.seed, in_process=in_process,
            )  # fmt: skip
            store = dataclasses.replace(store, utilities=UTILITIES)
            job = job.with_given(lambda given: with_utilities(store, given))
        if config.by_clusters:
            clusters = ClusterJob.of(objective, job, cluster_items, None if layout is None else layout.centres)
            with bar("select", job.m, "partition") as progress:
                outcome = choose_clustered(store, job, clusters, bar=progress, processes=sizes.processes)
        else:
            if constraints is not None and job.tree.rounds > 1:
                sizes = self._with_candidates(context, config, sizes, job, constraints)
                stages["select"] = max(stages["select"], sizes.predicted_peak_bytes)
            outcome = _choose(store, config, job, sizes)
        if utilities is not None:
            bonus = len(outcome.result.ids) * utilities.means[UTILITY]
            outcome = dataclasses.replace(outcome, random_value=outcome.random_value + bonus)
        record(ITEMS_CHOSEN, len(outcome.result.ids), context.run)
        record(VALUE, outcome.result.value, context.run)
        items = EmbeddingStore.open_folder(context.run, EMBEDDINGS)
        represented = find_nearest(
            items,
            store,
            outcome.result.ids,
            outcome.published,
            left_out_rows(self.rows),
            in_process=in_process,
            at_a_time=sizes.processes,
        )
        facts = write_selection(self.rows, store, outcome, config, represented)
        if utilities is not None:
            facts |= aim_facts(store, outcome, utilities, self.queries, self._share)
            facts["warnings"] += missing_quality(utilities, n)
        peak.add(outcome.peak_bytes or 0)
        facts["predicted_peak_bytes"] = max(stages.values())
        facts["predicted_peaks"] = stages
        facts["warnings"] = [*([warning] if warning else []), *facts["warnings"]]
        return StageResult(
            True,
            facts,
            f"select: {len(outcome.result.ids):,} of {job.n:,} items in {time.perf_counter() - began:.2f} s",
        )

    def tidy(self, context: RunContext) -> None:
        """Delete what utilities were made of."""
        forget_comparison(context.run)

    @property
    def _share(self) -> float:
        return TARGET_WEIGHT if self.asked.target_weight is None else self.asked.target_weight

    @property
    def _quality_weight(self) -> float:
        return QUALITY_WEIGHT if self.asked.quality_weight is None else self.asked.quality_weight

    def _target_of(self, represented: float) -> Target:
        """Return the target where so many items are represented."""
        assert self.queries is not None
        items = self.queries.read_all()
        return Target.of(items.vectors, self._share, represented, items.columns[MULTIPLICITY])

    def _target(self, n: int) -> Target | None:
        return None if self.queries is None else self._target_of(n)

    def _k(self) -> tuple[int, str | None]:
        asked = self.asked
        return resolve_k(asked.k, asked.fraction, rows=self.rows.n_rows, items=self.store.n, no_limit=True)

    def _asked(self, context: RunContext) -> dict[str, Any]:
        version = VERSION if self.asked.budget is None else BUDGET_VERSION
        clusters = {"clusters": version} if self.asked.by_clusters else {}
        target = {} if self.queries is None else {"target": context.fingerprint(TargetStage.name)}
        return {
            **fingerprint_fields(self.asked),
            **self.lists.fingerprints,
            **clusters,
            **target,
            "embed": context.fingerprint(self.upstream),
        }

    def _sizes(self, context: RunContext, config: SelectConfig, k: int) -> SelectionPlan:
        copies = context.config.corpus.copies == "keep"
        n, d, policy = self.store.n, self.store.d, context.policy
        sizes = plan_sizes(config, context.machine, n=n, d=d, k=planned_k(config, k), copies=copies, policy=policy)
        sizes = sizes if context.config.corpus.quality is None else with_ranks(sizes)
        return sizes if self.queries is None else with_queries(sizes, self.queries.n)

    def _settled(self, context: RunContext, settings: dict[str, Any]) -> SelectConfig:
        """Return the configuration with what memory decides; a run that goes on keeps what it began with."""
        config, there = self.asked, context.manifest.stages.get(self.name)
        asked = {name: settings[name] for name in settings if name not in ("partitions", "fan_in")}
        given = {name: value for name in ("partitions", "fan_in") if (value := settings[name]) is not None}
        if there is not None and {**there.settings, **asked, **given} == there.settings:
            return dataclasses.replace(
                config, partitions=there.settings["partitions"], fan_in=there.settings.get("fan_in")
            )
        k, _ = self._k()
        sizes = self._sizes(context, config, k)
        layout = 0 if config.by_clusters else self.store.partitions
        if config.partitions is None and layout > sizes.partitions > 1:  # sorted by more than is needed: no matter
            config = dataclasses.replace(config, partitions=layout)
            sizes = self._sizes(context, config, k)
        return dataclasses.replace(config, partitions=sizes.partitions, fan_in=sizes.fan_in)

    def _with_candidates(
        self,
        context: RunContext,
        config: SelectConfig,
        sizes: SelectionPlan,
        job: SelectionJob,
        constraints: PartitionedConstraints,
    ) -> SelectionPlan:
        candidates = job.tree.root.available + len(constraints.given)
        return with_candidates(config, context.machine, sizes, candidates)


def _choose(store: EmbeddingStore, config: SelectConfig, job: SelectionJob, sizes: SelectionPlan) -> SelectionOutcome:
    if config.mode == "exact":
        with bar("select", job.k, "item") as progress:
            return choose_exactly(store, job, bar=progress, processes=sizes.processes)
    with bar("select", job.m, "partition") as progress:
        return choose(store, job, bar=progress, processes=sizes.processes, beside=sizes.beside)
