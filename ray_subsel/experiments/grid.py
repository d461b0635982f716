"""List the cells of an experiment: a cell is one training run and one JSON file, and is never computed twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_subsel.core.errors import InputError, invalid, unknown
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.uris import all_without_secrets
from ray_subsel.experiments.embedder_choices import OWN
from ray_subsel.experiments.methods import method_named
from ray_subsel.experiments.samples import Redundancy
from ray_subsel.storage.run_directory import RunDir

VIAS = ("probe", "finetune")
FOLDER = "cells"
RESULTS = "results.json"


@dataclass(frozen=True)
class Cell:
    """The coordinates of one training run.

    Attributes
    ----------
    via : str
        ``probe`` or ``finetune``.
    method : str
        See :func:`ray_subsel.experiments.methods.method_named`.
    size : float
        k as a share of ``share_of``: of all ``rows``, copies counted, or of the ``originals``.
    seed : int
        Of the sample, of random orders and of training.
    redundancy : Redundancy
    pool : int or None
        Originals drawn; None: all.
    story : str
        The text of a story that it is chosen by.
    share_of : str
    chooser : str
        Whose vectors the method sees; see :func:`ray_subsel.experiments.embedder_choices.coordinate`.
    """

    via: str
    method: str
    size: float
    seed: int
    redundancy: Redundancy
    pool: int | None = None
    story: str = "context+right"
    share_of: str = "rows"
    chooser: str = OWN

    def __post_init__(self) -> None:
        if self.via not in VIAS:
            raise unknown("via", self.via, VIAS)
        if not 0 < self.size <= 1:
            raise invalid("size", "lie in (0, 1]", self.size)
        if self.seed < 0:
            raise invalid("seed", "be at least 0", self.seed)
        assert self.share_of in ("rows", "originals")

    @property
    def condition(self) -> Cell:
        """These coordinates without the seed's value: cells of one condition are averaged."""
        return dataclasses.replace(self, seed=0)

    @property
    def draw(self) -> tuple[Redundancy, int | None, str, int]:
        """What decides the sample: cells of one draw choose from the same rows."""
        return self.redundancy, self.pool, self.story, self.seed

    def k(self, rows: int, originals: int) -> int:
        """Return how many rows the cell trains on, at least 1; ``full`` takes all."""
        if self.method == "full":
            return rows
        return min(rows, max(1, round(self.size * (rows if self.share_of == "rows" else originals))))

    def as_json(self) -> dict[str, Any]:
        """Return all coordinates, ready for JSON; the usual chooser is left out, as cells had none before."""
        content = dataclasses.asdict(self)
        if self.chooser == OWN:
            del content["chooser"]
        return content


def cell_from(content: dict[str, Any]) -> Cell:
    """Return the cell that :meth:`Cell.as_json` wrote."""
    return Cell(**{**content, "redundancy": Redundancy(**content["redundancy"])})


@dataclass(frozen=True)
class Result:
    """What one cell gave.

    Attributes
    ----------
    cell : Cell
    accuracy : float
    n_rows, n_originals, k : int
        Rows to choose from, originals among them, rows trained on.
    chosen : int
        Rows that the method chose itself; the other k - chosen fill up at random.
    copies : int
        Rows trained on that repeat the origin of another one.
    correct, n_test : int
    seconds_select, seconds_train : float
    seconds_embed : float or None
        For all rows, scaled from a timed part where vectors were remembered; None where no vector is needed, or
        where all vectors were there before.
    answers : str
        Which test rows were answered rightly, a bit each from the highest of the first byte on, in hexadecimal; empty
        where that is not kept.
    """

    cell: Cell
    accuracy: float
    n_rows: int
    n_originals: int
    k: int
    chosen: int
    copies: int
    correct: int
    n_test: int
    seconds_select: float
    seconds_train: float
    seconds_embed: float | None
    answers: str = ""

    @property
    def origins(self) -> float:
        """Share of the rows trained on that are of distinct origins, in (0, 1]."""
        return 1 - self.copies / self.k

    def as_json(self) -> dict[str, Any]:
        """Return all fields, ready for JSON; answers that are not kept are left out."""
        content = {**dataclasses.asdict(self), "cell": self.cell.as_json()}
        if not self.answers:
            del content["answers"]
        return content


def result_from(content: dict[str, Any]) -> Result:
    """Return the result that :meth:`Result.as_json` wrote."""
    return Result(**{**content, "cell": cell_from(content["cell"])})


