"""Compare ways to choose on a labelled corpus: read, embed, hold out, run the missing cells, write the page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.config import CacheConfig, CompareConfig, CorpusConfig, EmbedConfig, TrainConfig, fingerprint_fields
from ray_subsel.config.settle import facts_of
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.hashing import fingerprint, text_key
from ray_subsel.embedders import TextList, build_embedder, model_name
from ray_subsel.embedders.base import EmbedsTexts, Float32s
from ray_subsel.experiments.comparison import comparison_text, summarize_comparison
from ray_subsel.experiments.embedder_choices import near_threshold
from ray_subsel.experiments.embedding_cache import Memory
from ray_subsel.experiments.grid import Bases, Cell, Results, cell_from, read_results
from ray_subsel.experiments.holdout import held_out, near_copies_of
from ray_subsel.experiments.labelled_rows import CLASSES, Labelled, check_labelled
from ray_subsel.experiments.methods import method_named
from ray_subsel.experiments.ray_runner import Spread, spread_cells
from ray_subsel.experiments.runner import Bench, Draw, Ready, Setup, run_cells
from ray_subsel.experiments.samples import Redundancy
from ray_subsel.report.compare_page import render_comparison
from ray_subsel.report.numbers import duration
from ray_subsel.runtime.kept_vectors import open_kept
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training.data import columns_of

SUMMARY, PAGE = "compare.json", "compare.html"
ABOUT = "comparison"
"""What ``results.json`` says, under this name, of the data that were compared on."""
METHODS = (
    "random", "random-balanced", "semdedup-random", "k-center", "graph-cut-keep", "near-facility-location", "auto",
)  # fmt: skip
"""What is compared by default; those that balance classes where there are classes to balance."""
BEYOND = 0.5
"""A further size of random subsets, between those compared and everything."""
BLOCK = 2048
"""Texts that are embedded between two writes of the vectors."""
TIMED = 256
"""Texts that are embedded first, to tell how long all of them take."""


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to train on and to test on.

    Attributes
    ----------
    train, test : pyarrow.Table
        The task's text columns and ``label``.
    about : dict
        Counts, for the page.
    warnings : tuple of str
    """

    train: pa.Table
    test: pa.Table
    about: dict[str, Any]
    warnings: tuple[str, ...]


def compare(
    config: CompareConfig,
    corpus: CorpusConfig,
    embed: EmbedConfig,
    cache: CacheConfig = CacheConfig(),  # noqa: B008 - frozen
    *,
    command: str = "",
) -> str:
    """Run the missing cells of a comparison, write ``compare.json`` and ``compare.html``, and return the text of both.

    Raises
    ------
    InputError
        For what is wrong with the input or the settings, before anything is embedded.
    """
    check_labelled(corpus)
    for name in config.methods:
        method_named(name)
    began, out = time.perf_counter(), RunDir(config.out)
    rows = Labelled.of(corpus, "compare")
    corpus, names = rows.corpus, _methods(config, rows.task)
    table, vectors = rows.read(corpus.data, config.rows)
    tests = None if not config.test else rows.read(config.test, config.rows)
    _check_labels(table)
    out.sweep()
    near = near_threshold(embed.embedder) if config.near is None else config.near
    memory, identity = _embedded(out, rows, embed, cache, config, table, vectors, tests)
    seconds_embed = time.perf_counter() - began
    data = _split(config, rows, memory, near, table, None if tests is None else tests[0])
    _check_labels(data.train)
    for warning in data.warnings:
        log_line(f"compare: {warning}")
    setup = Setup(
        rows.task,
        data.train,
        data.test,
        embed,
        TrainConfig(),
        ready=Ready(memory, identity, near, facts_of(corpus, embed).near),
    )
    cells = cells_of_comparison(config, names, data.train.num_rows, corpus.seed)
    about = {"probe": setup.about("probe")}
    given = {
        **data.about,
        "command": command,
        "embedder": "vectors" if corpus.vectors is not None else (model_name(embed) or embed.embedder),
        "near": near,
        "recipe_near": facts_of(corpus, embed).near,
        "warnings": list(data.warnings),
        "seconds_embed": seconds_embed,
    }
    results = Results(
        out,
        Bases({"probe": fingerprint(about)}),
        {**about, ABOUT: {"data": given, "cells": [cell.as_json() for cell in cells]}},
    )
    bench = Bench(setup, out)
    if missing := [cell for cell in cells if cell not in results]:
        log_line(f"compare: {len(missing):,} probes, about {duration(_expected(bench, missing))} on one CPU")
    if config.workers is None and config.address is None:
        run_cells(bench, cells, results, results.gather)
    else:
        spread_cells(setup, cells, results, Spread(config.address or "auto", config.workers), results.gather)
    results.gather()
    return write_comparison(config.out)


