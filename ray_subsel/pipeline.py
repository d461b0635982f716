"""Run the stages in their order, each resumed where a killed run left it.

Small data are worked on in this process throughout, and no Ray is started; larger ones as it says on the right.

corpus  ->  rows/          read, check, copy rows                       (Ray Core)
embed   ->  embeddings/    distinct texts to vectors, a file a shard    (Ray Data, a pool of actors)
against ->  clean/         rows that repeat another set left out, with --against
            contaminated.parquet
best    ->  best/          of equal texts the best row leads, with --keep-best
drop    ->  kept/          doubtful labels and outliers dropped, with --drop-label-noise, --drop-outliers
            dropped.parquet
near    ->  groups/        near copies join the lowest id, with --near  (Ray Core)
target  ->  target/        the queries of --target, read and embedded        (as above)
select  ->  candidates/    GreeDi: a task a partition, then a reducer   (Ray Core)
            packs/         with --per: a task a pack of groups          (Ray Core)
            selection.parquet, subset.parquet, nearest/
decide  ->  decisions.parquet           what became of every row       (this process)
map     ->  map.parquet    a place in the plane for 20,000 items        (this process)
profile ->                 what the subset is to the corpus             (this process)
train   ->  train/         one model an arm                             (Ray Train, or in process)
report  ->  report.json, report.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, TrainConfig, settle_run
from ray_subsel.core.errors import InputError, told_of
from ray_subsel.core.extras import need
from ray_subsel.corpus.constraint_columns import check_corpus, check_filters, group_column, near_column
from ray_subsel.corpus.id_lists import IdLists, read_id_lists
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.other_sets import other_corpus, test_corpus
from ray_subsel.corpus.resolve import resolve
from ray_subsel.corpus.rows import RowStore
from ray_subsel.corpus.target_file import target_corpus, target_fingerprint
from ray_subsel.embedders.registry import require
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy, possible
from ray_subsel.runtime.progress import log_line
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.stages.base import RunContext, Stage, run_stage
from ray_subsel.stages.check_rows import check_rows
from ray_subsel.stages.constraint_table import row_ids
from ray_subsel.stages.decide import DecideStage
from ray_subsel.stages.deduplicate import DeduplicateStage
from ray_subsel.stages.drop_doubtful import DropDoubtfulStage
from ray_subsel.stages.embed import EmbedStage
from ray_subsel.stages.exclude_contaminated import ExcludeContaminatedStage
from ray_subsel.stages.ingest import IngestStage
from ray_subsel.stages.keep_best import KeepBestStage
from ray_subsel.stages.map import MapStage
from ray_subsel.stages.near.task import ItemLabels, ItemOrder
from ray_subsel.stages.plan_once import PLAN, PlanOnce
from ray_subsel.stages.profile import ProfileStage
from ray_subsel.stages.report import publish
from ray_subsel.stages.select import SelectStage
from ray_subsel.stages.select_per_group import SelectPerGroupStage
from ray_subsel.stages.target import TargetStage
from ray_subsel.stages.times import keep_times
from ray_subsel.stages.train import TrainStage, check_task, check_test, plan_of_training
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.manifest import TIMES, Manifest, locked
from ray_subsel.storage.run_directory import RunDir, Watch

LEAVING = (ExcludeContaminatedStage, KeepBestStage, DropDoubtfulStage, DeduplicateStage)
"""Stages that leave something out of the ground set, each where it is asked for, in their order."""

STAGES = (
    *(IngestStage, EmbedStage, *LEAVING, TargetStage),
    *(SelectStage, SelectPerGroupStage),  # one in the place of the other: of the same name
    *(DecideStage, MapStage, ProfileStage, TrainStage),
)
LAYOUT = {stage.name: stage.outputs for stage in STAGES}
"""What each stage writes, in the order of the stages."""

TRAINING, TRAINS = "fine-tune", ("torch", "transformers", "safetensors")
"""What training is called in an error, and what it needs."""
PACKAGES = ("ray-subsel", "ray", "torch", "transformers", "gensim", "numpy", "pyarrow")


def run(
    config: RunConfig,
    *,
    policy: Policy = DEFAULT_POLICY,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Run the stages asked for and return the report.

    Parameters
    ----------
    policy : Policy
        Sizes from which work is done another way.
    watch : callable, optional
        Told of the files that are read and written: :class:`ray_subsel.storage.run_directory.RunDir`.

    Raises
    ------
    InputError
        For whatever is wrong with the input or the settings; what was finished stays and is resumed.
    """
    began = time.perf_counter()
    corpus, told = resolve(config.corpus)
    config, settled = settle_run(dataclasses.replace(config, corpus=corpus))
    directory = RunDir(config.runtime.out, watch)
    # Input is looked at before Ray is started and before anything is written: most mistakes show here, at once.
    inputs = input_fingerprint(config.corpus)
    if config.train is not None:
        need(TRAINING, *TRAINS)
        _check_test_files(config.corpus, config.train)
    model = embedder_identity(config.corpus, config.embed)
    others = tuple(_other_set(config.corpus, file, config.filters.against_text) for file in config.filters.against)
    lists, queries = IdLists(), ""
    if config.select is not None:
        check_corpus(config.corpus, config.select)
        check_filters(config.corpus, config.filters, config.select)
        lists = read_id_lists(config.select, config.corpus, inputs)
        if config.select.target is not None:
            queries = target_fingerprint(config.corpus, config.select.target)
    Manifest.open(directory)
    with locked(directory):
        manifest = Manifest.open(directory, LAYOUT)
        if not config.runtime.overwrite:
            settled.check_there(directory.path(), {name: stage.settings for name, stage in manifest.stages.items()})
        for line in (*(f"corpus: {line}" for line in told), *settled.lines()):
            log_line(line)
        manifest.about = _about(config, config.command) | {"recipe": settled.as_json()} | _told_before(manifest)
        with RaySession(config.runtime, _classes(config)) as session:
            context = RunContext(config, manifest, session, possible(policy), PlanOnce())
            try:
                _run_stages(context, Known(inputs, model, lists, others, queries), policy)
            except InputError:
                manifest.release(_free(manifest))
                raise
            keep_times(manifest, time.perf_counter() - began, session.seconds)
        return publish(manifest)


