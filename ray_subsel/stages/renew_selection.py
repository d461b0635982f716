"""Bring the selection of a run up to date after rows came or were withdrawn: files of ``updates/NNNN``.

``selection.parquet`` has a row for each chosen item, in greedy order among the chosen: ``rank``, ``id``, ``source_id``
(where there is an ``--id`` column), ``gain``, ``weight`` (rows that are not withdrawn to which it is the nearest chosen
one), ``update`` (0: a row of the run; else the update that brought it), ``multiplicity`` and ``rows`` (all rows that
are copies of it). ``subset.parquet`` has the original rows in the same order, ``changes.parquet`` what left and what
came: ``id``, ``what`` (``left`` or ``came``), ``instead_of`` (the row whose place it took, or that took its place),
``rise`` (of f) and ``why``, in words. ``withdrawn.parquet`` has the items that this update withdrew,
``nearest.parquet`` the chosen row that each item is nearest to (:mod:`ray_subsel.stages.update_nearest`), and
``decisions.parquet`` what became of every row of the run and its updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, SelectConfig
from ray_subsel.config.update import UpdateConfig
from ray_subsel.constraints.mix import LIKE
from ray_subsel.constraints.spec import ConstraintSpec, GroupFacts
from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.errors import DoesNotFitError, Verbatim, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.types import Float32s, Indices
from ray_subsel.corpus.constraint_columns import group_column
from ray_subsel.corpus.id_lists import OWN_IDS
from ray_subsel.decisions.table import DECISIONS, SELECTION
from ray_subsel.objectives import FacilityLocation
from ray_subsel.planning.later_plan import BYTES_A_NUMBER
from ray_subsel.runtime.peak_memory import PeakMemory
from ray_subsel.selection.renew import Limits, Renewed, renew
from ray_subsel.stages.base import RunContext, Stage, StageResult
from ray_subsel.stages.decide import write_decisions
from ray_subsel.stages.update_chain import WITHDRAWN, Chain
from ray_subsel.stages.update_changes import changes_of
from ray_subsel.stages.update_decisions import ChainSources, withdrawn_rows
from ray_subsel.stages.update_nearest import FILE as NEAREST
from ray_subsel.stages.update_nearest import Nearest, nearest_of
from ray_subsel.stages.write_subset import SUBSET

CHANGES = "changes.parquet"
VERSION = 1
"""Of what is chosen: part of the stage's settings."""
SHOWN_CHANGES = 100
"""Lines of ``changes.parquet`` that the report has."""


