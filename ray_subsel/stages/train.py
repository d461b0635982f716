"""Train the same model on the subset, on random rows and on everything, and measure each on one test file."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, TrainConfig, fingerprint_fields, model_to_train
from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.other_sets import test_corpus
from ray_subsel.corpus.rows import RowStore, group_equal
from ray_subsel.decisions.table import SELECTION
from ray_subsel.embedders.model_files import gpus_here
from ray_subsel.planning.later_plan import mean_characters, plan_training
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line, steps
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.left_out import contaminated_rows
from ray_subsel.stages.overlap_of_test import overlap_of_test
from ray_subsel.stages.plan_once import PlanOnce
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune
from ray_subsel.training.data import WEIGHT, columns_of

TASKS = ("classification", *CHOICE_TASKS)
"""The tasks that can be trained."""
TIMED_ROWS = 1_000
"""Rows whose texts tell how long texts are."""


def rows_of_arm(arm: str, rows: RowStore, selected: Indices, seed: int) -> Indices:
    """Return the row ids that an arm trains on; rows that repeat a set of ``--against`` are in none.

    ``subset``: the selected ones. ``random``: as many rows, drawn from all. ``random-dedup``: as many, drawn from the
    distinct texts (the lowest row id of each). ``full``: all rows.
    """
    if arm == "subset":
        return selected
    pool = distinct_rows(rows) if arm == "random-dedup" else rows.ids()
    pool = np.setdiff1d(pool, contaminated_rows(rows), assume_unique=True)
    if arm == "full":
        return pool
    if len(pool) < len(selected):
        raise invalid("arm", f"have at least {len(selected)} rows to draw from", f"{arm} with {len(pool)}")
    drawn = np.random.default_rng(seed).choice(pool, size=len(selected), replace=False)
    return np.sort(np.asarray(drawn, dtype=np.int64))


def distinct_rows(rows: RowStore) -> Indices:
    """Return the lowest row id of each distinct text, ascending."""
    leads = [group_equal(rows.shard(shard, ["id", "key"])).leads for shard in range(rows.shards)]
    return np.sort(np.concatenate(leads))


def selected_weights(run: RunDir) -> pa.ChunkedArray:
    """Return how many rows each chosen row stands for, by rank."""
    table = run.read_table(SELECTION)
    if WEIGHT not in table.column_names:
        way = "Select again, into another --out or with --overwrite."
        raise invalid("weighted_training", f"go with a {SELECTION} that has weights", "one without", way)
    return table[WEIGHT]


def finetune_arms(
    run: RunDir,
    rows: RowStore,
    corpus: CorpusConfig,
    embed: EmbedConfig,
    train: TrainConfig,
    runtime: RuntimeConfig,
    test: CorpusConfig,
    *,
    use_gpu: bool,
    reads_here: Callable[[int], bool],
) -> dict[str, Any]:
    """Train and measure each arm that has no result yet; return what the report says of all.

    An arm's result is kept in ``train/<arm>/result.json``.
    """
    check_task(corpus)
    test_rows = _test_rows(run, test, reads_here)
    overlap = overlap_of_test(rows, test_rows, reads_here)
    columns = ["id", "key", *columns_of(corpus.task, rows.index["columns"])]
    test_table = test_rows.take(test_rows.ids(), columns)
    selected = run.read_table(SELECTION, ["id"])["id"].to_numpy().astype(np.int64)
    weights = selected_weights(run) if train.weighted_training else None
    model = model_to_train(embed, train)
    for arm in train.arms:
        name = f"train/{arm}"
        if run.exists(_result_of(arm)):
            log_line(f"train {arm}: as before")
            continue
        ids = rows_of_arm(arm, rows, selected, train.train_seed)
        table = rows.take(ids, columns)
        if weights is not None and arm == "subset":
            table = table.append_column(WEIGHT, weights)
        log_line(f"train {arm}: {len(ids):,} rows")
        with steps(f"train {arm}", "step") as told:
            result = finetune(
                table.drop_columns(["id", "key"]),
                test_table.drop_columns(["id", "key"]),
                train,
                task=corpus.task,
                model=model,
                run=run,
                name=name,
                workers=runtime.train_workers,
                use_gpu=use_gpu,
                progress=told,
            )
        repeated = len(ids) - len(set(table["key"].to_pylist()))
        content = {"arm": arm, "n": len(ids), "duplicates_in_training_set": repeated, **dataclasses.asdict(result)}
        run.write_json(_result_of(arm), content)
        log_line(f"train {arm}: accuracy {result.accuracy:.4f} in {result.seconds_train:.1f} s")
    known = [arm for arm in ("subset", "random", "random-dedup", "full") if run.exists(_result_of(arm))]
    arms = [run.read_json(_result_of(arm)) for arm in known]
    about = {"task": corpus.task, "model": model, "test_rows": test_rows.n_rows, "arms": arms}
    unseen = [f"test: {line}" for line in unseen_labels(corpus.task, rows, test_rows)]
    return {**about, "overlap": overlap.as_json(), "warnings": [*overlap.warnings(test.data[0]), *unseen]}


def plan_of_training(run: RunDir, rows: RowStore, train: TrainConfig) -> PlanOnce | None:
    """Return what tells the plan of fine-tuning on what a run has chosen; None where every arm is done."""
    left = [arm for arm in train.arms if not run.exists(_result_of(arm))]
    if not left:
        return None
    chosen, some = run.read_table(SELECTION, ["id"]).num_rows, rows.ids()[:TIMED_ROWS]
    counts = [rows.n_rows if arm == "full" else chosen for arm in left]
    characters = mean_characters(rows.take(some, ["text"])["text"].to_pylist())
    return PlanOnce(partial(plan_training, rows=counts, characters=characters))


def _result_of(arm: str) -> str:
    return f"train/{arm}/result.json"


def _test_rows(run: RunDir, test: CorpusConfig, reads_here: Callable[[int], bool]) -> RowStore:
    """Read the test file into ``test/``, once."""
    folder = run.inner("test")
    if folder.exists("rows/index.json"):
        return RowStore.open(folder)
    rows = ingest(test, folder, in_process=reads_here)
    if rows.n_rejected:
        log_line(f"test: {rows.n_rejected:,} rows rejected, see {folder.path('rejected.parquet')}")
    if not rows.n_rows:
        raise InputError(f"test must hold rows; got none in {', '.join(test.data)}.")
    return rows


def check_test(context: RunContext, rows: RowStore) -> None:
    """Read the test file before anything is embedded, so that what is wrong with it is told at once.

    Raises
    ------
    InputError
        For a task that cannot be trained, and a test file that cannot be used.
    """
    config = context.config
    assert config.train is not None
    check_task(config.corpus)
    if context.run.exists("test/rows/index.json"):
        return
    with tempfile.TemporaryDirectory(prefix="subsel-test-") as folder:
        test = _test_rows(RunDir(folder), test_corpus(config.corpus, config.train), context.reads_here)
        for line in unseen_labels(config.corpus.task, rows, test):
            log_line(f"test: {line}")


def check_task(corpus: CorpusConfig) -> None:
    """Refuse a task that is none to train."""
    if corpus.task not in TASKS:
        way = (
            "Its rows were read without classes: run again with --task classification --label COLUMN, in another --out."
        )
        raise invalid("task", f"be one of {', '.join(TASKS)} to fine-tune", corpus.task, way)


def unseen_labels(task: str, rows: RowStore, test: RowStore) -> list[str]:
    """Return a line about classes of the test file that no row of the corpus has: their rows cannot come out right."""
    if task != "classification":
        return []
    unseen = sorted(set(test.label_names()) - set(rows.label_names()))
    if not unseen:
        return []
    labels = test.take(test.ids(), ["label"])["label"].to_pylist()
    lost = sum(label in set(unseen) for label in labels)
    shown = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
    return [f"{lost:,} of {len(labels):,} rows have classes that no row to train on has ({shown}): all count as wrong"]


@final
@dataclass(frozen=True)
class TrainStage(Stage[bool]):
    """Fine-tune the arms that have no result yet.

    Attributes
    ----------
    rows : RowStore
    train : TrainConfig
    """

    name: ClassVar[str] = "train"
    outputs: ClassVar[tuple[str, ...]] = ("train", "test")

    rows: RowStore
    train: TrainConfig

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the results; each arm is kept by itself, so that one may be added later."""
        config = context.config
        settings = fingerprint_fields(self.train)
        settings.pop("arms")
        upstream = {name: context.fingerprint(name) for name in ("corpus", "select")}
        test = input_fingerprint(test_corpus(config.corpus, self.train))
        return settings | {**upstream, "model": model_to_train(config.embed, self.train), "test": test}

    def resume(self, context: RunContext) -> bool | None:
        """Return None: which arms are done is looked up one by one."""
        del context
        return None

    def mend(self, context: RunContext, lost: Sequence[str]) -> None:
        """Delete the arms of which something is lost, and the test rows where it is theirs."""
        for name in lost:
            folder, _, rest = name.partition("/")
            context.run.delete(f"train/{rest.partition('/')[0]}" if folder == "train" else folder)

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[bool]:
        """Train what is missing."""
        del peak
        config, asked = context.config, context.config.runtime.num_gpus
        here = context.in_process(config.runtime.train_workers == 0)
        if asked is None:
            asked = gpus_here() if here else context.session.resources.gpus
        test = test_corpus(config.corpus, self.train)
        facts = finetune_arms(
            context.run, self.rows, config.corpus, config.embed, self.train, config.runtime, test,
            use_gpu=asked > 0, reads_here=context.reads_here,
        )  # fmt: skip
        return StageResult(True, facts)