def _check_test_files(corpus: CorpusConfig, train: TrainConfig) -> None:
    """Check all that can be checked of the files of ``--test`` without reading the rows."""
    test = test_corpus(corpus, train)
    with told_of(f"test {', '.join(train.test)}"):
        input_fingerprint(test)


def _other_set(corpus: CorpusConfig, file: str, text: tuple[str, ...]) -> CorpusConfig:
    """Return how a file of ``--against`` is read, checked as far as it can be without reading the rows."""
    with told_of(f"against {file}"):
        other = other_corpus(corpus, file, text)
        input_fingerprint(other)
    return other


@dataclass(frozen=True)
class Known:
    """What a run knows before its first stage.

    Attributes
    ----------
    inputs : str
        The fingerprint of the input.
    model : str or None
        What tells one embedder from another.
    lists : IdLists
        Rows that must, and must not, be chosen.
    others : tuple of CorpusConfig
        Sets whose rows are not repeated.
    queries : str
        The fingerprint of the target's file.
    """

    inputs: str
    model: str | None
    lists: IdLists
    others: tuple[CorpusConfig, ...]
    queries: str


def _run_stages(context: RunContext, known: Known, policy: Policy) -> None:
    config = context.config
    rows = run_stage(IngestStage(known.inputs), context)
    check_rows(config, rows, known.lists)
    _tell_alone(config, policy, rows)
    if config.train is not None:
        check_test(context, rows)
    store = run_stage(EmbedStage(rows, known.model), context)
    if (select := config.select) is not None:
        store, stages = _ground_set(context, rows, store, known)
        without = {stage.name for stage in LEAVING} - set(stages)
        target = None
        if select.target is None:
            without.add(TargetStage.name)
        else:
            read_as = target_corpus(config.corpus, select.target)
            target = run_stage(TargetStage(read_as, known.queries, known.model, store.d), context)
        _select(SelectStage(rows, store, select, known.lists, stages[-1], target), context, without)
    if config.train is not None:
        run_stage(TrainStage(rows, config.train), context)


def _free(manifest: Manifest) -> list[str]:
    """Return the stages that a corrected command may replace: all where no vector was made yet, else those not done."""
    if not manifest.run.names(EMBEDDINGS, ".parquet"):
        return list(manifest.stages)
    dear = (EmbedStage.name, TrainStage.name)
    return [name for name, stage in manifest.stages.items() if not stage.done and name not in dear]


def _select(stage: SelectStage, context: RunContext, without: set[str]) -> None:
    """Choose, and tell what became of every row; or choose in each group on its own."""
    rows, asked, lists, corpus = stage.rows, stage.asked, stage.lists, context.config.corpus
    per = asked.per is not None
    choosing = SelectPerGroupStage(rows, stage.store, asked, lists, stage.upstream) if per else stage
    run_stage(choosing, context, leave_out=sorted(without))
    excluded = row_ids(rows, lists.exclude, "exclude", corpus.id)
    groups = group_column(corpus) if asked.grouped and not per else None
    run_stage(DecideStage(rows, excluded, groups, frozenset(without), per), context)
    run_stage(MapStage(rows, spread=per), context)
    run_stage(ProfileStage(rows, DeduplicateStage.name not in without, per), context)


