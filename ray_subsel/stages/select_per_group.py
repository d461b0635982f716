"""Select in each group of rows on its own (``--per``): a task a pack of groups, and what they chose in one table."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ray_subsel.config import CorpusConfig, SelectConfig, fingerprint_fields
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.constraints.staging import stages_of_ranks
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.constraint_columns import cost_column
from ray_subsel.corpus.id_lists import OWN_IDS, IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.table import SELECTION
from ray_subsel.partitioned.packing import pack
from ray_subsel.runtime.metrics import ITEMS_CHOSEN, PARTITIONS_DONE, record
from ray_subsel.runtime.peak_memory import PeakMemory, peak_bytes
from ray_subsel.runtime.progress import bar
from ray_subsel.runtime.tasks import TaskSpec, map_tasks, run_tasks
from ray_subsel.selection.api import select
from ray_subsel.selection.per_group import GroupCounts, PerGroup
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.constraint_table import row_ids, with_equal_rows
from ray_subsel.stages.group_fates import about_groups, fates_of
from ray_subsel.stages.group_packs import FOLDER as PACKS
from ray_subsel.stages.group_packs import PackTask, group_sizes, read_pack, write_packs
from ray_subsel.stages.nearest import FOLDER as NEAREST
from ray_subsel.stages.select import SelectStage
from ray_subsel.stages.write_selection import (
    SHOWN_GROUPS,
    STAGE,
    misfit_lines,
    stage_facts,
    write_later_forms,
)
from ray_subsel.stages.write_subset import write_subset
from ray_subsel.storage.embedding_store import EmbeddingStore, part_name, vectors_of

PICKED = "picked"
VERSION = 1
"""Of what is chosen: part of the stage's settings."""
PACK_NUMBERS = 4_000_000
"""n * d of the items of a pack: 16 MB of vectors."""
COPIES_OF_VECTORS = 4
"""What a process needs for a group, in units of its vectors: the pack's, the group's, and what select() makes."""
HINT = "Give it more memory"


@dataclass(frozen=True, eq=False)
class PackJob:
    """All that a worker needs to choose in the groups of a pack.

    Attributes
    ----------
    task : PackTask
    plan : PerGroup
    columns : dict of str to str
        Arguments of ``select`` by row, and the columns that they are.
    """

    task: PackTask
    plan: PerGroup
    columns: Mapping[str, str]


