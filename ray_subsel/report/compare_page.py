"""Render compare.json as compare.html: which way to choose serves a corpus best."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template

from ray_subsel.report.charts import plot
from ray_subsel.report.numbers import NONE, count, duration, percent
from ray_subsel.report.templates import template


def render_comparison(summary: Mapping[str, Any]) -> str:
    """Return the page that shows a comparison.

    Parameters
    ----------
    summary : mapping
        What ``compare.json`` holds.

    Returns
    -------
    str
        A whole HTML document without scripts or outside references. All text is escaped, and a content security policy
        forbids whatever might slip through.
    """
    names = list(dict.fromkeys(method["name"] for one in summary["sizes"] for method in one["methods"]))
    by_name = {
        name: {one["size"]: method for one in summary["sizes"] for method in one["methods"] if method["name"] == name}
        for name in names
    }
    rows_of = {one["size"]: one["k"] for one in summary["sizes"]}
    labels = {name: next(iter(found.values()))["label"] for name, found in by_name.items()}
    return _template().render(
        verdict=summary["verdict"],
        how=summary.get("how") or "",
        command=summary.get("command") or "",
        warnings=list(summary.get("warnings") or []),
        tiles=_tiles(summary),
        chart=_chart(summary, by_name, rows_of, labels),
        headers=[f"{100 * size:.4g}\u00a0% ({count(k)} rows)" for size, k in rows_of.items()],
        table=[
            (labels[name], name == summary["use"], [_cell(found.get(size)) for size in rows_of])
            for name, found in by_name.items()
        ],
        facts=_facts(summary),
        draws=count(summary["draws"]),
        test_rows=count(summary["test_rows"]),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    return template("compare.html", "head.html", "macros.html", "top.html", styles=("page.css", "compare.css"))


def _tiles(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the key numbers as (name, value, what it means)."""
    at = next(one for one in summary["sizes"] if one["size"] == summary["size_of_verdict"])
    use = next(method for method in at["methods"] if method["name"] == at["use"])
    tiles = [
        ("Accuracy", percent(use["accuracy"]["mean"]), f"of {count(at['k'])} rows: {use['label']}"),
        ("Of everything", percent(use["of_everything"]), f"of what {count(summary['everything']['k'])} rows reach"),
    ]
    if use["multiplier"] is not None:
        times = use["multiplier"]
        within = "" if times["low"] is None else f"; 95 %: {times['low']:.1f} to {times['high']:.1f}"
        tiles.append(("Random rows needed", _times(times), f"times as many for the same accuracy{within}"))
    random = next(method for method in at["methods"] if method["name"] == "random")
    tiles.append(("Random rows", percent(random["accuracy"]["mean"]), f"accuracy of {count(at['k'])} rows drawn"))
    return tiles


def _chart(
    summary: Mapping[str, Any],
    by_name: Mapping[str, Mapping[float, Mapping[str, Any]]],
    rows_of: Mapping[float, int],
    labels: Mapping[str, str],
) -> Any:
    lines = []
    for number, (name, found) in enumerate(by_name.items()):
        points = [(rows_of[size], *_point(one["accuracy"])) for size, one in found.items()]
        if name == "random":
            points += [(one["k"], *_point(one["accuracy"])) for one in summary["random_beyond"]]
            points.append((summary["everything"]["k"], *_point(summary["everything"]["accuracy"])))
        lines.append((labels[name], f"s{number % 8}", points))
    return plot(lines, summary["everything"]["accuracy"]["mean"])


def _point(accuracy: Mapping[str, Any]) -> tuple[float, float | None]:
    return accuracy["mean"], accuracy["half"]


def _cell(method: Mapping[str, Any] | None) -> dict[str, Any]:
    if method is None:
        return {"accuracy": "", "times": "", "level": False}
    half = method["accuracy"]["half"]
    within = "" if half is None else f" ± {100 * half:.1f}"
    times = "" if method["multiplier"] is None else _times(method["multiplier"])
    accuracy = percent(method["accuracy"]["mean"]) + within
    return {"accuracy": accuracy, "times": times, "level": method["level_with_best"]}


def _times(times: Mapping[str, Any]) -> str:
    sign = {"at least": "≥ ", "at most": "≤ "}.get(times["bound"], "")
    return f"{sign}{times['times']:.1f}×"


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    held, leave = summary.get("held_out"), summary.get("recipe_near")
    if held is None:
        test = f"{count(summary['test_rows'])}, from the file that was named"
    else:
        test = f"{count(held)}, held out by a hash of the text, so that equal texts are on one side"
    facts = [
        ("Rows", count(summary["rows"])),
        ("Test rows", test),
        ("Rows for training", count(summary["train_rows"])),
        ("Of them in a draw", count(summary["everything"]["k"])),
        ("Classes", count(summary["classes"])),
        ("Vectors", f"{summary['embedder']}, {summary['dimension']} numbers"),
        ("Near copies", f"cosine {summary['near']:g} or more"),
        ("Near copies that auto leaves out", NONE if leave is None else f"cosine {leave:g} or more"),
        ("Everything", percent(summary["everything"]["accuracy"]["mean"], digits=2)),
        ("Read and embed", duration(summary["seconds_embed"])),
    ]
    if held is not None:
        dropped = f"{count(summary['near_copies_dropped'])} rows, which are not trained on"
        facts.insert(3, ("Near copies of test rows", dropped))
    return facts
