"""Measure the cells of an experiment, one draw of training rows at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.config import CacheConfig, EmbedConfig, TrainConfig, fingerprint_fields
from ray_subsel.core.errors import invalid, unknown
from ray_subsel.core.hashing import fingerprint
from ray_subsel.embedders import TextList, build_embedder, model_fingerprint, model_name
from ray_subsel.embedders.base import Embedder, Float32s
from ray_subsel.experiments import probe
from ray_subsel.experiments.embedder_choices import NEAR, OWN, TRAINED, model_label
from ray_subsel.experiments.embedding_cache import Memory
from ray_subsel.experiments.forms import percent
from ray_subsel.experiments.grid import Cell, Result, Results
from ray_subsel.experiments.methods import Method, Ranking, method_named, rank
from ray_subsel.experiments.samples import Sample, make_sample, texts_of
from ray_subsel.runtime.kept_vectors import open_kept
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training import finetune
from ray_subsel.training.data import TASKS

TIMED_TEXTS = 256
"""How many texts are embedded to tell what embedding all of them takes."""
NOISE = 2
"""Raised when the noise or the order of a sample's draws changes, so that old cells are not mixed with new ones."""


@dataclass(frozen=True, eq=False)
class Ready:
    """The vectors of all texts of an experiment, made before it; nothing is embedded then.

    Attributes
    ----------
    memory : Memory
    identity : str
        What tells them from others.
    near : float
        Cosine from which rows count as near copies.
    recipe_near : float or None
        That from which they leave by the recipe ``auto``.
    """

    memory: Memory
    identity: str
    near: float
    recipe_near: float | None = None


@dataclass(frozen=True, eq=False)
class Setup:
    """What an experiment runs on.

    Attributes
    ----------
    task : str
    train, test : pyarrow.Table
        The task's text columns and ``label``.
    embed : EmbedConfig
        Its encoder gives the probe's features and, unless a cell names another chooser, chooses.
    training : TrainConfig
        For ``finetune``; ``train_seed`` is each cell's own.
    choosers : dict of str to str
        Names of other encoders that choose, by the coordinate that stands for them in cells.
    cache : CacheConfig
        Where embeddings of earlier runs and experiments are.
    ready : Ready, optional
        The vectors of all texts, in place of the encoder.
    """

    task: str
    train: pa.Table
    test: pa.Table
    embed: EmbedConfig
    training: TrainConfig
    choosers: Mapping[str, str] = field(default_factory=dict)
    cache: CacheConfig = field(default_factory=CacheConfig)
    ready: Ready | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.ready is None and model_name(self.embed) is None:
            raise invalid("embedder", "be an encoder: minilm or bert", self.embed.embedder)

    @property
    def encoder(self) -> str:
        """Name of the encoder, or of what gave the vectors that are ready."""
        name = self.embed.embedder if self.ready is not None else model_name(self.embed)
        assert name is not None
        return name

    @property
    def trained(self) -> str:
        """Name of the model that is fine-tuned."""
        return self.training.train_model or self.encoder

    def chooser(self, name: str) -> EmbedConfig:
        """Return the configuration of the chooser that a coordinate stands for."""
        if name == OWN:
            return self.embed
        if name in TRAINED:
            return replace(self.embed, embedder=name)
        return replace(self.embed, embedder="bert", model=self.choosers[name])

    def near_of(self, method: Method) -> float | None:
        """Return the cosine from which rows are near copies to a method; None: that of its embedder."""
        if method.collapse == "recipe":
            return self.embed.embedder_class.near if self.ready is None else self.ready.recipe_near
        return None if self.ready is None else self.ready.near

    def about(self, via: str) -> dict[str, Any]:
        """Return all that decides a cell's result beside its coordinates, and the versions of what chooses."""
        own: dict[str, Any] = {"C": probe.penalty(self.task), "max_iter": probe.MAX_ITER}
        if via == "finetune":
            left_out = ("test", "arms", "train_seed", "checkpoint_every")
            settings = fingerprint_fields(self.training).items()
            own = {name: value for name, value in settings if name not in left_out}
            own["train_model"] = model_fingerprint(self.trained)
        if self.ready is not None:
            return {
                "task": self.task, "train": _digest(self.train), "test": _digest(self.test),
                "vectors": self.ready.identity, "near": [self.ready.near, self.ready.recipe_near], via: own,
            }  # fmt: skip
        doc2vec = {"vector_size": self.embed.vector_size, "epochs": self.embed.doc2vec_epochs}
        return {
            "task": self.task, "train": _digest(self.train), "test": _digest(self.test),
            "encoder": model_fingerprint(self.encoder), "max_length": self.embed.max_length,
            "doc2vec": doc2vec, "near": NEAR, "noise": NOISE, via: own,
        }  # fmt: skip