@final
@dataclass(frozen=True)
class SelectPerGroupStage(Stage[bool]):
    """Choose the subset of each group.

    Attributes
    ----------
    rows : RowStore
    store : EmbeddingStore
        The ground set of all groups together, near copies in it.
    asked : SelectConfig
    lists : IdLists
        Rows that must and must not be chosen.
    upstream : str
        The stage that made the ground set.
    """

    name: ClassVar[str] = SelectStage.name
    outputs: ClassVar[tuple[str, ...]] = (*SelectStage.outputs, PACKS, PICKED)

    rows: RowStore
    store: EmbeddingStore
    asked: SelectConfig
    lists: IdLists
    upstream: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the subset."""
        quality = {} if context.config.corpus.quality is None else {"quality": context.config.corpus.quality}
        return {
            **fingerprint_fields(self.asked), **self.lists.fingerprints, **quality, "per_version": VERSION,
            "near_within": self.asked.near_within, "embed": context.fingerprint(self.upstream),
        }  # fmt: skip

    def resume(self, context: RunContext) -> bool | None:
        """Return that there is a selection; forms of the subset that are asked for now are written."""
        if not context.run.names(NEAREST, ".parquet"):  # of a version that wrote no decisions: what they need is made
            return None
        write_later_forms(context.run, self.rows, self.asked.to)
        return True

    def tidy(self, context: RunContext) -> None:
        """Delete the sorted copy of the vectors and what the packs gave."""
        for folder in (PACKS, PICKED):
            context.run.delete(folder)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Sort the ground set by groups, choose in each pack that is missing, and write what was chosen."""
        began = time.perf_counter()
        names, sizes = group_sizes(self.rows, "group")
        self._check_memory(context, names, sizes)
        in_process = context.in_process(context.policy.is_small(self.rows.n_rows, self.store.d))
        job = self._job(context.config.corpus, names, sizes)
        self._sort(job.task, in_process=in_process)
        missing = [number for number in range(job.task.packs) if not context.run.exists(_picked(number))]
        works = [
            (n, TaskSpec(_picked(n), f"select pack {n}", f"pack {n} of groups could not be chosen from", HINT))
            for n in missing
        ]
        at_a_time = self._at_a_time(context, sizes)
        with bar("select", job.task.packs, "pack") as progress:
            progress.advance(job.task.packs - len(missing))
            ended = run_tasks(choose_in_pack, (job,), works, context.run, in_process=in_process, at_a_time=at_a_time)
            for _, _, used in ended:
                peak.add(used)
                progress.advance()
                record(PARTITIONS_DONE, 1, context.run)
        peak.add(peak_bytes() if in_process else 0)
        facts = self._write(job)
        record(ITEMS_CHOSEN, facts["k"], context.run)
        took = time.perf_counter() - began
        line = f"select: {facts['k']:,} of {facts['n']:,} items in {len(names):,} groups in {took:.2f} s"
        return StageResult(True, facts, line)

    def _check_memory(self, context: RunContext, names: tuple[str, ...], sizes: Indices) -> None:
        largest = int(np.argmax(sizes))
        needed = int(sizes[largest]) * self.store.d * 4 * COPIES_OF_VECTORS
        if needed > context.machine.for_one:
            got = Verbatim(
                f"group {names[largest]!r} of {sizes[largest]:,} rows, which takes {show_bytes(needed)}, where "
                f"{show_bytes(int(context.machine.for_one))} are there"
            )
            raise invalid("per", "name groups that fit into one process", got, "Select from it alone, without --per.")

    def _at_a_time(self, context: RunContext, sizes: Indices) -> int:
        """Return how many packs fit into memory at the same time, each as large as the largest group wants it."""
        each = (PACK_NUMBERS + int(sizes.max()) * self.store.d * COPIES_OF_VECTORS) * 4 + (300 << 20)
        machine = context.machine
        return max(1, min(machine.cpus, int(machine.nodes * machine.for_one // each)))

    def _job(self, corpus: CorpusConfig, names: tuple[str, ...], sizes: Indices) -> PackJob:
        asked, spec = self.asked, ConstraintSpec.parse(self.asked.quotas, self.asked.floors, self.asked.budget)
        columns: dict[str, str] = {}
        if asked.grouped:
            columns["groups"] = "label"
        if asked.budget is not None:
            columns["costs"] = cost_column(corpus)
        if corpus.quality is not None:
            columns["quality"] = "quality"
        if asked.near_within is not None and asked.near_within == corpus.label:
            columns["near_within"] = "label"  # within the group itself all near copies are
        self._check_labels(spec)
        packs = pack(sizes, max(1, PACK_NUMBERS // max(1, self.store.d)))
        exclude = row_ids(self.rows, self.lists.exclude, "exclude", corpus.id)
        task = PackTask(
            self.rows,
            self.store,
            names,
            packs,
            int(packs.max()) + 1,
            tuple(dict.fromkeys(columns.values())),
            row_ids(self.rows, self.lists.include, "include", corpus.id),
            with_equal_rows(self.rows, exclude) if corpus.copies == "keep" else exclude,
        )
        options: dict[str, Any] = {"recipe": "none", "objective": asked.objective}
        if "lam" in asked.objective_class.options:
            options["lam"] = asked.lam
        if asked.quality_weight is not None:
            options["quality_weight"] = asked.quality_weight
        plan = PerGroup(
            select, asked.k, asked.fraction, asked.near_threshold, asked.seed, spec.quotas, spec.floors, spec.budget,
            options,
        )  # fmt: skip
        return PackJob(task, plan, columns)

    def _check_labels(self, spec: ConstraintSpec) -> None:
        named = [one for one in (spec.quotas, spec.floors) if isinstance(one, Mapping)]
        if named:
            there = set(self.rows.label_names())
            unknown = [label for one in named for label in one if label not in there]
            if unknown:
                raise invalid("quota, floor", "name labels that occur", unknown[0])

    def _sort(self, task: PackTask, *, in_process: bool) -> None:
        run = self.store.run
        missing = [shard for shard in self.store.numbers if not run.exists(part_name(shard, PACKS))]
        failed = "part {} could not be sorted by groups"
        tasks = [
            (shard, TaskSpec(part_name(shard, PACKS), f"sort part {shard} by groups", failed.format(shard), HINT))
            for shard in missing
        ]
        map_tasks(write_packs, (task,), tasks, run, in_process=in_process)

    def _write(self, job: PackJob) -> dict[str, Any]:
        """Write selection.parquet and subset.parquet, and return what the report says."""
        run, names = self.store.run, job.task.names
        table = pa.concat_tables([run.read_table(_picked(number)) for number in range(job.task.packs)])
        counts = sum((GroupCounts(**run.read_json(_counts(n))) for n in range(job.task.packs)), GroupCounts())
        order = np.lexsort((table["rank"].to_numpy(), table["group"].to_numpy()))
        table = table.take(pa.array(order))
        group = table["group"].to_numpy()
        shown = pa.array(names, pa.string()).take(pa.array(group))
        shown = pc.if_else(pc.equal(shown, ""), pa.scalar(None, pa.string()), shown)
        ids, ranks = table["id"].to_numpy(), table["rank"].to_numpy()
        stage = stages_of_ranks(ranks, self.asked.stages) if self.asked.stages else None
        misfits = write_subset(run, self.rows, ids, self.asked.to, ranks=ranks, stage=stage)
        if stage is not None:
            table = table.append_column(STAGE, pa.array(stage))
        if self.rows.has_own_ids:
            table = table.append_column(OWN_IDS, self.rows.take(ids, [OWN_IDS])[OWN_IDS])
        run.write_table(SELECTION, table.set_column(0, "group", shown))
        gains, chosen = table["gain"].to_numpy(), np.bincount(group, minlength=len(names))
        largest = np.lexsort((np.arange(len(names)), -chosen))[:SHOWN_GROUPS].tolist()
        told = about_groups(run, names, chosen)
        asked = f"{self.asked.k:,}" if self.asked.k is not None else "the fraction asks for"
        return {
            "mode": "per group", "per": self.asked.per, "objective": self.asked.objective, "n": counts.items,
            "k": len(ids), "dimension": self.store.d, "partitions": job.task.packs, "value": math.fsum(gains.tolist()),
            "random_value": None, "lift_over_random": None, "negative_gains": int((gains < 0).sum()),
            "near_collapsed": counts.collapsed, "largest_groups": [],
            "limits": {
                "included": len(job.task.include), "excluded": len(job.task.exclude), "n_groups": len(names),
                "groups": [
                    {"group": names[g], "chosen": int(chosen[g]), "quota": None, "floor": None} for g in largest
                ],
            },
            "groups": told,
            "stages": stage_facts(stage, self.asked)[0], "misfits": misfits,
            "warnings": [*counts.sentences(asked), *misfit_lines(misfits)],
        }  # fmt: skip


def _picked(number: int) -> str:
    return f"{PICKED}/pack-{number:05d}.parquet"


def _counts(number: int) -> str:
    return f"{PICKED}/pack-{number:05d}.json"


def choose_in_pack(job: PackJob, number: int) -> None:
    """Choose in each group of a pack, and write what was chosen: ``group`` (a number), ``rank`` and the rest."""
    table = read_pack(job.task, number)
    vectors, group = vectors_of(table["vector"]), table["group"].to_numpy()
    columns = {name: _values(table, column, name) for name, column in job.columns.items()}
    asked, barred = table["asked"].to_numpy(), table["barred"].to_numpy(zero_copy_only=False)
    multiplicity = pc.list_value_length(table["rows"]).to_numpy().astype(np.int64)
    order = {int(row): place for place, row in enumerate(job.task.include)}
    item = np.where(asked >= 0, asked, table["id"].to_numpy())  # as it is published where it is chosen
    places, gains, ranks, weights, counts, fates = [], [], [], [], GroupCounts(), []
    bounds = np.flatnonzero(np.r_[True, np.diff(group) != 0, True])
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        mine = slice(start, end)
        named = np.flatnonzero(asked[mine] >= 0)
        named = named[np.argsort([order[int(row)] for row in asked[mine][named]])] if named.size else named
        picks = job.plan.of_group(
            job.task.names[group[start]], vectors[mine], {name: column[mine] for name, column in columns.items()},
            named, np.flatnonzero(barred[mine]), multiplicity[mine],
        )  # fmt: skip
        counts += GroupCounts.of(picks)
        places.append(start + picks.rows)
        gains.append(picks.gains)
        ranks.append(np.arange(picks.rows.size))
        if picks.weigh is not None:
            weights.append(picks.weigh())
        labels = columns["groups"][mine] if "groups" in columns else None
        fates.append(fates_of(picks, vectors[mine], item[mine], table["id"].to_numpy()[mine], labels))
    at = np.concatenate(places)
    chosen = table.take(pa.array(at))
    ids = item[at]
    found = pa.table(
        {
            "group": chosen["group"],
            "rank": pa.array(np.concatenate(ranks), pa.int64()),
            "id": pa.array(ids, pa.int64()),
            "gain": pa.array(np.concatenate(gains), pa.float64()),
            "weight": pa.array(np.concatenate([np.zeros(0, np.int64), *weights]), pa.int64()),
            "multiplicity": pa.array(multiplicity[at], pa.int64()),
            "rows": chosen["rows"],
        }
    )
    told = pa.concat_tables(fates).append_column("rows", table["rows"]).append_column("group", table["group"])
    job.task.store.run.write_table(part_name(number, NEAREST), told)
    job.task.store.run.write_json(_counts(number), dataclasses.asdict(counts))
    job.task.store.run.write_table(_picked(number), found)


def _values(table: pa.Table, column: str, name: str) -> NDArray[Any]:
    """Return a column as an argument of ``select``."""
    if column == "text":  # words stand for costs
        return np.array([max(1, len(text.split())) for text in table["text"].to_pylist()], dtype=np.float64)
    if name in ("groups", "near_within"):
        return np.array([value or "" for value in table[column].to_pylist()], dtype=object)
    return np.asarray(table[column].to_numpy(), dtype=np.float64)
