"""The summary as plain text: tables that fit a terminal and a README, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray_subsel.experiments.summary import BARS, paper_figures


def as_text(summary: Mapping[str, Any]) -> str:
    """Return all tables of a summary, in Markdown."""
    parts = [f"{summary['cells']:,} cells. ± is half the 95 % interval of the mean over seeds (Student's t)."]
    for condition in summary["conditions"]:
        parts += condition_text(condition)
    parts += [_heat_text(one) for one in summary["heat_maps"]]
    agreement = summary["agreement"]
    if agreement is not None:
        rank = agreement["rank_correlation"]
        shown = "too few to correlate" if rank is None else f"Spearman's rank correlation {rank:.2f}"
        parts.append(f"Probe and fine-tuning: {agreement['cells']} cells have both; {shown}.")
    return "\n\n".join(parts) + "\n"


def condition_text(condition: Mapping[str, Any]) -> list[str]:
    """Return the tables of one condition."""
    sizes = sorted(
        {one["size"] for method in condition["methods"] for one in method["sizes"] if method["name"] != "full"}
    )
    title = f"## {'Probe' if condition['via'] == 'probe' else 'Fine-tuning'}: {condition['name']}"
    parts = [title, _table("accuracy", condition, sizes, lambda one: interval(one["accuracy"]))]
    for bar in BARS[1:]:
        if any(bar in one["against"] for method in condition["methods"] for one in method["sizes"]):
            parts.append(_table(f"points above {bar}", condition, sizes, lambda one, bar=bar: _points(one, bar)))
    parts.append(_table("distinct origins", condition, sizes, lambda one: f"{one['origins']['mean']:.2f}"))
    parts.append(_table("s to select + train", condition, sizes, _seconds))
    if has_paper(condition):
        parts.append(_paper(condition, sizes))
    return parts


def has_paper(condition: Mapping[str, Any]) -> bool:
    """Tell whether the paper has figures for a condition: fine-tuning on all stories, doubled by exact copies."""
    redundancy = condition["redundancy"]
    return (
        condition["via"] == "finetune"
        and condition["pool"] is None
        and condition["share_of"] == "rows"
        and redundancy["kind"] == "exact"
        and redundancy["density"] == 0.5
    )


def interval(found: Mapping[str, Any]) -> str:
    """Return ``0.684 ± 0.006``, or ``0.684`` of one seed."""
    half = "" if found["half"] is None else f" ± {found['half']:.3f}"
    return f"{found['mean']:.3f}{half}"


def _points(one: Mapping[str, Any], bar: str) -> str:
    difference = one["against"].get(bar)
    if difference is None:
        return ""
    half = "" if difference["half"] is None else f" ± {100 * difference['half']:.1f}"
    star = " *" if difference["decided"] else ""
    return f"{100 * difference['mean']:+.1f}{half}{star}"


def _seconds(one: Mapping[str, Any]) -> str:
    return f"{one['seconds_select']:.2f} + {one['seconds_train']:.2f}"


def _table(title: str, condition: Mapping[str, Any], sizes: Sequence[float], show: Any) -> str:
    rows = []
    for method in condition["methods"]:
        cells = {one["size"]: show(one) for one in method["sizes"]}
        if method["name"] == "full":
            seeds = ""
            cells = dict.fromkeys(sizes[:1], next(iter(cells.values())))
        else:
            seeds = str(max(len(one["seeds"]) for one in method["sizes"]))
        if any(cells.values()):
            rows.append([method["label"], seeds, *(cells.get(size, "") for size in sizes)])
    return markdown([title, "seeds", *(percent(size) for size in sizes)], rows)


def _paper(condition: Mapping[str, Any], sizes: Sequence[float]) -> str:
    """Return our mean and the paper's figure for the methods that it has."""
    paper = paper_figures()
    rows = []
    for method in condition["methods"]:
        for what, factor, form in (("accuracy", 100.0, "{:.2f} %"), ("seconds_train", 1.0, "{:.0f} s")):
            figures = paper[what].get(method["name"])
            if figures is None:
                continue
            published = dict(zip([1.0] if method["name"] == "full" else paper["sizes"], figures, strict=True))
            ours = {one["size"]: one[what]["mean"] if what == "accuracy" else one[what] for one in method["sizes"]}
            wanted = [1.0] if method["name"] == "full" else sizes
            shown = [
                f"{form.format(factor * ours[size])} ({form.format(factor * published[size])})"
                if size in ours and size in published
                else ""
                for size in wanted
            ]
            rows.append([f"{method['label']}, {what.replace('_', ' ')}", *shown, *[""] * (len(sizes) - len(shown))])
    return markdown(["ours (the paper's)", *(percent(size) for size in sizes)], rows) + f"\n\nSource: {paper['source']}"


def _heat_text(found: Mapping[str, Any]) -> str:
    rows = [
        [percent(density), *("" if a is None else f"{a:.3f} / {c:.0%}" for a, c in zip(accuracy, copies, strict=True))]
        for density, accuracy, copies in zip(found["densities"], found["accuracy"], found["copies"], strict=True)
    ]
    title = (
        f"## {found['label']}, {found['kind']} copies, {percent(found['size'])} of {found['share_of']}: "
        "accuracy / copies picked"
    )
    return title + "\n\n" + markdown(["copies in all rows", *(f"λ = {lam}" for lam in found["lams"])], rows)


def percent(share: float) -> str:
    """Return ``5 %`` of 0.05."""
    return f"{100 * share:.4g} %"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in [header, *rows]
    ]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
