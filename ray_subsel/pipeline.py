"""A run: corpus, embed, select, train, report, each stage resumed where a killed run left it.

corpus  ->  rows/          read, check, copy rows                       (Ray Data)
embed   ->  embeddings/    distinct texts to vectors, a file a shard    (Ray Data, a pool of actors)
near    ->  groups/        near copies join the lowest id, with --near  (Ray Core)
select  ->  candidates/    GreeDi: a task a partition, then a reducer   (Ray Core)
            selection.parquet, subset.parquet
train   ->  train/         one model an arm                             (Ray Train, or in process)
report  ->  report.json, report.html
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from ray_subsel.config import (
    CorpusConfig,
    EmbedConfig,
    RuntimeConfig,
    SelectConfig,
    TrainConfig,
    fingerprint_fields,
)
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.errors import DoesNotFitError, InputError
from ray_subsel.core.plugins import is_own, source_fingerprint
from ray_subsel.corpus.constraint_columns import check_corpus
from ray_subsel.corpus.id_lists import IdLists, read_id_lists
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.corpus.rows import FOLDER, RowStore
from ray_subsel.planning.machine import Machine, machine_of
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.planning.run_plan import plan_run
from ray_subsel.planning.selection_plan import SelectionPlan, plan_sizes, planned_k, with_candidates
from ray_subsel.planning.stage_memory import InputSize, stage_bytes, stage_memory_line
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.runtime.progress import bar, log_line, steps
from ray_subsel.runtime.ray_session import RaySession, ship
from ray_subsel.stages import deduplicate, embed
from ray_subsel.stages.report import corpus_facts, publish
from ray_subsel.stages.resolve_constraints import partition_constraints
from ray_subsel.stages.select_exact import choose_exactly
from ray_subsel.stages.select_greedi import choose, partitioned
from ray_subsel.stages.selection_job import plan_selection
from ray_subsel.stages.train import finetune_arms, model_to_train
from ray_subsel.stages.write_selection import write_selection
from ray_subsel.storage.embedding_store import ShardMeta
from ray_subsel.storage.manifest import Manifest, locked
from ray_subsel.storage.run_directory import RunDir


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is told. Stages that are None are not run."""

    corpus: CorpusConfig
    embed: EmbedConfig
    runtime: RuntimeConfig
    select: SelectConfig | None = None
    train: TrainConfig | None = None
    command: str = ""


def run(config: RunConfig, *, policy: Policy = DEFAULT_POLICY) -> dict[str, Any]:
    """Run the stages asked for and return the report.

    Parameters
    ----------
    config : RunConfig
    policy : Policy
        Sizes up to which work is done in this process, among others.

    Raises
    ------
    InputError
        For whatever is wrong with the input or the settings; what was finished stays and is resumed.
    """
    directory = RunDir(config.runtime.out)
    # Input is looked at before Ray is started and before anything is written: most mistakes show here, at once.
    inputs = input_fingerprint(config.corpus)
    if config.train is not None:
        input_fingerprint(test_corpus(config.corpus, config.train))
    model = embedder_identity(config.corpus, config.embed)
    named = IdLists()
    if config.select is not None:
        check_corpus(config.corpus, config.select)
        named = read_id_lists(config.select)
    Manifest.open(directory)
    with locked(directory):
        manifest = Manifest.open(directory)
        directory.sweep()
        manifest.about = _about(config)
        ship(_classes(config))
        with RaySession(config.runtime) as session:
            work = _Work(config, manifest, session, policy)
            rows = work.corpus(inputs)
            facts = work.embed(rows, model)
            if config.select is not None:
                work.select(rows, work.near(facts), named)
            if config.train is not None:
                work.train(rows)
        return publish(manifest)


def finetune(config: RunConfig) -> dict[str, Any]:
    """Train on what a run directory has selected and return the report; the corpus itself is no longer needed."""
    assert config.train is not None
    directory = RunDir(config.runtime.out)
    input_fingerprint(test_corpus(config.corpus, config.train))
    with locked(directory):
        manifest = Manifest.load(directory)
        before = manifest.about
        manifest.about = {**_about(config), "command": before.get("command", "")}
        manifest.about["config"] |= {name: before["config"][name] for name in ("embed", "select")}
        with RaySession(config.runtime) as session:
            _Work(config, manifest, session).train(RowStore.open(directory))
        return publish(manifest)


