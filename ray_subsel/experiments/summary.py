"""Summarize finished cells as means, intervals and paired differences, ready for JSON, tables and figures."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from ray_subsel.experiments.embedder_choices import OWN, chooser_label
from ray_subsel.experiments.forms import percent
from ray_subsel.experiments.grid import Cell, Result
from ray_subsel.experiments.methods import METHODS, method_named
from ray_subsel.experiments.statistics import Estimate, correlation, estimate, paired

OWN_CHOOSER = "the own encoder"
BARS = ("random", "random-distinct", "semdedup-random", OWN_CHOOSER)
"""What every method is compared with, seed by seed; the last is itself, choosing by the experiment's own encoder, as
the others do."""
Way = tuple[str, str]
"""A method and its chooser."""


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
    conditions = [
        _describe(condition, by_condition[condition], settings.get(condition.via, {}).get("task", ""))
        for condition in ordered
    ]
    return {
        "settings": dict(settings),
        "cells": len(results),
        "conditions": conditions,
        "heat_maps": _heat_maps(results),
        "encoder_maps": _encoder_maps(conditions, settings),
        "agreement": _agreement(results),
    }


def _condition(cell: Cell) -> Cell:
    """Return a cell's coordinates without method, chooser, size and seed."""
    return dataclasses.replace(cell.condition, method="", chooser=OWN, size=1.0)


def condition_name(condition: Mapping[str, Any], task: str) -> str:
    """Return a condition in words."""
    redundancy = condition["redundancy"]
    kind, density = redundancy["kind"], redundancy["density"]
    words = {"exact": "exact copies", "near": "near copies", "both": "exact and near copies", "none": "no copies"}[kind]
    share = "" if kind == "none" else f", {percent(density)} of the rows"
    pool = "" if condition["pool"] is None else f", {condition['pool']:,} originals a draw"
    story = "" if task == "classification" else f"; chosen by {condition['story']}"
    return f"{words}{share}{pool}{story}"


def _describe(condition: Cell, results: list[Result], task: str) -> dict[str, Any]:
    by_method: dict[Way, dict[float, dict[int, Result]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        by_method[result.cell.method, result.cell.chooser][result.cell.size][result.cell.seed] = result
    content = {
        "via": condition.via,
        "task": task,
        "redundancy": dataclasses.asdict(condition.redundancy),
        "pool": condition.pool,
        "story": condition.story,
        "share_of": condition.share_of,
    }
    order = [*METHODS, *sorted({name for name, _ in by_method} - METHODS.keys())]
    methods = [
        {
            "name": name,
            "chooser": chooser,
            "label": method_named(name).label + ("" if chooser == OWN else f", by {chooser_label(chooser)}"),
            "sizes": [_size(size, found, by_method) for size, found in sorted(by_method[name, chooser].items())],
        }
        for name, chooser in sorted(by_method, key=lambda one: (order.index(one[0]), one[1] != OWN, one[1]))
    ]
    return {**content, "name": condition_name(content, task), "rows": _rows(results), "methods": methods}


def _rows(results: list[Result]) -> dict[str, int]:
    return {"rows": results[0].n_rows, "originals": results[0].n_originals}


def _size(
    size: float, of_seed: Mapping[int, Result], by_method: Mapping[Way, Mapping[float, Mapping[int, Result]]]
) -> dict[str, Any]:
    found = list(of_seed.values())
    accuracy = {seed: result.accuracy for seed, result in of_seed.items()}
    against = {}
    way = (found[0].cell.method, found[0].cell.chooser)
    for bar in BARS:
        other = (way[0] if bar == OWN_CHOOSER else bar, OWN)
        others = {seed: result.accuracy for seed, result in by_method.get(other, {}).get(size, {}).items()}
        difference = paired(accuracy, others)
        if difference is not None and other != way:
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
            where = (cell.via, base, cell.chooser, cell.size, cell.share_of, cell.pool, cell.story)
            kinds = ("exact", "near", "both") if cell.redundancy.kind == "none" else (cell.redundancy.kind,)
            for kind in kinds:  # without copies all kinds are one
                key = (*where, kind)
                groups[key][(cell.redundancy.density, lam)].append(result)
    maps = []
    for key in sorted(groups, key=repr):
        via, base, chooser, size, share_of, pool, story, kind = key
        found = groups[key]
        densities = sorted({density for density, _ in found})
        lams = sorted({lam for _, lam in found}, key=lambda lam: float("inf") if lam == "auto" else float(lam))
        if len(densities) < 2 or len(lams) < 2:
            continue
        grid = [[found.get((density, lam), []) for lam in lams] for density in densities]
        maps.append(
            {
                "via": via, "method": base, "chooser": chooser, "label": METHODS[base].label, "kind": kind,
                "size": size, "share_of": share_of, "pool": pool, "story": story, "densities": densities, "lams": lams,
                "seeds": max(len(one) for row in grid for one in row),
                "accuracy": [[_mean([r.accuracy for r in one]) for one in row] for row in grid],
                "copies": [[_mean([1 - r.origins for r in one]) for one in row] for row in grid],
            }
        )  # fmt: skip
    return maps


def _encoder_maps(conditions: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return, for each condition and size in which several embedders chose, what each method gave with each."""
    maps = []
    for condition in conditions:
        found = {
            (method["name"], method["chooser"], one["size"]): one
            for method in condition["methods"]
            for one in method["sizes"]
        }
        ways = [(name, chooser) for name, chooser, _ in found]
        names = list(dict.fromkeys(name for name, chooser in ways if chooser != OWN))
        choosers = sorted({chooser for name, chooser in ways if name in names}, key=lambda one: (one != OWN, one))
        for size in sorted({size for _, chooser, size in found if chooser != OWN}):
            grid = [[found.get((name, chooser, size)) for name in names] for chooser in choosers]
            bar = found.get(("random-distinct", OWN, size))
            maps.append(
                {
                    "via": condition["via"],
                    "learner": settings.get("trained" if condition["via"] == "finetune" else "encoder", "encoder"),
                    "condition": condition["name"], "kind": condition["redundancy"]["kind"],
                    "share_of": condition["share_of"], "size": size,
                    "choosers": [settings.get(OWN, OWN) if one == OWN else chooser_label(one) for one in choosers],
                    "labels": [method_named(name).label for name in names],
                    "seeds": max(len(one["seeds"]) for row in grid for one in row if one),
                    "random_distinct": bar and bar["accuracy"],
                    "accuracy": [[one and one["accuracy"] for one in row] for row in grid],
                    "lead": [[one and one["against"].get("random-distinct") for one in row] for row in grid],
                    "origins": [[one and one["origins"] for one in row] for row in grid],
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
        {
            "method": cell.method,
            "chooser": cell.chooser,
            "size": cell.size,
            "seed": cell.seed,
            "probe": one,
            "finetune": other,
        }
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
    groups: dict[Cell, dict[Way, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for cell, pair in pairs.items():
        groups[dataclasses.replace(cell.condition, method="", chooser=OWN)][cell.method, cell.chooser].append(pair)
    found = [
        correlation([(fmean(p for p, _ in pair), fmean(f for _, f in pair)) for pair in methods.values()])
        for methods in groups.values()
    ]
    known = [one for one in found if one is not None]
    return {"groups": len(known), "rank_correlation": fmean(known) if known else None}
