"""Write ``selection.parquet`` and ``subset.parquet``, and tell what the report says of the selection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ray_subsel.config import SelectConfig
from ray_subsel.constraints.group_budget import totals_of
from ray_subsel.constraints.spending import unspent
from ray_subsel.constraints.staging import short_stages, stages_of_costs, stages_of_ranks
from ray_subsel.core.places import is_in
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.corpus.id_lists import OWN_IDS
from ray_subsel.corpus.rows import RowStore
from ray_subsel.decisions.table import SELECTION
from ray_subsel.stages.constraint_table import read_rows_of
from ray_subsel.stages.nearest import Represented
from ray_subsel.stages.selection_job import SelectionOutcome
from ray_subsel.stages.write_subset import SUBSET, write_forms, write_subset
from ray_subsel.storage.embedding_store import EmbeddingStore
from ray_subsel.storage.run_directory import RunDir

STAGE = "stage"
CURVE_POINTS = 400
SAMPLE_ROWS = 10
SHOWN_GROUPS = 100
SAMPLE_CHARACTERS = 400


def write_selection(
    rows: RowStore,
    store: EmbeddingStore,
    outcome: SelectionOutcome,
    config: SelectConfig,
    represented: Represented,
) -> dict[str, Any]:
    """Write selection.parquet and subset.parquet; return what the report says of the selection.

    ``selection.parquet`` has a row for each chosen item in rank order: ``rank`` (from 0), ``id`` (row id),
    ``source_id`` (the user's own id, where there is one), ``gain`` (marginal gain at its turn), ``weight`` (rows of the
    corpus to which it is the nearest chosen one; they sum to all rows), ``partition``, ``stage`` (from 1, where there
    are stages), ``multiplicity`` and ``rows`` (all row ids that are copies of it, near ones included).
    ``subset.parquet`` has the original rows in the same order (:mod:`ray_subsel.stages.write_subset`).
    """
    result = outcome.result
    members, largest = _members(store, result.ids)
    ids = outcome.published
    own = {OWN_IDS: rows.take(ids, [OWN_IDS])[OWN_IDS]} if rows.has_own_ids else {}
    stage = _stages(store, outcome, config)
    table = pa.table(
        {
            "rank": pa.array(np.arange(len(ids)), pa.int64()),
            "id": pa.array(ids, pa.int64()),
            **own,
            "gain": pa.array(result.gains, pa.float64()),
            "weight": pa.array(represented.rows, pa.int64()),
            "partition": pa.array(result.partitions, pa.int64()),
            **({} if stage is None else {STAGE: pa.array(stage)}),
            "multiplicity": pa.array([len(group) for group in members], pa.int64()),
            "rows": pa.array(members, pa.list_(pa.int64())),
        }
    )
    misfits = write_subset(store.run, rows, ids, config.to, stage=stage)
    store.run.write_table(SELECTION, table)
    keys = rows.take(ids, ["key"])["key"].to_pylist()
    negative = int((result.gains < 0).sum())
    limits = _constraints(store, outcome)
    stages, short = stage_facts(stage, config)
    return {
        "mode": config.mode,
        "objective": outcome.job.objective.name,
        **outcome.job.objective.about(),
        "n": outcome.job.n,
        "k": len(ids),
        "dimension": outcome.job.d,
        "partitions": outcome.job.m,
        "candidates": result.candidates,
        "rounds": outcome.rounds,
        "peak_bytes": outcome.peak_bytes,
        "value": result.value,
        "random_value": outcome.random_value,
        "random_is_expected": outcome.job.objective.random_value(outcome.job.n, len(ids)) is not None,
        "lift_over_random": outcome.lift_over_random,
        "centralized_value": outcome.centralized_value,
        "share_of_centralized": outcome.share_of_centralized,
        "share_of_centralized_lift": outcome.share_of_centralized_lift,
        "best_local_value": result.best_local_value,
        "winner": result.winner,
        "gains": _curve(result.gains),
        "negative_gains": negative,
        "weights_are_exact": represented.is_exact,
        "chosen_duplicates": len(keys) - len(set(keys)),
        "largest_groups": _with_texts(rows, largest),
        "limits": limits,
        "stages": stages,
        "sample": _sample(rows, ids, members),
        "certificate": _certificate(outcome),
        "misfits": misfits,
        "warnings": [*_warnings(outcome), *_unspent(limits), *short, *misfit_lines(misfits)],
    }


def write_later_forms(run: RunDir, rows: RowStore, forms: Sequence[str]) -> None:
    """Write the forms of a finished selection that are asked for now and are not there yet."""
    if not forms:
        return
    table = run.read_table(SELECTION)
    stage = table[STAGE].to_numpy() if STAGE in table.column_names else None
    write_forms(run, rows, table["id"].to_numpy(), forms, stage)


def stage_facts(stage: Indices | None, config: SelectConfig) -> tuple[list[dict[str, Any]] | None, list[str]]:
    """Return what the report says of stages, and a sentence on each that has fewer rows than were asked for."""
    if stage is None:
        return None, []
    counts = np.bincount(stage, minlength=len(config.stages) + 1)[1:].tolist()
    facts = [{"size": size, "rows": rows} for size, rows in zip(config.stages, counts, strict=True)]
    in_rows = config.counted and config.per is None
    return facts, short_stages(counts, config.stages) if in_rows else []


def _stages(store: EmbeddingStore, outcome: SelectionOutcome, config: SelectConfig) -> Indices | None:
    """Return the stage of each chosen item, by rank; of a budget, by cost."""
    if not config.stages:
        return None
    ids = outcome.result.ids
    if config.counted:
        return stages_of_ranks(np.arange(len(ids)), config.stages)
    table = read_rows_of(store, ids)
    order = np.argsort(table["id"].to_numpy())
    costs = table["cost"].to_numpy()[order][np.searchsorted(np.sort(ids), ids)]
    return stages_of_costs(costs.tolist(), config.stages)


def _constraints(store: EmbeddingStore, outcome: SelectionOutcome) -> dict[str, Any] | None:
    """Return what constrained the answer, and how the answer keeps it."""
    constraints = outcome.job.constraints
    if constraints is None:
        return None
    whole, names = constraints.constraints, constraints.names
    about: dict[str, Any] = {"included": len(constraints.asked), "excluded": constraints.excluded}
    table = read_rows_of(store, outcome.result.ids)
    if whole.budget is not None:
        about |= {"budget": whole.budget, "cost": math.fsum(table["cost"].to_pylist())}
    if names:
        counts = np.bincount(table["group"].to_numpy(), minlength=len(names))
        spent = None
        if whole.budget is not None:
            spent = totals_of(table["cost"].to_numpy(), table["group"].to_numpy(), len(names))
        shown = np.lexsort((np.arange(len(names)), -counts))[:SHOWN_GROUPS]
        about["n_groups"] = len(names)
        full = np.zeros(len(names), dtype=np.bool_) if whole.quotas is None else counts >= whole.quotas
        about["full_groups"] = [names[g] for g in np.flatnonzero(full).tolist()]
        about["groups"] = [
            {
                "group": names[g],
                "chosen": int(counts[g]),
                "quota": None if whole.quotas is None else int(whole.quotas[g]),
                "floor": None if whole.floors is None else int(whole.floors[g]),
                **({} if spent is None else {"cost": float(spent[g])}),
                **({} if whole.kept is None else {"kept": float(whole.kept[g])}),
            }
            for g in shown.tolist()
        ]
    return about


def _unspent(limits: dict[str, Any] | None) -> list[str]:
    """Return what to know of a budget that is not spent."""
    if limits is None or "budget" not in limits:
        return []
    said = unspent(limits["budget"], limits["cost"])
    return [] if said is None else [said]


def _members(store: EmbeddingStore, ids: Indices) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Return the rows of each chosen item, and the five largest groups as (id, multiplicity)."""
    wanted, ascending = {int(one): rank for rank, one in enumerate(ids)}, np.sort(ids)
    members: list[list[int]] = [[] for _ in wanted]
    largest: list[tuple[int, int]] = []
    for shard in store.numbers:
        table = store.members(shard)
        shard_ids = table["id"].to_numpy()
        counts = table["multiplicity"].to_numpy()
        for position in np.flatnonzero(is_in(shard_ids, ascending)):
            members[wanted[int(shard_ids[position])]] = table["rows"][int(position)].as_py()
        top = np.lexsort((shard_ids, -counts))[:5]
        largest += [(int(shard_ids[i]), int(counts[i])) for i in top if counts[i] > 1]
    return members, sorted(largest, key=lambda group: (-group[1], group[0]))[:5]