def _digest(table: pa.Table) -> str:
    total = hashlib.blake2b(digest_size=8)
    for row in table.to_pylist():
        total.update(repr(sorted(row.items())).encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def _same(embedder: Embedder) -> Embedder:
    return embedder


class Draw:
    """One sample, and what was computed of it: vectors by embedder, rankings by method."""

    def __init__(self, setup: Setup, memories: Mapping[str, Memory], cell: Cell) -> None:
        self.cell = cell
        self.sample = make_sample(
            setup.train, setup.task, cell.redundancy, pool=cell.pool, story=cell.story, seed=cell.seed
        )
        self._setup = setup
        self._memories = memories
        self._trained: dict[str, tuple[Float32s, float]] = {}
        self._rankings: dict[tuple[str, str, int], Ranking] = {}

    def vectors(self, method: Method) -> Float32s:
        """Return the sample's (N, d) vectors that a method sees."""
        if method.embedder in TRAINED:
            return self._trained_vectors(method.embedder)[0]
        return self._memories[method.embedder].embed(self.sample.texts)

    def _trained_vectors(self, name: str) -> tuple[Float32s, float]:
        if name not in self._trained:
            began = time.perf_counter()
            config = replace(self._setup.chooser(name), seed=self.cell.seed)
            state = config.embedder_class.fit(TextList(self.sample.texts), config)
            embedder = build_embedder(config, state=state)
            self._trained[name] = Memory(embedder).embed(self.sample.texts), time.perf_counter() - began
        return self._trained[name]

    def seconds_embed(self, method: Method, seconds_per_text: Callable[[str], float]) -> float | None:
        """Return what embedding the sample takes, given an encoder's pace; equal texts are embedded once."""
        if not method.sees_vectors:
            return None
        if method.embedder in TRAINED:
            return self._trained_vectors(method.embedder)[1]
        return seconds_per_text(method.embedder) * len(set(self.sample.texts))

    def ranking(self, method: Method, k: int, largest: int) -> Ranking:
        """Return a ranking of at least k rows; where a smaller one is its beginning, ``largest`` are ranked once."""
        depth = max(k, largest) if method.nested else k
        key = (method.name, method.embedder, depth)
        if key not in self._rankings:
            near = self._setup.near_of(method)
            seed = self.cell.seed
            self._rankings[key] = rank(method, self.sample, lambda: self.vectors(method), depth, seed, near)
        return self._rankings[key]


class Bench:
    """The tools that all draws of an experiment share: the encoders, the test set's features, the directory.

    Parameters
    ----------
    setup : Setup
    run : RunDir
        The vectors of the original texts are kept in it.
    threads : int
        CPU threads of an encoder.
    """

    def __init__(self, setup: Setup, run: RunDir, *, threads: int = 1) -> None:
        self.setup = setup
        self.run = run
        self._threads = threads
        self._embedders: dict[str, Embedder] = {}
        self.memories: dict[str, Memory] = {}
        self._originals: dict[str, frozenset[bytes]] = {}
        self._test: Float32s | None = None
        self._pace: dict[str, float] = {}

    def prepare(self, cells: Iterable[Cell]) -> None:
        """Embed the original texts for these cells, or read their vectors where that is done already."""
        cells = list(cells)
        if (ready := self.setup.ready) is not None:
            self.memories[OWN] = ready.memory
            self._originals[OWN] = ready.memory.known()
            self._test = probe.features(self.setup.test, self.setup.task, ready.memory)
            return
        stories = sorted({cell.story for cell in cells})
        for chooser in sorted({OWN, *(cell.chooser for cell in cells)} - set(TRAINED)):
            config = self.setup.chooser(chooser)
            embedder = self._embedders[chooser] = build_embedder(config, threads=self._threads)
            memory = self.memories[chooser] = Memory(open_kept(self.setup.cache, config, partial(_same, embedder)))
            data = [_digest(self.setup.train), _digest(self.setup.test)]
            name = f"vectors-{fingerprint([*data, model_fingerprint(model_name(config) or '')])}.npz"
            if self.run.exists(name):
                memory.load(self.run, name)
            else:
                rows = self.setup.train.num_rows + (self.setup.test.num_rows if chooser == OWN else 0)
                log_line(
                    f"experiment: vectors of {rows:,} rows, by {model_label(model_name(config) or config.embedder)}"
                )
            before = len(memory.known())
            for story in stories:
                memory.embed(texts_of(self.setup.train, self.setup.task, story))
            if chooser == OWN:
                probe.features(self.setup.train, self.setup.task, memory)
                self._test = probe.features(self.setup.test, self.setup.task, memory)
            self._originals[chooser] = memory.known()
            if len(memory.known()) > before:
                memory.save(self.run, name)

    def forget_copies(self) -> None:
        """Forget all but the original texts: near copies are each seed's own."""
        for chooser, memory in self.memories.items():
            memory.forget(self._originals[chooser])

    def seconds_per_text(self, chooser: str, texts: tuple[str, ...]) -> float:
        """Return how long an encoder takes for one of these texts, measured once."""
        if chooser not in self._pace:
            some = sorted(set(texts))[:: max(1, len(set(texts)) // TIMED_TEXTS)][:TIMED_TEXTS]
            began = time.perf_counter()
            self._embedders[chooser].embed(some)
            self._pace[chooser] = (time.perf_counter() - began) / len(some)
        return self._pace[chooser]

    def measure(self, cell: Cell, draw: Draw, largest: int) -> Result:
        """Compute one cell of a draw."""
        method, sample = method_of(cell), draw.sample
        k = cell.k(len(sample.texts), sample.n)
        ranking = draw.ranking(method, k, largest)
        rows = ranking.rows[:k]
        table = sample.table.take(pa.array(rows))
        answers = ""
        if cell.via == "probe":
            found = self._probe(table)
            accuracy, correct, seconds_train = found.accuracy, found.correct, found.seconds_train
            answers = "" if self.setup.ready is None else np.packbits(found.right).tobytes().hex()
        else:
            accuracy, correct, seconds_train = self._finetune(cell, sample, rows)
        return Result(
            cell=cell,
            accuracy=accuracy,
            n_rows=len(sample.texts),
            n_originals=sample.n,
            k=int(rows.size),
            chosen=min(k, ranking.chosen),
            copies=sample.copies_among(rows),
            correct=correct,
            n_test=self.setup.test.num_rows,
            seconds_select=float(ranking.seconds[rows.size - 1]),
            seconds_train=seconds_train,
            seconds_embed=None
            if self.setup.ready is not None
            else draw.seconds_embed(method, lambda chooser: self.seconds_per_text(chooser, sample.texts)),
            answers=answers,
        )

    def _probe(self, table: pa.Table) -> probe.ProbeResult:
        assert self._test is not None
        X = probe.features(table, self.setup.task, self.memories[OWN])
        labels, labels_test = (np.array(one["label"].to_pylist()) for one in (table, self.setup.test))
        constant = self.setup.ready is not None  # rows of a user's corpus: a small random subset may be of one class
        return probe.probe(X, labels, self._test, labels_test, self.setup.task, constant=constant)

    def _finetune(
        self, cell: Cell, sample: Sample, rows: np.ndarray[Any, np.dtype[np.int64]]
    ) -> tuple[float, int, float]:
        name = f"training/{fingerprint(cell.as_json())}"
        # in the order of the sample, so that the same rows are the same training set whoever chose them
        table = sample.table.take(pa.array(np.sort(rows)))
        training = replace(self.setup.training, train_seed=cell.seed)
        found = finetune(
            table, self.setup.test, training, task=self.setup.task, model=self.setup.trained, run=self.run, name=name
        )
        self.run.delete(name)  # its weights; the cell keeps the figures
        return found.accuracy, found.correct, found.seconds_train


def method_of(cell: Cell) -> Method:
    """Return a cell's method, which sees the vectors of the cell's chooser."""
    method = method_named(cell.method)
    return method if cell.chooser == OWN else replace(method, embedder=cell.chooser)


def told_of(result: Result) -> str:
    """Return a finished cell in a few words."""
    cell = result.cell
    label = method_of(cell).label
    return f"{label}, {percent(cell.size)}, seed {cell.seed}: {result.accuracy:.3f} in {result.seconds_train:,.0f} s"


def draws_of(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Return the cells by draw: seeds in the order given, the draws of a seed in a fixed order."""
    return [
        list(group)
        for _, of_seed in groupby(cells, key=lambda cell: cell.seed)
        for _, group in groupby(sorted(of_seed, key=lambda cell: repr(cell.draw)), key=lambda cell: cell.draw)
    ]


def measure_draw(bench: Bench, todo: Sequence[Cell], cells: Iterable[Cell]) -> Iterator[Result]:
    """Measure cells of one draw, each when it is asked for.

    Parameters
    ----------
    bench : Bench
        Prepared.
    todo : sequence of Cell
        At least one.
    cells : iterable of Cell
        All that are wanted, finished ones too: rankings are as deep as the largest of the same draw needs.
    """
    draw = Draw(bench.setup, bench.memories, todo[0])
    rows = len(draw.sample.texts)
    sizes = [cell.k(rows, draw.sample.n) for cell in cells if cell.draw == draw.cell.draw and cell.size < 1]
    for cell in todo:
        yield bench.measure(cell, draw, max(sizes, default=1))


def run_cells(bench: Bench, cells: list[Cell], results: Results, after_draw: Callable[[], None]) -> int:
    """Compute the cells that are missing and return how many that were.

    Parameters
    ----------
    bench : Bench
    cells : list of Cell
        In the order to go by; cells of one draw should follow each other.
    results : Results
    after_draw : callable
        Called after each draw, when its cells are on disk.
    """
    missing = [cell for cell in cells if cell not in results]
    log_line(f"experiment: {len(cells):,} cells, {len(cells) - len(missing):,} done")
    if not missing:
        return 0
    bench.prepare(missing)
    began, done, seed = time.perf_counter(), 0, missing[0].seed
    for todo in draws_of(missing):
        if todo[0].seed != seed:
            bench.forget_copies()
            seed = todo[0].seed
        for result in measure_draw(bench, todo, cells):
            results.add(result)
            done += 1
            if result.cell.via == "finetune":  # minutes each
                log_line(f"experiment: {done:,} of {len(missing):,} cells: {told_of(result)}")
        took = time.perf_counter() - began
        log_line(f"experiment: seed {seed}: {done:,} of {len(missing):,} cells, {took:,.0f} s")
        after_draw()
    return len(missing)