def is_comparison(out: str) -> bool:
    """Tell whether a directory holds a comparison."""
    return RunDir(out).exists(SUMMARY)


def write_comparison(out: str) -> str:
    """Write ``compare.json`` and ``compare.html`` from the finished cells of the last command; return the text."""
    run = RunDir(out)
    results, settings = read_results(out)
    about = settings[ABOUT]
    wanted = {cell_from(content) for content in about["cells"]}
    summary = summarize_comparison([result for result in results if result.cell in wanted], about["data"])
    run.write_json(SUMMARY, summary)
    run.write_bytes(PAGE, render_comparison(summary).encode())
    log_line(f"compare: {run.path(PAGE)}")
    return comparison_text(summary)


def cells_of_comparison(config: CompareConfig, names: tuple[str, ...], rows: int, seed: int) -> list[Cell]:
    """Return the cells: each method at each size, random rows at a further one, and everything, draw after draw."""
    pool = max(2, round(config.draw_share * rows))
    plain = Redundancy("none", 0.0)

    def cell(name: str, size: float, draw: int) -> Cell:
        return Cell("probe", name, size, seed + draw, plain, pool)

    return [
        cell(name, size, draw)
        for draw in range(config.draws)
        for name, size in (
            *((name, size) for size in config.sizes for name in names),
            *([("random", BEYOND)] if max(config.sizes) < BEYOND else []),
            ("full", 1.0),
        )
    ]


def _methods(config: CompareConfig, task: str) -> tuple[str, ...]:
    """Return the methods that are compared: random rows always."""
    balanced = task == CLASSES
    names = config.methods or tuple(name for name in METHODS if balanced or name != "random-balanced")
    return tuple(dict.fromkeys(("random", *(name for name in names if name != "full"))))


def _check_labels(table: pa.Table) -> None:
    labels = table["label"].unique().to_pylist()
    if len(labels) < 2:
        raise invalid("label", "take at least two values", labels[0] if labels else None, "Name another column.")


class _Known:
    """Vectors that came with the rows, by the names of their texts."""

    def __init__(self, names: list[str], vectors: Float32s) -> None:
        from ray_subsel.embedders import unit_rows

        self._rows = dict(zip(names, unit_rows(vectors), strict=True))
        self.dimension = int(vectors.shape[1])

    def embed(self, texts: Any) -> Float32s:
        return np.array([self._rows[text] for text in texts], dtype=np.float32).reshape(-1, self.dimension)


def _embedded(
    out: RunDir,
    rows: Labelled,
    embed: EmbedConfig,
    cache: CacheConfig,
    config: CompareConfig,
    table: pa.Table,
    vectors: Float32s | None,
    tests: tuple[pa.Table, Float32s | None] | None,
) -> tuple[Memory, str]:
    """Return the vectors of all texts and what tells them from others; those of an earlier call are read."""
    tables = [table] if tests is None else [table, tests[0]]
    texts = [text for one in tables for text in _texts(one, rows)]
    if vectors is not None:
        both = vectors if tests is None else np.vstack([vectors, _same_length(vectors, tests[1])])
        memory = Memory(_Known(texts, both))
        memory.embed(texts)
        return memory.sealed(), fingerprint([text_key(text).hex() for text in texts])
    kind = embed.embedder_class
    identity = fingerprint([kind.identity(embed), fingerprint_fields(embed)])
    if kind.state_file:  # it is fitted to what there is to choose from
        own = _texts(table, rows)
        aside = held_out(own, config.held_out, rows.corpus.seed) if tests is None else np.zeros(len(own), dtype=bool)
        fitted = sorted({text for text, out_of_it in zip(own, aside, strict=True) if not out_of_it})
        identity = fingerprint([identity, fingerprint(fitted)])
        embedder: EmbedsTexts = build_embedder(embed, state=kind.fit(TextList(fitted), embed))
    else:
        embedder = open_kept(cache, embed, partial(build_embedder, embed, threads=config.threads))
    memory, name = Memory(embedder), f"vectors-{fingerprint([identity, fingerprint(sorted(set(texts)))])}.npz"
    if out.exists(name):
        memory.load(out, name)
    _embed_rest(memory, out, name, list(dict.fromkeys(texts)))
    return memory.sealed(), identity


