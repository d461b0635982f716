"""Write the summary as plain text: tables that fit a terminal and a README, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray_subsel.experiments.forms import markdown, percent
from ray_subsel.experiments.paper_figures import papers_form
from ray_subsel.experiments.summary import BARS


def as_text(summary: Mapping[str, Any]) -> str:
    """Return all tables of a summary, in Markdown."""
    parts = [f"{summary['cells']:,} cells. ± is half the 95 % interval of the mean over seeds (Student's t)."]
    parts += papers_form(summary["conditions"], summary["settings"].get("encoder", "the encoder"))
    for condition in summary["conditions"]:
        parts += condition_text(condition)
    parts += [_heat_text(one) for one in summary["heat_maps"]]
    parts += [_encoder_text(one) for one in summary["encoder_maps"]]
    if summary["agreement"] is not None:
        parts += ["## Probe and fine-tuning", agreement_text(summary["agreement"])]
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
            parts.append(
                _table(f"points above {bar}", condition, sizes, lambda one, bar=bar: points(one["against"].get(bar)))
            )
    parts.append(_table("distinct origins", condition, sizes, lambda one: f"{one['origins']['mean']:.2f}"))
    parts.append(_table("s to select + train", condition, sizes, _seconds))
    return parts


def agreement_text(found: Mapping[str, Any]) -> str:
    """Return in words how the probe and fine-tuning agree."""
    parts = [f"{found['cells']:,} cells have both"]
    rank, order, difference = found["rank_correlation"], found["order_of_methods"], found["difference"]
    if rank is None:
        parts.append("too few to correlate")
    else:
        parts.append(f"Spearman's rank correlation over all of them {rank:.2f}")
    if order["groups"]:
        parts.append(
            f"between methods within a size and condition {order['rank_correlation']:.2f} "
            f"(mean over {order['groups']:,} of them)"
        )
    spread = "" if difference["deviation"] is None else f", standard deviation {100 * difference['deviation']:.1f}"
    parts.append(f"fine-tuning minus probe {100 * difference['mean']:+.1f} points on average{spread}")
    return "; ".join(parts) + "."


def interval(found: Mapping[str, Any]) -> str:
    """Return ``0.684 ± 0.006``, or ``0.684`` of one seed."""
    half = "" if found["half"] is None else f" ± {found['half']:.3f}"
    return f"{found['mean']:.3f}{half}"


def points(difference: Mapping[str, Any] | None) -> str:
    """Return ``+1.3 ± 0.4 *`` of a difference in accuracy; the star: its interval leaves out 0."""
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
        seeds = max(len(one["seeds"]) for one in method["sizes"])
        if any(cells.values()):
            shown = [cells.get(size, "") for size in sizes] if method["name"] != "full" else [""] * len(sizes)
            rows.append([method["label"], str(seeds), *shown, cells[1.0] if method["name"] == "full" else ""])
    header = [title, "seeds", *(percent(size) for size in sizes), "all rows"]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return markdown(header, rows)


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


def _encoder_text(found: Mapping[str, Any]) -> str:
    rows = [
        [
            chooser,
            *(
                "" if a is None else f"{interval(a)} ({points(lead)}) / {origins['mean']:.2f}"
                for a, lead, origins in zip(accuracy, leads, shares, strict=True)
            ),
        ]
        for chooser, accuracy, leads, shares in zip(
            found["choosers"], found["accuracy"], found["lead"], found["origins"], strict=True
        )
    ]
    title = (
        f"## Who chooses: {learner(found)}, {found['condition']}, {percent(found['size'])} of the {found['share_of']}: "
        "accuracy (points above random-distinct) / distinct origins"
    )
    return title + "\n\n" + markdown(["chosen by", *found["labels"]], rows)


def learner(found: Mapping[str, Any]) -> str:
    """Return in words what was trained."""
    if found["via"] == "finetune":
        return f"{found['learner']} fine-tuned"
    return f"logistic regression on {found['learner']} features"
