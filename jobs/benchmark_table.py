"""What the selection benchmark prints: a line for each contender of a row, and what comes of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from benchmark_rows import OURS, PLAIN

SMALL = 500
"""Rows on which a contender runs twice first, so that libraries are loaded; the second time is told."""
HEAD = (
    f"{'objective':<19}{'vectors':<16}{'n':>9}{'d':>5}{'k':>8}{'thr':>4}  {'contender':<18}{'CPU s':>9}{'wall s':>9}"
    f"{'ratio':>8}{'memory MB':>11}  ids"
)


def show(report: dict[str, Any]) -> None:
    """Print a row of the table, a line for each contender."""
    r = report
    place = f"{r['objective']:<19}{r['data']:<16}{r['n']:>9,}{r['d']:>5}{r['k']:>8,}{r['threads']:>4}"
    for one in report["results"]:
        start = f"{place}  {one['contender']:<18}"
        place = " " * len(place)
        if one["missing"]:
            print(f"{start}{'-':>9}  {one['missing']}", flush=True)
            continue
        ratio = f"{one['ratio']:.2f}" if "ratio" in one else "-"
        print(
            f"{start}{one['median_cpu']:>9.3f}{one['median_wall']:>9.3f}{ratio:>8}{one['extra_mb']:>11,.0f}  "
            f"{_notes(one, report['k'])}",
            flush=True,
        )


def _notes(one: dict[str, Any], k: int) -> str:
    if one["contender"] == OURS:
        return "" if one["passes"] is None else f"{1000 * one['passes'] / k:.1f} passes over X per 1,000 picks"
    if "same_ids" not in one:
        return ""
    note = "same"
    if not one["same_ids"]:
        note = f"first {one['same_prefix']:,} the same, f x {one.get('f_ratio', float('nan')):.6f}"
    compiles = one["contender"].startswith("apricot") and one["small_cpu"] > 0.1 * one["median_cpu"]
    return f"{note}; {one['small_cpu']:.1f} CPU s for {SMALL} rows" if compiles else note


def summary(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return in how many rows this package is as fast as the plain loop, and three times as fast as the best peer."""
    lines = []
    for target, names in ((1.0, (PLAIN,)), (3.0, ("apricot", "submodlib"))):
        ratios = {}
        for report in reports:
            rivals = [one for one in report["results"] if one["contender"] in names and "ratio" in one]
            if rivals:
                row = f"{report['objective']}, {report['data']}, n = {report['n']:,}, {report['threads']} thr."
                ratios[row] = min(one["ratio"] for one in rivals)
        late = [f"{row}: {ratio:.2f}" for row, ratio in ratios.items() if ratio < target]
        if ratios:
            against = "the plain loop" if names == (PLAIN,) else "the best of " + " and ".join(names)
            lines.append(f"{len(ratios) - len(late)} of {len(ratios)} rows at least {target:g}x {against}")
            lines += [f"  below: {row}" for row in late]
    return lines


def exponents(reports: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return for each objective the exponent of the CPU seconds over n in the rows of the growth."""
    points: dict[str, list[tuple[float, float]]] = {}
    for report in reports:
        if report["name"] == "growth" and "median_cpu" in report["results"][0]:
            points.setdefault(report["objective"], []).append((report["n"], report["results"][0]["median_cpu"]))
    fits = {objective: np.log(np.array(some)).T for objective, some in points.items() if len(some) > 1}
    return {objective: float(np.polyfit(n, seconds, 1)[0]) for objective, (n, seconds) in fits.items()}
