"""The stage that trains: the same model on the subset, on random rows and on everything, measured on one test file."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, TrainConfig, fingerprint_fields
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.types import Indices
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.rows import RowStore, group_equal
from ray_subsel.embedders import model_name
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import log_line, steps
from ray_subsel.stages.base import RunContext, Stage
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune

TASKS = {
    "story-cloze": ["id", "key", "context", "ending1", "ending2", "label"],
    "classification": ["id", "key", "text", "label"],
}
"""The tasks that can be trained, and the columns each needs."""


def model_to_train(embed: EmbedConfig, train: TrainConfig) -> str:
    """Return the encoder to fine-tune: the one named, else the embedder where it is an encoder, else BERT."""
    if train.train_model is not None:
        return train.train_model
    return model_name(embed) or "bert-base-uncased"


def rows_of_arm(arm: str, rows: RowStore, selected: Indices, seed: int) -> Indices:
    """Return the row ids that an arm trains on.

    ``subset``: the selected ones. ``random``: as many rows, drawn from all. ``random-dedup``: as many, drawn from the
    distinct texts (the lowest row id of each). ``full``: all rows.
    """
    if arm == "subset":
        return selected
    if arm == "full":
        return rows.ids()
    pool = rows.ids() if arm == "random" else distinct_rows(rows)
    if len(pool) < len(selected):
        raise invalid("arm", f"have at least {len(selected)} rows to draw from", f"{arm} with {len(pool)}")
    drawn = np.random.default_rng(seed).choice(pool, size=len(selected), replace=False)
    return np.sort(np.asarray(drawn, dtype=np.int64))


def distinct_rows(rows: RowStore) -> Indices:
    """Return the lowest row id of each distinct text, ascending."""
    leads = [group_equal(rows.shard(shard, ["id", "key"])).leads for shard in range(rows.shards)]
    return np.sort(np.concatenate(leads))


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
) -> dict[str, Any]:
    """Train and measure each arm that has no result yet; return what the report says of all.

    An arm's result is kept in ``train/<arm>/result.json``.
    """
    if corpus.task not in TASKS:
        raise invalid("task", f"be one of {', '.join(TASKS)} to fine-tune", corpus.task, "Use --task.")
    test_rows = _test_rows(run, test)
    columns = TASKS[corpus.task]
    test_table = test_rows.take(test_rows.ids(), columns)
    selected = run.read_table("selection.parquet", ["id"])["id"].to_numpy().astype(np.int64)
    model = model_to_train(embed, train)
    for arm in train.arms:
        name = f"train/{arm}"
        if run.exists(f"{name}/result.json"):
            log_line(f"train {arm}: as before")
            continue
        ids = rows_of_arm(arm, rows, selected, train.train_seed)
        table = rows.take(ids, columns)
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
        run.write_json(f"{name}/result.json", content)
        log_line(f"train {arm}: accuracy {result.accuracy:.4f} in {result.seconds_train:.1f} s")
    known = [arm for arm in ("subset", "random", "random-dedup", "full") if run.exists(f"train/{arm}/result.json")]
    arms = [run.read_json(f"train/{arm}/result.json") for arm in known]
    return {"task": corpus.task, "model": model, "test_rows": test_rows.n_rows, "arms": arms}


def _test_rows(run: RunDir, test: CorpusConfig) -> RowStore:
    """Read the test file into ``test/``, once."""
    folder = RunDir(os.path.join(run.uri, "test"))
    if folder.exists("rows/index.json"):
        return RowStore.open(folder)
    rows = ingest(test, folder)
    if rows.n_rejected:
        log_line(f"test: {rows.n_rejected:,} rows rejected, see {folder.path('rejected.parquet')}")
    if not rows.n_rows:
        raise InputError(f"test must hold rows; got none in {', '.join(test.data)}.")
    return rows


def read_as_test(corpus: CorpusConfig, train: TrainConfig) -> CorpusConfig:
    """Return how the test file is read: as the corpus, but as it is."""
    if not train.test:
        raise InputError("test must name a labelled file to measure accuracy on. Use --test FILE.")
    return dataclasses.replace(corpus, data=train.test, augment=False, copies="keep")


class TrainStage(Stage):
    """The subset to fine-tuned models and their accuracy: ``train/``. Each arm is resumed by itself."""

    name = "train"
    outputs = ("train", "test")
    reports_peak = False  # processes of Ray Train do not measure theirs

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.test_fingerprint = ""

    def is_wanted(self) -> bool:
        """Tell whether something is to be trained."""
        return self.config.train is not None

    @property
    def train(self) -> TrainConfig:
        """What to train."""
        assert self.config.train is not None
        return self.config.train

    @property
    def test(self) -> CorpusConfig:
        """How the test file is read."""
        return read_as_test(self.config.corpus, self.train)

    def check(self) -> None:
        """Look at the test file."""
        self.test_fingerprint = input_fingerprint(self.test)

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return the settings but the arms: each is kept by itself, so that one may be added later."""
        settings = fingerprint_fields(self.train)
        settings.pop("arms")
        upstream = {name: context.fingerprint(name) for name in ("corpus", "select")}
        model = model_to_train(self.config.embed, self.train)
        return {**settings, **upstream, "model": model, "test": self.test_fingerprint}

    def is_complete(self, context: RunContext) -> bool:
        """Return False: an arm may be new; those that have a result are taken as they are."""
        return False

    def run(self, context: RunContext, peak: PeakMemory) -> dict[str, Any]:
        """Train the arms that have no result."""
        config, asked = self.config, self.config.runtime.num_gpus
        use_gpu = context.session.resources.gpus >= 1 if asked is None else asked > 0
        return finetune_arms(
            context.directory,
            context.corpus,
            config.corpus,
            config.embed,
            self.train,
            config.runtime,
            self.test,
            use_gpu=use_gpu,
        )

    def describe(self, facts: dict[str, Any], seconds: float) -> str:
        """Return how many arms there are."""
        return f"{len(facts['arms'])} arms, each measured on {facts['test_rows']:,} rows"
