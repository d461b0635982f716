"""Summarize a comparison: accuracies with intervals, which ways are level, and what a way saves in rows.

The compute multiplier at matched quality of k chosen rows is m / k, m being the rows that a random subset needs for the
same accuracy: random's accuracies over its sizes, made monotone, and linear in log rows between them.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_subsel.experiments.forms import markdown, percent
from ray_subsel.experiments.grid import Result
from ray_subsel.experiments.methods import METHODS, method_named
from ray_subsel.experiments.statistics import Estimate, over_draws_and_rows
from ray_subsel.experiments.tables import interval
from ray_subsel.report.numbers import count
from ray_subsel.report.numbers import percent as per_cent

RESAMPLES = 400
REFERENCE = 0.1
"""The size of which the sentence speaks, or the nearest to it."""
Right = NDArray[np.bool_]
Found = dict[tuple[str, float], "Way"]


@dataclasses.dataclass(frozen=True, eq=False)
class Way:
    """What a method gave at one size.

    Attributes
    ----------
    k : int
        Rows trained on.
    right : bool array of shape (J, n)
        Whether each draw's probe was right on each test row.
    seconds : float
        To select and train, in the mean of the draws.
    """

    k: int
    right: Right
    seconds: float

    @property
    def means(self) -> NDArray[np.float64]:
        """The accuracy of each draw."""
        return np.asarray(self.right.mean(axis=1, dtype=np.float64))


def ways_of(results: Sequence[Result]) -> Found:
    """Return what each method gave at each size, over the draws that all of them have."""
    seeds: dict[tuple[str, float], dict[int, Result]] = defaultdict(dict)
    for result in results:
        if result.answers:
            seeds[result.cell.method, result.cell.size][result.cell.seed] = result
    shared = sorted(set.intersection(*(set(found) for found in seeds.values()))) if seeds else []
    ways = {}
    for key, found in seeds.items() if shared else ():
        mine = [found[seed] for seed in shared]
        right = np.array([_unpacked(result) for result in mine])
        seconds = math.fsum(result.seconds_select + result.seconds_train for result in mine) / len(mine)
        ways[key] = Way(mine[0].k, right, seconds)
    return ways


def _unpacked(result: Result) -> Right:
    bits = np.frombuffer(bytes.fromhex(result.answers), dtype=np.uint8)
    return np.unpackbits(bits, count=result.n_test).astype(bool)


def summarize_comparison(results: Sequence[Result], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``compare.json`` holds.

    Parameters
    ----------
    results : sequence of Result
        At least one draw of all methods, ``full`` and ``random`` among them, with answers.
    about : mapping
        Of the data and the settings; it is put first.
    """
    ways = ways_of(results)
    full = ways["full", 1.0]
    curve = [(full.k, full.means), *((way.k, way.means) for (name, _), way in ways.items() if name == "random")]
    curve.sort(key=lambda point: point[0])
    names = [name for name in METHODS if name != "full" and any(name == one for one, _ in ways)]
    names += sorted({name for name, _ in ways} - {*METHODS})
    sizes = sorted(
        {size for name, size in ways if name not in ("full", "random")} or {s for n, s in ways if n != "full"}
    )
    shown = [
        _size(size, {name: ways[name, size] for name in names if (name, size) in ways}, full, curve, about["near"])
        for size in sizes
    ]
    extra = [
        {"size": size, "k": way.k, "accuracy": _accuracy(way)}
        for (name, size), way in sorted(ways.items(), key=lambda one: one[1].k)
        if name == "random" and size not in sizes
    ]
    reference = min(shown, key=lambda one: abs(math.log(one["size"] / REFERENCE)))
    return {
        "schema": 1,
        **about,
        "draws": len(full.right),
        "everything": {"k": full.k, "accuracy": _accuracy(full), "seconds": full.seconds},
        "sizes": shown,
        "random_beyond": extra,
        "use": reference["use"],
        "how": next(method["how"] for method in reference["methods"] if method["name"] == reference["use"]),
        "size_of_verdict": reference["size"],
        "verdict": verdict(reference, full.k, float(full.means.mean())),
    }