@dataclass(frozen=True)
class _Work:
    """The stages of one run, each of which does what is missing and records it."""

    config: RunConfig
    manifest: Manifest
    session: RaySession
    policy: Policy = DEFAULT_POLICY

    @property
    def directory(self) -> RunDir:
        return self.manifest.run

    def corpus(self, inputs: str) -> RowStore:
        settings = {**fingerprint_fields(self.config.corpus), "input": inputs}
        stage = self.manifest.enter("corpus", settings, overwrite=self.config.runtime.overwrite)
        if stage.done:
            before = RowStore.open(self.directory)
            if not (gone := before.missing_parts()):
                log_line("corpus: as before")
                return before
            log_line(f"corpus: {gone[0]} is gone, all is read again")
            self.directory.delete(FOLDER)
        self.session.start()
        self._tell_plan()
        began, peak = time.perf_counter(), PeakMemory()
        with steps("corpus", "part") as told:
            rows = ingest(self.config.corpus, self.directory, progress=told, peak=peak)
        facts = {**corpus_facts(rows), "peak_bytes": peak.end()}
        self.manifest.finish("corpus", seconds=time.perf_counter() - began, facts=facts)
        log_line(f"corpus: {rows.n_rows:,} rows, {rows.n_rejected:,} rejected, {rows.n_augmented:,} copies added")
        return rows

    def embed(self, rows: RowStore, model: str | None) -> list[ShardMeta]:
        settings = {
            **({"vectors": self.config.corpus.vectors} if model is None else fingerprint_fields(self.config.embed)),
            "model_fingerprint": model,
            "corpus": self.manifest.stages["corpus"].fingerprint,
        }
        stage = self.manifest.enter("embed", settings, overwrite=self.config.runtime.overwrite)
        missing = embed.missing_shards(rows)
        if stage.done and not missing:
            log_line("embed: as before")
            return embed.all_facts(rows)
        self.session.start()
        began, peak = time.perf_counter(), PeakMemory()
        if model is not None:
            embed.fit_once(rows, self.config.corpus, self.config.embed)
        self._embed_missing(rows, missing, peak)
        facts = embed.all_facts(rows)
        reused = rows.shards - len(missing)
        about = {
            "embedder": "precomputed" if model is None else self.config.embed.embedder,
            "model": model,
            "dimension": max(fact.dimension for fact in facts),
            "embedded": sum(fact.texts for fact in facts),
            "items": sum(fact.items for fact in facts),
            "parts": rows.shards,
            "parts_reused": reused,
            "peak_bytes": peak.end(),
        }
        self.manifest.finish("embed", seconds=time.perf_counter() - began, facts=about)
        log_line(f"embed: {about['embedded']:,} distinct, {about['dimension']} dimensions, {reused} parts from before")
        return facts

    def _embed_missing(self, rows: RowStore, missing: list[int], peak: PeakMemory) -> None:
        if not missing:
            return
        config = self.config
        workers, gpus = embed.pool_size(config.runtime.workers, config.runtime.num_gpus, self.session.resources)
        chosen = config.select if config.select is not None else SelectConfig(k=1)
        task = embed.EmbedTask(
            rows=rows,
            corpus=config.corpus,
            embed=config.embed,
            partitions=self._layout(rows, chosen),
            seed=chosen.seed,
            device="cuda" if gpus > 0 else "cpu",
        )
        with bar("embed", rows.n_rows, "row") as progress:
            embed.embed_missing(
                task, missing, workers=workers, num_gpus=gpus, cpus=self.session.resources.cpus, bar=progress, peak=peak
            )

    def near(self, facts: list[ShardMeta]) -> list[ShardMeta]:
        """Return the facts of what is selected from: where a threshold is given, the leaders of near copies."""
        assert self.config.select is not None
        threshold, seed, runtime = self.config.select.near, self.config.select.seed, self.config.runtime
        if threshold is None:
            if runtime.overwrite and "near" in self.manifest.stages:
                self.manifest.discard("near")
            return facts
        settings = {"near": threshold, "seed": seed, "embed": self.manifest.stages["embed"].fingerprint}
        stage = self.manifest.enter("near", settings, overwrite=runtime.overwrite)
        task = deduplicate.NearTask.of(self.directory, facts, threshold, seed)
        if stage.done and deduplicate.accounted(task):
            self.directory.delete(deduplicate.SCRATCH)  # left where a run was killed right here
            log_line("near: as before")
            return deduplicate.leader_facts(self.directory)
        began, peak = time.perf_counter(), PeakMemory()
        here = self.policy.is_small(task.n, task.d)
        if not here:
            self.session.start()
        with bar("near", 3 * task.n) as progress:
            leaders, about = deduplicate.collapse(task, here=here, bar=progress, peak=peak)
        self.manifest.finish(
            "near", seconds=time.perf_counter() - began, facts={**dataclasses.asdict(about), "peak_bytes": peak.end()}
        )
        self.directory.delete(deduplicate.SCRATCH)
        log_line(f"near: {about.near_collapsed:,} of {about.items:,} items joined another, {about.kept:,} are left")
        return leaders

    def _tell_plan(self) -> None:
        """Say what the run will take before it starts, and refuse what cannot be done whatever the rows turn out to be.

        Rows are an upper bound of items: where equal ones are collapsed, what does not fit yet may fit then.
        """
        config = self.config
        if config.select is None:
            return
        try:
            plan = plan_run(config.corpus, config.embed, config.select, self._machine(), policy=self.policy)
            for line in plan.text().splitlines():
                log_line(line)
        except DoesNotFitError as error:
            if config.corpus.copies == "keep" and config.select.near is None:
                raise
            log_line(f"plan      may not fit into memory: {error}")

    def _layout(self, rows: RowStore, config: SelectConfig) -> int:
        """Return by how many partitions to sort the parts that are embedded, before the items are counted."""
        if config.partitions is not None:
            return config.partitions
        n = rows.n_rows
        k, _ = resolve_k(config.k, config.fraction, rows=n, items=n, no_limit=True)
        embed = self.config.embed
        dimension = (
            rows.dimension if self.config.corpus.vectors is not None else embed.embedder_class.dimension_of(embed)
        )
        try:
            return self._sizes(config, n, dimension or 1, k).partitions
        except DoesNotFitError:  # an upper bound does not fit; the items may, once equal ones are collapsed
            return 1

    def _machine(self) -> Machine:
        return machine_of(self.session.resources, self.config.runtime.memory_limit)

    def _sizes(self, config: SelectConfig, n: int, d: int, k: int) -> SelectionPlan:
        copies = self.config.corpus.copies == "keep"
        return plan_sizes(config, self._machine(), n=n, d=d, k=planned_k(config, k), copies=copies, policy=self.policy)

    def _settled(self, settings: dict[str, Any], config: SelectConfig, facts: list[ShardMeta], k: int) -> SelectConfig:
        """Return the configuration with what memory decides; a run that goes on keeps what it began with."""
        there = self.manifest.stages.get("select")
        asked = {name: settings[name] for name in settings if name not in ("partitions", "fan_in")}
        given = {name: value for name in ("partitions", "fan_in") if (value := settings[name]) is not None}
        if there is not None and {**there.settings, **asked, **given} == there.settings:
            return dataclasses.replace(
                config, partitions=there.settings["partitions"], fan_in=there.settings.get("fan_in")
            )
        n, d = sum(fact.items for fact in facts), max(fact.dimension for fact in facts)
        sizes = self._sizes(config, n, d, k)
        layout = len(facts[0].partition_items)
        if config.partitions is None and layout > sizes.partitions > 1:  # sorted by more than is needed: no matter
            config = dataclasses.replace(config, partitions=layout)
            sizes = self._sizes(config, n, d, k)
        return dataclasses.replace(config, partitions=sizes.partitions, fan_in=sizes.fan_in)

    def select(self, rows: RowStore, facts: list[ShardMeta], named: IdLists) -> None:
        assert self.config.select is not None
        config = self.config.select
        n, d = sum(fact.items for fact in facts), max(fact.dimension for fact in facts)
        k, warning = resolve_k(config.k, config.fraction, rows=rows.n_rows, items=n, no_limit=True)
        upstream = self.manifest.stages["embed" if config.near is None else "near"]
        settings = {**fingerprint_fields(config), **named.fingerprints, "embed": upstream.fingerprint}
        if not is_own(config.objective_class):  # so that a change of its code is noticed
            settings["objective_code"] = source_fingerprint(config.objective_class)
        config = self._settled(settings, config, facts, k)
        settings |= {"partitions": config.partitions, "fan_in": config.fan_in}
        stage = self.manifest.enter("select", settings, overwrite=self.config.runtime.overwrite)
        if stage.done:
            log_line("select: as before")
            return
        self.session.start()
        sizes = self._sizes(config, n, d, k)
        source = InputSize(rows.n_rows, rows.shards, sum(file["bytes"] for file in rows.files))
        stages = stage_bytes(source, self.config.corpus, self.config.embed, sizes, near=config.near is not None)
        for line in (*sizes.lines(), stage_memory_line(stages)):
            log_line(line)
        began, peak = time.perf_counter(), PeakMemory()
        facts = partitioned(self.directory, facts, config)
        here = self.policy.is_small(n, d)
        constraints = partition_constraints(
            rows, facts, self.config.corpus, config, named, items=n, m=sizes.partitions, here=here
        )
        plan = plan_selection(self.directory, config, facts, k, constraints, policy=self.policy)
        if constraints is not None and plan.tree.rounds > 1:
            sizes = with_candidates(config, self._machine(), sizes, plan.tree.root.available + len(constraints.given))
            stages["select"] = max(stages["select"], sizes.predicted_peak_bytes)
        if config.mode == "exact":
            with bar("select", k, "item") as progress:
                choice = choose_exactly(self.directory, facts, plan, bar=progress, processes=sizes.processes)
        else:
            with bar("select", plan.m, "partition") as progress:
                choice = choose(
                    self.directory, facts, plan, bar=progress, processes=sizes.processes, beside=sizes.beside
                )
        seconds = time.perf_counter() - began
        about = write_selection(self.directory, rows, facts, choice, config)
        peak.add(choice.peak_bytes or 0)
        about["peak_bytes"] = peak.end()
        about["predicted_peak_bytes"] = max(stages.values())
        about["predicted_peaks"] = stages
        about["warnings"] = [*([warning] if warning else []), *about["warnings"]]
        self.manifest.finish("select", seconds=seconds, facts=about)
        log_line(f"select: {len(choice.reduced.ids):,} of {plan.n:,} items in {seconds:.2f} s")

    def train(self, rows: RowStore) -> None:
        train, config = self.config.train, self.config
        assert train is not None
        upstream = {name: self.manifest.stages[name].fingerprint for name in ("corpus", "select")}
        test = test_corpus(config.corpus, train)
        settings = fingerprint_fields(train)
        settings.pop("arms")  # each arm is kept by itself, so that one may be added later
        settings |= {**upstream, "model": model_to_train(config.embed, train), "test": input_fingerprint(test)}
        self.manifest.enter("train", settings, overwrite=config.runtime.overwrite)
        self.session.start()
        began = time.perf_counter()
        asked = config.runtime.num_gpus
        use_gpu = self.session.resources.gpus >= 1 if asked is None else asked > 0
        about = finetune_arms(
            self.directory, rows, config.corpus, config.embed, train, config.runtime, test, use_gpu=use_gpu
        )
        self.manifest.finish("train", seconds=time.perf_counter() - began, facts=about)


