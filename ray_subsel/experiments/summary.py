"""Finished cells -> means, intervals and paired differences, ready for JSON, tables and figures."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from ray_subsel.experiments.cells import Cell, Result
from ray_subsel.experiments.methods import METHODS, method_named
from ray_subsel.experiments.statistics import Estimate, correlation, estimate, paired

BARS = ("random", "random-distinct", "semdedup-random")
"""What every method is compared with, seed by seed."""


def summarize(results: Sequence[Result], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``summary.json`` holds.

    Parameters
    ----------
    results : sequence of Result
        In any order, of any studies and both measures.
    settings : mapping
        As ``results.json`` keeps them.
    """
    by_condition: dict[Cell, list[Result]] = defaultdict(list)
    for result in results:
        by_condition[_condition(result.cell)].append(result)
    ordered = sorted(by_condition, key=repr)
    return {
        "settings": dict(settings),
        "cells": len(results),
        "conditions": [_describe(condition, by_condition[condition]) for condition in ordered],
        "heat_maps": _heat_maps(results),
        "agreement": _agreement(results),
    }


def _condition(cell: Cell) -> Cell:
    """Return a cell's coordinates without method, size and seed."""
    return dataclasses.replace(cell.condition, method="", size=1.0)


def condition_name(condition: Mapping[str, Any]) -> str:
    """Return a condition in words."""
    redundancy = condition["redundancy"]
    kind, density = redundancy["kind"], redundancy["density"]
    words = {"exact": "exact copies", "near": "near copies", "both": "exact and near copies", "none": "no copies"}[kind]
    share = "" if kind == "none" else f", {density:.0%} of the rows"
    pool = "" if condition["pool"] is None else f", {condition['pool']:,} originals a draw"
    return f"{words}{share}{pool}; chosen by {condition['story']}"


def _describe(condition: Cell, results: list[Result]) -> dict[str, Any]:
    by_method: dict[str, dict[float, dict[int, Result]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        by_method[result.cell.method][result.cell.size][result.cell.seed] = result
    content = {
        "via": condition.via,
        "redundancy": dataclasses.asdict(condition.redundancy),
        "pool": condition.pool,
        "story": condition.story,
        "share_of": condition.share_of,
    }
    order = [*METHODS, *sorted(by_method.keys() - METHODS.keys())]
    methods = [
        {
            "name": name,
            "label": method_named(name).label,
            "sizes": [_size(size, by_method[name][size], by_method) for size in sorted(by_method[name])],
        }
        for name in order
        if name in by_method
    ]
    return {**content, "name": condition_name(content), "rows": _rows(results), "methods": methods}


def _rows(results: list[Result]) -> dict[str, int]:
    return {"rows": results[0].n_rows, "originals": results[0].n_originals}


def _size(
    size: float, of_seed: Mapping[int, Result], by_method: Mapping[str, Mapping[float, Mapping[int, Result]]]
) -> dict[str, Any]:
    found = list(of_seed.values())
    accuracy = {seed: result.accuracy for seed, result in of_seed.items()}
    against = {}
    for bar in BARS:
        others = {seed: result.accuracy for seed, result in by_method.get(bar, {}).get(size, {}).items()}
        difference = paired(accuracy, others)
        if difference is not None and bar != found[0].cell.method:
            against[bar] = {**_shown(difference), "decided": difference.decided}
    embedded = [result.seconds_embed for result in found if result.seconds_embed is not None]
    return {
        "size": size,
        "k": found[0].k,
        "seeds": sorted(of_seed),
        "accuracy": _shown(estimate(list(accuracy.values()))),
        "origins": _shown(estimate([result.origins for result in found])),
        "copies": estimate([float(result.copies) for result in found]).mean,
        "filled": estimate([float(result.k - result.chosen) for result in found]).mean,
        "seconds_train": estimate([result.seconds_train for result in found]).mean,
        "seconds_select": estimate([result.seconds_select for result in found]).mean,
        "seconds_embed": estimate(embedded).mean if embedded else None,
        "against": against,
    }


def _shown(found: Estimate) -> dict[str, Any]:
    return dataclasses.asdict(found)


def _heat_maps(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return, for each graph cut that was run with several lambdas, accuracy and copies by density and lambda."""
    groups: dict[tuple[Any, ...], dict[tuple[float, str], list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        cell, (base, _, lam) = result.cell, result.cell.method.partition("@")
        if lam:
            where = (cell.via, base, cell.size, cell.share_of, cell.pool, cell.story)
            kinds = ("exact", "near", "both") if cell.redundancy.kind == "none" else (cell.redundancy.kind,)
            for kind in kinds:  # without copies all kinds are one
                key = (*where, kind)
                groups[key][(cell.redundancy.density, lam)].append(result)
    maps = []
    for key in sorted(groups, key=repr):
        via, base, size, share_of, pool, story, kind = key
        found = groups[key]
        densities = sorted({density for density, _ in found})
        lams = sorted({lam for _, lam in found}, key=lambda lam: float("inf") if lam == "auto" else float(lam))
        if len(densities) < 2 or len(lams) < 2:
            continue
        grid = [[found.get((density, lam), []) for lam in lams] for density in densities]
        maps.append(
            {
                "via": via, "method": base, "label": METHODS[base].label, "kind": kind, "size": size,
                "share_of": share_of, "pool": pool, "story": story, "densities": densities, "lams": lams,
                "seeds": max(len(one) for row in grid for one in row),
                "accuracy": [[_mean([r.accuracy for r in one]) for one in row] for row in grid],
                "copies": [[_mean([1 - r.origins for r in one]) for one in row] for row in grid],
            }
        )  # fmt: skip
    return maps


def _mean(values: list[float]) -> float | None:
    return estimate(values).mean if values else None


def _agreement(results: Sequence[Result]) -> dict[str, Any] | None:
    """Return how the probe and fine-tuning agree on the cells that have both; None where there are none."""
    of_via: dict[str, dict[Cell, float]] = {"probe": {}, "finetune": {}}
    for result in results:
        of_via[result.cell.via][dataclasses.replace(result.cell, via="probe")] = result.accuracy
    shared = sorted(of_via["probe"].keys() & of_via["finetune"].keys(), key=repr)
    if not shared:
        return None
    pairs = [(of_via["probe"][cell], of_via["finetune"][cell]) for cell in shared]
    points = [
        {"method": cell.method, "size": cell.size, "seed": cell.seed, "probe": one, "finetune": other}
        for cell, (one, other) in zip(shared, pairs, strict=True)
    ]
    differences = [other - one for one, other in pairs]
    deviation = stdev(differences) if len(pairs) > 1 else None
    return {
        "cells": len(shared),
        "rank_correlation": correlation(pairs),
        "order_of_methods": _order_of_methods(dict(zip(shared, pairs, strict=True))),
        "difference": {"mean": fmean(differences), "deviation": deviation},
        "points": points,
    }


def _order_of_methods(pairs: Mapping[Cell, tuple[float, float]]) -> dict[str, Any]:
    """Return the rank correlation between the methods of one size and condition, each the mean of its seeds.

    Over all cells large subsets are above small ones by either measure; what a probe is asked is the order at one size.
    """
    groups: dict[Cell, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for cell, pair in pairs.items():
        groups[dataclasses.replace(cell.condition, method="")][cell.method].append(pair)
    found = [
        correlation([(fmean(p for p, _ in pair), fmean(f for _, f in pair)) for pair in methods.values()])
        for methods in groups.values()
    ]
    known = [one for one in found if one is not None]
    return {"groups": len(known), "rank_correlation": fmean(known) if known else None}