def _with_texts(rows: RowStore, groups: list[tuple[int, int]]) -> list[dict[str, Any]]:
    texts = _texts(rows, np.array([one for one, _ in groups], dtype=np.int64))
    return [{"id": one, "multiplicity": c, "text": text} for (one, c), text in zip(groups, texts, strict=True)]


def _sample(rows: RowStore, ids: Indices, members: list[list[int]]) -> list[dict[str, Any]]:
    texts = _texts(rows, ids[:SAMPLE_ROWS])
    return [
        {"rank": rank, "id": int(ids[rank]), "multiplicity": len(members[rank]), "text": text}
        for rank, text in enumerate(texts)
    ]


def _texts(rows: RowStore, ids: Indices) -> list[str]:
    if not len(ids):
        return []
    texts = rows.take(ids, ["text"])["text"].to_pylist()
    return ["" if text is None else text[:SAMPLE_CHARACTERS] for text in texts]


def _curve(gains: Float64s) -> list[list[float]]:
    """Return (rank, gain) pairs, at most some hundreds, evenly spread and with both ends."""
    ranks = np.unique(np.linspace(0, len(gains) - 1, min(len(gains), CURVE_POINTS)).round().astype(int))
    return [[int(rank), float(gains[rank])] for rank in ranks]


def _certificate(outcome: SelectionOutcome) -> dict[str, float] | None:
    if outcome.certificate is None:
        return None
    return {
        "bound": outcome.certificate.bound,
        "gap": outcome.certificate.gap,
        "share_of_random_shortfall_closed": outcome.certificate.closed,
    }


def misfit_lines(misfits: dict[str, int]) -> list[str]:
    """Return a warning for each column of which values do not fit its type."""
    return [
        f"{SUBSET}: {count:,} values of column {name} do not fit its type and are null there; --to jsonl has them"
        for name, count in misfits.items()
    ]


def _warnings(outcome: SelectionOutcome) -> list[str]:
    objective, constraints = outcome.job.objective, outcome.job.constraints
    warnings = [] if constraints is None else list(constraints.warnings)
    warnings += objective.warnings(outcome.result.gains, outcome.job.n)
    close = math.isclose(outcome.result.value, outcome.random_value, rel_tol=1e-6)  # all items, in another order
    if outcome.result.value < outcome.random_value and not close:
        why = objective.why_below_random if constraints is None else "random subsets need not keep the limits"
        warnings.append(
            f"f is below that of a random subset ({outcome.result.value:,.1f} against {outcome.random_value:,.1f}): "
            f"{why}."
        )
    return warnings