def _accuracy(way: Way) -> dict[str, Any]:
    return dataclasses.asdict(over_draws_and_rows(way.right))


def _size(
    size: float, ways: Mapping[str, Way], full: Way, curve: Sequence[tuple[int, NDArray[np.float64]]], near: float
) -> dict[str, Any]:
    leaders = level_with_the_best({name: way.right for name, way in ways.items()})
    methods = []
    for name, way in ways.items():
        against = None if name == "random" else _difference(way, ways.get("random"), len(ways) - 1)
        methods.append(
            {
                "name": name,
                "label": method_named(name).label,
                "how": how(name, near),
                "accuracy": _accuracy(way),
                "of_everything": float(way.means.mean() / max(full.means.mean(), 1e-12)),
                "against_random": None
                if against is None
                else dataclasses.asdict(against) | {"decided": against.decided},
                "multiplier": None if name == "random" else multiplier(way.k, way.means, curve),
                "level_with_best": name in leaders,
                "seconds": way.seconds,
            }
        )
    return {"size": size, "k": next(iter(ways.values())).k, "use": choose(leaders), "methods": methods}


def how(name: str, near: float) -> str:
    """Return what does the same: flags of ``subsel select``, else a call in Python; empty where neither does."""
    return {
        "auto": "subsel select --recipe auto",
        "near-facility-location": f"subsel select --objective facility_location --near {near:g} --quota none",
        "facility-location": "subsel select --objective facility_location --near none --quota none --copies keep",
        "near-graph-cut": f"subsel select --recipe none --near {near:g}",
        "graph-cut": "subsel select --recipe none",
        "graph-cut-keep": "subsel select --recipe paper",
        "k-center": 'select(X, k, recipe="none", optimizer="k_center")',
        "random": 'select(X, k, recipe="none", optimizer="random")',
        "random-distinct": 'select(X, k, recipe="none", optimizer="random_distinct")',
        "random-balanced": 'select(X, k, recipe="none", optimizer="random", groups=labels, quotas="equal")',
        "semdedup-random": f'select(X, k, recipe="none", optimizer="random", near={near:g})',
    }.get(name, "")


def _difference(way: Way, other: Way | None, comparisons: int) -> Estimate | None:
    if other is None:
        return None
    return over_draws_and_rows(way.right.astype(np.int8) - other.right.astype(np.int8), max(1, comparisons))


def level_with_the_best(right: Mapping[str, Right]) -> list[str]:
    """Return the methods that chance may have put behind the one of greatest accuracy, that one included.

    A method is behind where the interval of the paired difference, widened for as many comparisons as there are other
    methods, leaves out 0; one draw decides nothing.
    """
    best = max(right, key=lambda name: float(right[name].mean()))
    behind = {
        name
        for name, one in right.items()
        if over_draws_and_rows(right[best].astype(np.int8) - one.astype(np.int8), max(1, len(right) - 1)).decided
    }
    return [name for name in right if name not in behind]


def choose(leaders: Sequence[str]) -> str:
    """Return which of some level methods to use: random rows, which cost nothing, then auto, then the first."""
    return next((name for name in ("random", "auto") if name in leaders), leaders[0])