def _ground_set(
    context: RunContext, rows: RowStore, store: EmbeddingStore, known: Known
) -> tuple[EmbeddingStore, list[str]]:
    """Return what is chosen from, and the stages that made it, the last of them last."""
    lists = known.lists
    corpus, select, filters = context.config.corpus, context.config.select, context.config.filters
    assert select is not None
    include, exclude = (
        row_ids(rows, ids, name, corpus.id) for name, ids in (("include", lists.include), ("exclude", lists.exclude))
    )
    stages = [EmbedStage.name]

    def after(stage: Stage[EmbeddingStore]) -> EmbeddingStore:
        found = run_stage(stage, context)
        stages.append(stage.name)
        return found

    threshold = select.near_threshold
    if known.others:
        cosine = filters.against_near or threshold
        store = after(ExcludeContaminatedStage(rows, store, known.others, cosine, known.model, include))
    if filters.keep_best is not None:
        store = after(KeepBestStage(rows, store, filters.keep_best, stages[-1]))
    if filters.drops:
        named = np.union1d(include, exclude)
        store = after(DropDoubtfulStage(rows, store, filters, select, named, stages[-1]))
    if threshold is not None and select.per is None:  # else within each group
        column = near_column(corpus, select)
        labels = None if column is None else ItemLabels(rows, column, select.near_within is not None)
        order = None if filters.keep_best is None else ItemOrder(rows, filters.keep_best)
        store = after(DeduplicateStage(store, threshold, select.seed, labels, stages[-1], order))
    return store, stages


def finetune(
    config: RunConfig,
    *,
    policy: Policy = DEFAULT_POLICY,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train on what a run directory has selected and return the report; the corpus itself is no longer needed."""
    assert config.train is not None
    began = time.perf_counter()
    need(TRAINING, *TRAINS)
    check_task(config.corpus)
    directory = RunDir(config.runtime.out, watch)
    _check_test_files(config.corpus, config.train)
    with locked(directory):
        manifest = Manifest.load(directory, LAYOUT)
        manifest.require(folders=IngestStage.outputs)
        about = _about(config, manifest.about.get("command", ""))
        # What was selected, and how, stays as it is told: the next fine-tuning, or an update, asks for it.
        settings = {**manifest.about.get("config", {}), "train": about["config"]["train"]}
        manifest.about = about | {"recipe": manifest.about.get("recipe"), "config": settings} | _told_before(manifest)
        with RaySession(config.runtime) as session:
            rows = RowStore.open(directory)
            plan = plan_of_training(directory, rows, config.train)
            run_stage(TrainStage(rows, config.train), RunContext(config, manifest, session, possible(policy), plan))
            keep_times(manifest, time.perf_counter() - began, session.seconds)
        return publish(manifest)


def _told_before(manifest: Manifest) -> dict[str, Any]:
    """Return what a manifest keeps, from one command to the next, of the plan and of the time."""
    return {name: manifest.about[name] for name in (PLAN, TIMES) if name in manifest.about}


def _classes(config: RunConfig) -> list[type]:
    """Return the classes that a configuration names."""
    named = [] if config.select is None else [config.select.objective_class]
    return [*named, *([] if config.corpus.vectors is not None else [config.embed.embedder_class])]


def embedder_identity(corpus: CorpusConfig, embed: EmbedConfig) -> str | None:
    """Return what tells one embedder from another: a hash of an encoder's files, a name, or None for ready vectors."""
    if corpus.vectors is not None:
        return None
    require(embed.embedder_class)
    return embed.embedder_class.identity(embed)


def _tell_alone(config: RunConfig, policy: Policy, rows: RowStore) -> None:
    """Say that Ray would be of use, where it is not installed."""
    kind, texts = config.embed.embedder_class, config.corpus.vectors is None
    d = (kind.dimension_of(config.embed) if texts else rows.dimension) or 1
    seconds = kind.seconds(config.embed, rows.n_rows) if texts else 0.0
    if possible(policy) == policy or (policy.is_small(rows.n_rows, d) and seconds <= policy.in_process_seconds):
        return
    log_line("ray is not installed: this process does all work. To spread it: pip install 'ray-subsel[ray]'")


def _versions() -> dict[str, str]:
    """Return the versions of the packages that decide a result, of those that are installed."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _about(config: RunConfig, command: str) -> dict[str, Any]:
    """Return what the manifest says of the run as a whole: the last command, settings and versions."""
    return {
        "command": command,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": _versions(),
        "config": config.as_json(),
    }
