"""Tell what a target and a quality did: how the chosen items compare with all, and what f is made of."""

from __future__ import annotations

import math
from typing import Any

from ray_subsel.core.types import Float64s
from ray_subsel.stages.selection_job import SelectionOutcome
from ray_subsel.stages.utility_table import Utilities, utilities_of
from ray_subsel.storage.embedding_store import EmbeddingStore


def aim_facts(
    store: EmbeddingStore, outcome: SelectionOutcome, added: Utilities, queries: EmbeddingStore | None, share: float
) -> dict[str, Any]:
    """Return what the report says of a target and of quality; random items have the means of all.

    ``target``: ``queries``, ``weight``, and of the greatest and of the mean similarity to the queries the mean over the
    chosen items and over all. ``quality``: ``weight``, ``unit``, ``missing``, ``rank`` likewise. ``value_parts``: f by
    what it comes of.
    """
    found = utilities_of(store, outcome.result.ids)
    parts: dict[str, float] = {}
    facts: dict[str, Any] = {}
    if queries is not None:
        facts["target"] = {
            "queries": queries.n,
            "weight": share,
            "greatest": {"chosen": _mean(found["relevance"]), "all": added.means["relevance"]},
            "mean": {"chosen": _mean(found["similarity"]), "all": added.means["similarity"]},
        }
    if added.relevance_weight:
        parts["relevance"] = added.relevance_weight * math.fsum(found["relevance"].tolist())
    if added.weight:
        facts["quality"] = {
            "weight": added.weight,
            "unit": added.unit,
            "missing": added.missing,
            "rank": {"chosen": _mean(found["quality"]), "all": added.means["quality"]},
        }
        parts["quality"] = added.weight * added.unit * math.fsum(found["quality"].tolist())
    facts["value_parts"] = {"coverage": outcome.result.value - math.fsum(parts.values()), **parts}
    return facts


def _mean(values: Float64s) -> float:
    return math.fsum(values.tolist()) / max(1, values.size)


def missing_quality(added: Utilities, n: int) -> list[str]:
    """Return the warning of items without a quality."""
    if not added.missing:
        return []
    return [f"{added.missing:,} of {n:,} items have no quality; they count as the middle (0.5)."]