def multiplier(
    k: int, accuracies: NDArray[np.float64], curve: Sequence[tuple[int, NDArray[np.float64]]]
) -> dict[str, Any]:
    """Return how many times k rows drawn at random reach the accuracy of k chosen ones.

    Parameters
    ----------
    k : int
    accuracies : array of shape (J,)
        By draw.
    curve : sequence of (int, array of shape (J,))
        Random rows: their numbers, ascending, and the accuracies of each draw; the last is everything.

    Returns
    -------
    dict
        ``times``; ``bound``: "" or, where random rows never reach it, ``at least``, or, where the fewest do already,
        ``at most``; ``low`` and ``high``: the 95 % interval of a bootstrap over draws, None for one draw.
    """
    rows = np.array([number for number, _ in curve], dtype=np.float64)
    of_draws = np.array([found for _, found in curve])
    times, bound = _times(k, float(accuracies.mean()), rows, of_draws.mean(axis=1))
    content: dict[str, Any] = {"times": times, "bound": bound, "low": None, "high": None}
    if accuracies.size > 1:
        drawn = np.random.default_rng(0).integers(accuracies.size, size=(RESAMPLES, accuracies.size))
        found = [_times(k, float(accuracies[one].mean()), rows, of_draws[:, one].mean(axis=1))[0] for one in drawn]
        content["low"], content["high"] = (float(value) for value in np.quantile(found, (0.025, 0.975)))
    return content


def _times(k: int, accuracy: float, rows: NDArray[np.float64], means: NDArray[np.float64]) -> tuple[float, str]:
    rising = np.maximum.accumulate(means)
    if accuracy > rising[-1]:
        return float(rows[-1] / k), "at least"
    at = int(np.searchsorted(rising, accuracy))
    if at == 0:
        return float(rows[0] / k), "" if accuracy == rising[0] else "at most"
    share = (accuracy - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(math.exp(math.log(rows[at - 1]) + share * math.log(rows[at] / rows[at - 1])) / k), ""


def verdict(at: Mapping[str, Any], everything: int, reached: float) -> str:
    """Return which to use and what so many rows keep, in words."""
    methods = {method["name"]: method for method in at["methods"]}
    use = methods[at["use"]]
    level = [m["label"] for m in at["methods"] if m["level_with_best"] and m["name"] != at["use"]]
    share = "a tenth" if at["size"] == REFERENCE else percent(at["size"])
    keeps = (
        f"{share} of the rows ({count(at['k'])} of {count(everything)}) reaches {per_cent(use['accuracy']['mean'])}, "
        f"{per_cent(use['of_everything'])} of what everything reaches ({per_cent(reached)})"
    )
    if at["use"] == "random":
        return f"Draw at random: no other way is better by more than chance here; {keeps}."
    times = use["multiplier"]
    need = f"{times['bound']} {times['times']:.1f}".strip()
    beside = f" Level with it: {'; '.join(level)}." if level else ""
    return f"Use {use['label']}: {keeps}; random rows need {need} times as many for that.{beside}"


def comparison_text(summary: Mapping[str, Any]) -> str:
    """Return the sentence and the table for a terminal."""
    names = list(dict.fromkeys(method["name"] for one in summary["sizes"] for method in one["methods"]))
    rows = []
    for name in names:
        found = [next((m for m in one["methods"] if m["name"] == name), None) for one in summary["sizes"]]
        label = next(method["label"] for method in found if method is not None)
        rows.append([label, *("" if method is None else cell(method) for method in found)])
    header = [
        "accuracy (times as many random rows)",
        *(f"{percent(one['size'])}, {count(one['k'])} rows" for one in summary["sizes"]),
    ]
    whole = interval(summary["everything"]["accuracy"])
    notes = [
        f"everything ({count(summary['everything']['k'])} rows): {whole}",
        f"± is half the 95 % interval over {summary['draws']} draws and {count(summary['test_rows'])} test rows; "
        "= marks what is level with the best of its column, chance allowed for.",
    ]
    return "\n\n".join([summary["verdict"], markdown(header, rows), "\n".join(notes)])


def cell(method: Mapping[str, Any]) -> str:
    """Return ``0.861 ± 0.010 = (2.6x)`` of a method at a size."""
    level = " =" if method["level_with_best"] else ""
    return f"{interval(method['accuracy'])}{level}{times_of(method['multiplier'])}"


def times_of(times: Mapping[str, Any] | None) -> str:
    """Return `` (2.6x)``, `` (>= 4.0x)`` or nothing."""
    if times is None:
        return ""
    sign = {"at least": ">= ", "at most": "<= "}.get(times["bound"], "")
    return f" ({sign}{times['times']:.1f}x)"