def _classes(config: RunConfig) -> list[type]:
    """Return the classes that a configuration names."""
    named = [] if config.select is None else [config.select.objective_class]
    return [*named, *([] if config.corpus.vectors is not None else [config.embed.embedder_class])]


def embedder_identity(corpus: CorpusConfig, embed: EmbedConfig) -> str | None:
    """Return what tells one embedder from another: a hash of an encoder's files, a name, or None for ready vectors."""
    if corpus.vectors is not None:
        return None
    return embed.embedder_class.identity(embed)


def test_corpus(corpus: CorpusConfig, train: TrainConfig) -> CorpusConfig:
    """Return how the test file is read: as the corpus, but as it is."""
    if not train.test:
        raise InputError("test must name a labelled file to measure accuracy on. Use --test FILE.")
    return dataclasses.replace(corpus, data=train.test, augment=False, copies="keep")


def _about(config: RunConfig) -> dict[str, Any]:
    """Return what the manifest says of the run as a whole: the last command, settings and versions."""
    from importlib.metadata import version

    packages = ("ray-subsel", "ray", "torch", "transformers", "gensim", "numpy", "pyarrow")
    settings = {
        "corpus": _plain(dataclasses.asdict(config.corpus)),
        "embed": _plain(dataclasses.asdict(config.embed)),
        "select": None if config.select is None else _plain(dataclasses.asdict(config.select)),
        "train": None if config.train is None else _plain(dataclasses.asdict(config.train)),
    }
    return {
        "command": config.command,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {name: version(name) for name in packages},
        "config": settings,
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