@dataclass(frozen=True)
class Bases:
    """What decides results beside the coordinates of a cell.

    Attributes
    ----------
    via : mapping of str to str
        By ``via``: a fingerprint of data, encoder and training.
    versions : mapping of str to int
        Of the embedders that learn from the rows: it counts for the cells that choose by them, from the second on.
    """

    via: Mapping[str, str]
    versions: Mapping[str, int] = field(default_factory=dict)

    def of(self, cell: Cell) -> str:
        """Return the base of a cell."""
        choosers = sorted({cell.chooser, method_named(cell.method).embedder})
        later = [f"{name}-{self.versions[name]}" for name in choosers if self.versions.get(name, 1) > 1]
        return "-".join([self.via[cell.via], *later])

    def is_older(self, base: str, cell: Cell) -> bool:
        """Tell whether a cell was made with the same data and settings, by another version of what chooses."""
        return base != self.of(cell) and base.partition("-")[0] == self.via[cell.via]


class Results:
    """The finished cells of an experiment's directory.

    Each cell is a file of its own, written whole or not at all. :meth:`gather` also writes all of them as one file,
    ``results.json``, which serves alone: an experiment goes on from a copy of it.

    Parameters
    ----------
    run : RunDir
    bases : Bases
    settings : dict
        What ``bases`` stands for, for people to read; what an earlier study left stays beside it.

    Raises
    ------
    InputError
        When the directory holds results of other data or settings.
    """

    def __init__(self, run: RunDir, bases: Bases, settings: dict[str, Any]) -> None:
        self.run = run
        self.bases = bases
        before = run.read_json(RESULTS)["settings"] if run.exists(RESULTS) else {}
        self.settings = dict(all_without_secrets({**before, **settings}))
        self._known: dict[Cell, Result] = {}
        self._base_of: dict[Cell, str] = {}
        for entry in _entries(run):
            result, base = result_from(entry["result"]), entry["base"]
            if result.cell.via in bases.via and base != bases.of(result.cell):
                if bases.is_older(base, result.cell):
                    continue  # it is computed again
                raise InputError(
                    f"{run.path()} must hold one experiment; it holds {result.cell.via} cells made with other data, "
                    "another encoder or other training settings. Use another --out, or delete it."
                )
            self._known[result.cell], self._base_of[result.cell] = result, base

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._known

    def __iter__(self) -> Iterator[Result]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def add(self, result: Result) -> None:
        """Keep a result, on disk too."""
        write_cell(self.run, self.bases.of(result.cell), result)
        self.keep(result)

    def keep(self, result: Result) -> None:
        """Keep a result that is on disk already."""
        self._known[result.cell], self._base_of[result.cell] = result, self.bases.of(result.cell)

    def gather(self) -> None:
        """Write all cells as one file, in an order that does not depend on when they were made."""
        ordered = sorted(self._known.values(), key=lambda result: repr(result.cell))
        cells = [{"base": self._base_of[result.cell], "result": result.as_json()} for result in ordered]
        self.run.write_json(RESULTS, {"settings": self.settings, "cells": cells})


def file_of(base: str, cell: Cell) -> str:
    """Return the name of a cell's own file."""
    return f"{FOLDER}/{fingerprint([base, cell.as_json()])}.json"


def write_cell(run: RunDir, base: str, result: Result) -> None:
    """Write a result into its own file; ``base`` is that of its cell."""
    run.write_json(file_of(base, result.cell), {"base": base, "result": result.as_json()})


def written_cell(run: RunDir, base: str, cell: Cell) -> Result | None:
    """Return the result of a cell's own file, or None where it has none."""
    name = file_of(base, cell)
    return result_from(run.read_json(name)["result"]) if run.exists(name) else None


def _entries(run: RunDir) -> Iterable[dict[str, Any]]:
    """Yield the cells of the gathered file, then those of single files, which may be newer."""
    if run.exists(RESULTS):
        yield from run.read_json(RESULTS)["cells"]
    for name in run.names(FOLDER, suffix=".json"):
        yield run.read_json(name)


def read_results(out: str) -> tuple[list[Result], dict[str, Any]]:
    """Return the finished cells of a directory, and the settings it was made with.

    Raises
    ------
    InputError
        When there is none.
    """
    run = RunDir(out)
    results = {result.cell: result for result in (result_from(entry["result"]) for entry in _entries(run))}
    if not results:
        raise invalid("out", "hold finished cells of an experiment", out, "Run subsel experiment first.")
    settings: dict[str, Any] = run.read_json(RESULTS)["settings"] if run.exists(RESULTS) else {}
    return list(results.values()), settings
