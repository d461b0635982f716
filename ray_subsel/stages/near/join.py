"""Join near copies to items that lead: within each bucket, across clusters, and orphans in rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
import pyarrow as pa

from ray_subsel.core.items import MULTIPLICITY
from ray_subsel.core.places import is_in
from ray_subsel.core.threads import block_workers
from ray_subsel.core.types import Indices
from ray_subsel.dedup.borders import (
    Clusters,
    Edges,
    Hosts,
    Round,
    Side,
    join_orphans,
)
from ray_subsel.dedup.buckets import Bucket, BucketPlan, Groups, join_buckets
from ray_subsel.stages.near.assign import centres_of
from ray_subsel.stages.near.files import (
    groups_of,
    read_block,
    read_bucket,
    read_edges,
    read_guests,
    table_of,
    write_edges,
    write_guests,
)
from ray_subsel.stages.near.task import (
    ITEM,
    NearTask,
    Steps,
    scratch,
)


def collapse_buckets(task: NearTask, plan: BucketPlan, number: int) -> None:
    """Group the items of one task, each cluster by itself, and keep the groups and the items that lead."""
    leading: list[pa.Table] = []
    groups: list[Groups] = []
    read: list[pa.Table] = []

    def buckets() -> Iterator[Bucket]:
        for bucket in plan.tasks[number]:
            read.append(read_bucket(task, bucket, (MULTIPLICITY, "rows")))
            yield task.bucket_of(read[-1])

    with block_workers():
        for joined in join_buckets(buckets(), task.settings.threshold, most_kept=task.most_kept):
            groups.append(joined)
            leading.append(read.pop().filter(pa.array(joined.leads)))
    leads = pa.concat_tables(leading)
    leading.clear()
    write_guests(task, plan, number, leads)
    task.run.write_table(scratch("kept", number), leads)
    task.run.write_table(scratch("home", number), table_of(groups))


def _compare(task: NearTask, parts: int, number: int) -> None:
    """Compare the items that lead in one part with those of all parts that are near its clusters."""
    with block_workers():
        side = Side.of(read_block(task, number))
        hosts = Hosts(side, task.settings.threshold)
        found = [hosts.edges(side)]
        for home in range(parts):
            guests = read_guests(task, home, number) if home != number else None
            if guests is not None:
                found.append(hosts.edges(Side.of(guests)))
    write_edges(task.run, scratch("edges", number), Edges.union(found))


def _join_round(task: NearTask, blocks: int, orphans: Indices, kept: Indices, number: int) -> None:
    """Join orphans to the items that lead in all parts, and keep those that lead now as one more part."""
    tables = []
    for shard in task.store.numbers:
        with task.run.parquet(scratch("pieces", shard)) as file:
            columns = [name for name in file.schema_arrow.names if name not in (MULTIPLICITY, "rows")]
            for group in range(file.num_row_groups):
                here = is_in(file.read_row_group(group, columns=["id"])["id"].to_numpy(), orphans)
                if here.any():
                    table = file.read_row_group(group, columns=columns).filter(pa.array(here))
                    tables.append(table.replace_schema_metadata(None))
    table = pa.concat_tables(tables)
    table = table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))
    with block_workers():
        found = join_orphans(
            task.bucket_of(table),
            (read_block(task, block) for block in range(blocks)),
            kept,
            task.settings.threshold,
            most_kept=task.most_kept,
        )
    task.run.write_table(scratch("kept", blocks), table.filter(pa.array(found.groups.leads)))
    write_edges(task.run, scratch("edges", blocks), found.edges)
    task.run.write_table(scratch("rounds", number), table_of([found.groups]))


@final
class StoredClusters(Clusters):
    """Clusters that were grouped by tasks."""

    def __init__(self, task: NearTask, plan: BucketPlan, steps: Steps) -> None:
        self.task, self.plan, self.steps = task, plan, steps
        self.blocks = len(plan.tasks)  # parts of items that lead: one a task, and one a round

    def known(self) -> pa.Table:
        """Return id, part and label of the items that lead or led, in order of id."""
        columns = ["id", "cell", "label", *([] if self.task.order is None else [ITEM])]
        tables = [self.task.run.read_table(scratch("kept", n), columns) for n in range(self.blocks)]
        table = pa.concat_tables(tables)
        part = self.plan.task_of(table["id"].to_numpy(), table["cell"].to_numpy())
        table = table.append_column("part", pa.array(part))
        return table.take(pa.array(np.argsort(table["id"].to_numpy(), kind="stable")))

    def leaders(self) -> Indices:
        """Return the items that lead or led."""
        return np.asarray(self.known()["id"].to_numpy())

    def edges(self) -> Edges:
        """Return who is near whom across clusters, of the items that lead."""
        parts = self.blocks
        if centres_of(self.task).n_clusters == 1:
            return Edges.union([])
        outputs = {number: scratch("edges", number) for number in range(parts)}
        self.steps.run("compared across clusters", _compare, (self.task, parts), outputs, {})
        return Edges.union(read_edges(self.task.run, name) for name in outputs.values())

    def led_by(self, leaders: Indices) -> Indices:
        """Return the items that some leaders lead."""
        found = [np.zeros(0, dtype=np.int64)]
        for number in range(len(self.plan.tasks)) if leaders.size else ():
            table = self.task.run.read_table(scratch("home", number), ["id", "leader"])
            ids, leader = table["id"].to_numpy(), table["leader"].to_numpy()
            found.append(ids[is_in(leader, leaders) & (ids != leader)])
        return np.sort(np.concatenate(found))

    def join(self, number: int, orphans: Indices, kept: Indices) -> Round:
        """Let orphans join items that are kept, in a round of this number."""
        run, shared = self.task.run, (self.task, self.blocks, orphans, kept)
        self.steps.run("joined across clusters", _join_round, shared, {number: scratch("rounds", number)}, {})
        round_ = Round(
            groups_of(run.read_table(scratch("rounds", number))), read_edges(run, scratch("edges", self.blocks))
        )
        self.blocks += 1
        return round_