@final
@dataclass(frozen=True)
class RenewStage(Stage[dict[str, Any]]):
    """Bring the selection up to date.

    Attributes
    ----------
    chain : Chain
        What there is now, this update's rows included.
    before : Chain
        What there was before.
    k : int
    removed : int64 array
        Rows to withdraw, ascending.
    corpus : CorpusConfig
    select : SelectConfig
        Of the run.
    update : UpdateConfig
    after : str
        The fingerprint of the selection before.
    """

    name: ClassVar[str] = "renew"
    outputs: ClassVar[tuple[str, ...]] = (WITHDRAWN, SUBSET, CHANGES, NEAREST, DECISIONS, SELECTION)

    chain: Chain
    before: Chain
    k: int
    removed: Indices
    corpus: CorpusConfig
    select: SelectConfig
    update: UpdateConfig
    after: str

    def settings(self, context: RunContext) -> dict[str, Any]:
        """Return what decides the subset."""
        join = context.manifest.stages.get("join")
        return {
            "k": self.k,
            "removed": fingerprint(self.removed.tolist()) if self.removed.size else None,
            "least_rise": self.update.least_rise,
            "join": None if join is None else join.fingerprint,
            "after": self.after,
            "version": VERSION,
        }

    def resume(self, context: RunContext) -> dict[str, Any] | None:
        """Return what is told of it, or None where a file is gone."""
        if not all(context.run.exists(name) for name in self.outputs):
            return None
        return context.manifest.stages[self.name].facts

    def run(self, context: RunContext, peak: PeakMemory) -> StageResult[dict[str, Any]]:
        """Choose, and write what was chosen."""
        del peak
        self._check_memory(context)
        gone, already = np.unique(self.before.items_of(self.removed)), self.before.withdrawn()[0]
        again = int(np.isin(gone, already).sum())
        gone = np.setdiff1d(gone, already)
        context.run.write_table(WITHDRAWN, pa.table({"id": pa.array(gone, pa.int64())}))
        ids, X = self.chain.leaders()
        there = ~np.isin(ids, np.concatenate((already, gone)))
        ids, X = ids[there], X[there]
        chosen = self.before.chosen()
        stay, left = chosen[~np.isin(chosen, gone)], chosen[np.isin(chosen, gone)]
        if self.k > ids.size:
            raise invalid("k", f"be at most the {ids.size} items that there are", self.k, "Lower --k.")
        limits, names = self._limits(ids) if self.select.grouped else (None, [])
        renewed = self._renew(ids, X, stay, limits)
        gone_rows = withdrawn_rows(self.chain, *self.chain.withdrawn())
        nearest = nearest_of(
            self.chain, self.before.parts[-1], ids[renewed.indices], X[renewed.indices],
            np.flatnonzero(~np.isin(ids[renewed.indices], chosen)), gone_rows.ids,
        )  # fmt: skip
        changes = changes_of(ids, renewed, self.k, before=chosen, withdrawn=left)
        misfits: dict[str, int] = {}
        context.run.write_table(SUBSET, self.chain.subset_table(ids[renewed.indices], misfits))
        context.run.write_table(CHANGES, changes)
        context.run.write_table(NEAREST, nearest.table)
        table = self._selection(ids, renewed, nearest)
        full = limits.full(renewed.indices) if limits is not None else np.zeros(0, dtype=np.int64)
        sources = ChainSources(
            chain=self.chain, selection=table, nearest=nearest, near=self.select.near_threshold is not None,
            left_out=(gone_rows,), notes=(changes["id"].to_numpy(), changes["why"].to_pylist()),
            group_column=None if limits is None else group_column(self.corpus),
            full_groups=frozenset(names[group] for group in full.tolist()),
        )  # fmt: skip
        statuses = write_decisions(context.run, sources)
        context.run.write_table(SELECTION, table)
        copies = self.chain.members(gone)
        facts = {
            "objective": self.select.objective_name,
            "chosen": table.num_rows,
            "chosen_before": int(chosen.size),
            "value": renewed.value,
            **{what: changes["what"].to_pylist().count(what) for what in ("left", "came")},
            "changes": changes.slice(0, SHOWN_CHANGES).to_pylist(),
            "compared": nearest.compared,
            "statuses": statuses,
            "rows_withdrawn": sum(len(rows) for rows in copies),
            "items_withdrawn": int(gone.size),
            "withdrawn_before": again,
            "items": int(ids.size),
            "k": self.k,
            "warnings": self._warnings(table.num_rows, misfits),
        }
        return StageResult(facts, facts)

    def _check_memory(self, context: RunContext) -> None:
        stores = [part.items() for part in self.chain.parts[:1]]
        n = sum(store.n for store in stores) + sum(0 if p.rows is None else p.rows.n_rows for p in self.chain.parts[1:])
        needed, room = n * stores[0].d * BYTES_A_NUMBER, context.machine.for_one
        if needed > room:
            raise DoesNotFitError(
                f"the vectors of {n:,} items need {show_bytes(needed)} of memory; there are {show_bytes(int(room))}. "
                "An update holds them all: select anew with subsel select, which does not."
            )

    def _renew(self, ids: Indices, X: Float32s, stay: Indices, limits: Limits | None) -> Renewed:
        own = self.select.objective_of(ids.size, self.k)
        objective = FacilityLocation() if isinstance(own, FacilityLocation) else own
        chosen = np.searchsorted(ids, stay)
        newcomers = np.flatnonzero(ids >= self.before.end)
        return renew(
            X, chosen, self.k, objective, newcomers=newcomers, ids=ids, limits=limits,
            least_rise=self.update.least_rise, seed=self.select.seed,
        )  # fmt: skip

    def _limits(self, ids: Indices) -> tuple[Limits, list[str]]:
        """Return the limits of groups for k of the items there are, which the chosen may exceed, and their names."""
        select = self.select
        labels = np.array(self.chain.column(ids, group_column(self.corpus)), dtype=object)
        names, groups = np.unique(labels, return_inverse=True)
        sizes = np.bincount(groups, minlength=names.size).astype(np.int64)
        spec = ConstraintSpec.parse(select.quotas, select.floors, None, select.mix)
        found = spec.resolve(self.k, GroupFacts(names.tolist(), sizes, np.zeros_like(sizes)))
        least = np.zeros_like(sizes) if found.floors is None else found.floors
        return Limits(groups, sizes if found.quotas is None else found.quotas, least), names.tolist()

    def _selection(self, ids: Indices, renewed: Renewed, nearest: Nearest) -> pa.Table:
        chosen = ids[renewed.indices]
        members = self.chain.members(chosen)
        own = {} if self.corpus.id is None else {OWN_IDS: pa.array(self.chain.column(chosen, OWN_IDS))}
        return pa.table(
            {
                "rank": pa.array(np.arange(chosen.size)),
                "id": pa.array(chosen),
                **own,
                "gain": pa.array(renewed.gains),
                "weight": pa.array(nearest.weights),
                "update": pa.array(self.chain.number_of(chosen)),
                "multiplicity": pa.array([len(rows) for rows in members], pa.int64()),
                "rows": pa.array(members, pa.list_(pa.int64())),
            }
        )

    def _warnings(self, chosen: int, misfits: dict[str, int]) -> list[str]:
        said = [
            f"{count:,} values of column {name} do not fit its type and are null" for name, count in misfits.items()
        ]
        if chosen < self.k:
            said.append(f"{chosen:,} rows are chosen and not {self.k:,}: groups have no more within their limits")
        return said


def check_updatable(corpus: CorpusConfig, select: SelectConfig, objectives: tuple[str, ...], left_out: str) -> None:
    """Raise InputError for a run whose selection cannot be brought up to date.

    Parameters
    ----------
    corpus : CorpusConfig
    select : SelectConfig
    objectives : tuple of str
        Those that can be followed.
    left_out : str
        A stage of the run that leaves rows out by what they are; empty: there is none.
    """
    way = "Select anew with subsel select."
    for name in ("per", "target", "budget", "include", "exclude", "near_within"):
        if (value := getattr(select, name)) is not None:
            raise invalid("DIR", f"hold a selection without --{name.replace('_', '-')}", value, way)
    if select.stages:
        raise invalid("DIR", "hold a selection without --stages", select.stages, way)
    if corpus.quality is not None or corpus.augment or left_out:
        shown = "--quality" if corpus.quality is not None else "--augment" if corpus.augment else f"stage {left_out}"
        raise invalid("DIR", f"hold a selection without {shown}", Verbatim("one with it"), way)
    if select.objective_name not in objectives:
        raise invalid("DIR", f"hold a selection by {', '.join(objectives)}", select.objective_name, way)
    if select.mix and select.mix[0].startswith(LIKE):
        raise invalid("DIR", "hold a selection without --mix like:FILE", select.mix[0], way)