def _embed_rest(memory: Memory, out: RunDir, name: str, texts: list[str]) -> None:
    known = memory.known()
    left = [text for text in texts if text_key(text) not in known]
    if not left:
        return
    memory.embed(left[:1])  # what an encoder does once is not counted
    began, some = time.perf_counter(), left[1 :: max(1, len(left) // TIMED)][:TIMED]
    memory.embed(some)
    pace = (time.perf_counter() - began) / max(1, len(some))
    log_line(f"compare: {len(left):,} texts to embed, about {duration(pace * len(left))}")
    for start in range(0, len(left), BLOCK):
        memory.embed(left[start : start + BLOCK])
        memory.save(out, name)


def _same_length(vectors: Float32s, others: Float32s | None) -> Float32s:
    assert others is not None
    if others.shape[1] != vectors.shape[1]:
        raise invalid("test", f"hold vectors of {vectors.shape[1]} numbers, as DATA does", others.shape[1])
    return others


def _texts(table: pa.Table, rows: Labelled) -> list[str]:
    """Return all texts of a table that are embedded: those to choose by first, one a row."""
    texts = list(rows.texts(table))
    if rows.task != CLASSES:
        names = columns_of(rows.task, table.column_names)[:-1]
        texts += [text for name in names for text in table[name].to_pylist()]
    return texts


def _split(
    config: CompareConfig, rows: Labelled, memory: Memory, near: float, table: pa.Table, test: pa.Table | None
) -> Data:
    """Return the rows to train on and to test on; near copies of rows that are held out leave the former."""
    texts = rows.texts(table)
    about: dict[str, Any] = {"task": rows.task, "rows": table.num_rows}
    warnings: list[str] = []
    if test is None:
        aside = held_out(texts, config.held_out, rows.corpus.seed)
        rest, test = table.filter(pa.array(~aside)), table.filter(pa.array(aside))
        if not rest.num_rows or not test.num_rows:
            got = Verbatim(f"{table.num_rows} rows, of which {test.num_rows} are held out")
            raise invalid("data", "leave rows to train on and rows to test on", got, "Give more rows, or --test FILE.")
        repeats = _repeats(memory, rows, near, rest, test)
        train = rest.filter(pa.array(~repeats))
        if not train.num_rows:
            must = "leave rows that are no near copies of a row that is held out"
            raise invalid("near", must, near, "Raise --near, or give --test FILE.")
        about |= {"held_out": test.num_rows, "near_copies_dropped": int(repeats.sum())}
    else:
        train = table
        repeats = _repeats(memory, rows, near, train, test)
        about |= {"held_out": None, "near_copies_dropped": 0}
        if repeats.any():
            warnings.append(
                f"{int(repeats.sum()):,} of {train.num_rows:,} training rows are near copies of a test row (cosine "
                f"{near:g} or more): accuracies are too high for rows that are new."
            )
    unseen = set() if rows.task != CLASSES else set(test["label"].to_pylist()) - set(train["label"].to_pylist())
    if unseen:
        classes = "1 class" if len(unseen) == 1 else f"{len(unseen):,} classes"
        warnings.append(f"{classes} of the test rows in no training row: these test rows count as wrong.")
    about |= {
        "train_rows": train.num_rows,
        "test_rows": test.num_rows,
        "classes": len(train["label"].unique()),
        "dimension": memory.dimension,
    }
    return Data(train, test, about, tuple(warnings))


def _repeats(memory: Memory, labelled: Labelled, near: float, rows: pa.Table, test: pa.Table) -> NDArray[np.bool_]:
    X, held = (memory.embed(labelled.texts(one)) for one in (rows, test))
    return near_copies_of(X, held, near)


def _expected(bench: Bench, cells: list[Cell]) -> float:
    """Return roughly the seconds of all cells, from one that draws at random and one that looks at vectors."""
    bench.prepare(cells)
    of_draw = [cell for cell in cells if cell.seed == cells[0].seed and cell.size < 1]
    sees = [cell for cell in of_draw if method_named(cell.method).sees_vectors]
    draw = Draw(bench.setup, bench.memories, of_draw[0])
    found = [bench.measure(one, draw, 1) for one in (of_draw[0], *sees[-1:])]  # the first imports what it needs
    began = time.perf_counter()
    bench.measure(of_draw[0], draw, 1)
    trained = time.perf_counter() - began
    chosen = found[-1].seconds_select if sees else 0.0
    return len(cells) * trained * 1.5 + len(sees) * len(cells) / (len(of_draw) + 1) * chosen
