"""Write the experiment as one HTML page: figures and tables, no script, no outside reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ray_subsel.experiments.embedder_choices import OWN
from ray_subsel.experiments.figures import COLORS, GREY, INK, Line, heat_map, line_chart, scatter
from ray_subsel.experiments.forms import percent
from ray_subsel.experiments.methods import METHODS, method_named
from ray_subsel.experiments.paper_figures import NAMES, has_paper, paper_figures, published_times
from ray_subsel.experiments.tables import as_text, learner, points

_STYLE = """
body { margin: 0; background: #f6f7f9; color: #16202c; font: 16px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px } h2 { font-size: 18px; margin-top: 36px } h3 { font-size: 15px; margin: 24px 0 0 }
figure { margin: 16px 0; background: #fff; border: 1px solid #dfe4ea; border-radius: 10px; padding: 10px }
figure > svg { width: 100%; height: auto } .wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 14px 0 }
th, td { padding: 4px 10px; border-bottom: 1px solid #dfe4ea; text-align: left; white-space: nowrap }
"""
BAND_SEEDS = 3
"""The interval of two seeds, 12.7 standard errors wide, would hide the lines; the tables have it."""
_SHOWN = ("graph-cut-keep", "graph-cut-doc2vec", "random")


def figures_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG figures of a summary by file name, without its ending."""
    figures: dict[str, str] = {}
    for number, condition in enumerate(summary["conditions"], start=1):
        lines = _lines(condition, lambda one: (100 * one["size"], one["accuracy"]["mean"], _band(one)))
        if not any(len(line.points) > 1 for line in lines):
            continue
        name = f"{number:02d}-{condition['via']}-{condition['redundancy']['kind']}"
        via, about = _VIA[condition["via"]], condition["name"].split(";")[0]
        figures[f"accuracy-{name}"] = line_chart(
            f"Accuracy by subset size, {via}: {about}",
            f"subset size, % of the {condition['share_of']}",
            f"accuracy; bands: 95 % interval, from {BAND_SEEDS} seeds on",
            [*lines, *_paper_by_size(condition, lines)],
            level=_everything(condition),
        )
        if condition["via"] == "probe":
            continue  # its features take longer than all the rest, and are there before anything is chosen
        times = _lines(condition, lambda one: (_seconds(one), one["accuracy"]["mean"], None))
        figures[f"time-{name}"] = line_chart(
            f"Accuracy by time, {via}: {about}",
            "seconds to embed, select and train",
            "accuracy",
            [*times, *_full_by_time(condition), *_paper_by_time(condition, times)],
            level=_everything(condition),
            log_x=True,
        )
    figures.update(_heat_figures(summary["heat_maps"]))
    figures.update(_encoder_figures(summary["encoder_maps"]))
    if summary["agreement"] is not None:
        figures["agreement"] = _agreement(summary["agreement"])
    return figures


_VIA = {"probe": "probe", "finetune": "fine-tuning"}


def _heat_figures(maps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    figures = {}
    for number, found in enumerate(maps, start=1):
        name = f"{number:02d}-{found['method']}-{found['kind']}"
        rows, columns = [percent(density) for density in found["densities"]], list(found["lams"])
        about = f"{found['label']}; {found['kind']} copies, {percent(found['size'])} of the {found['share_of']}"
        draws = _draws(found)
        known = [
            a for one in maps if one["via"] == found["via"] for row in one["accuracy"] for a in row if a is not None
        ]
        figures[f"accuracy-{name}"] = heat_map(
            f"Accuracy ({_VIA[found['via']]}, {draws}): {about}", "λ", "copies among all rows", columns, rows,
            found["accuracy"], span=(min(known), max(known)),
        )  # fmt: skip
        figures[f"copies-{name}"] = heat_map(
            f"Picks that repeat another pick ({draws}): {about}", "λ", "copies among all rows", columns, rows,
            found["copies"], span=(0.0, 1.0), form="{:.0%}",
        )  # fmt: skip
    return figures


def _draws(found: Mapping[str, Any]) -> str:
    return "1 draw" if found["seeds"] == 1 else f"{found['seeds']} draws"


def _encoder_figures(maps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    figures = {}
    for number, found in enumerate(maps, start=1):
        name = f"{number:02d}-{found['via']}-{found['kind']}"
        about = f"{found['kind']} copies, {percent(found['size'])} of the {found['share_of']}, {_draws(found)}"
        axes = ("whose vectors choose", found["labels"], found["choosers"])
        means = {
            what: [[one and one["mean"] for one in row] for row in found[what]] for what in ("accuracy", "origins")
        }
        known = [value for row in means["accuracy"] for value in row if value is not None]
        bar = found["random_distinct"]
        below = f"below: points above random rows, exact copies collapsed ({bar['mean']:.3f})" if bar else "how"
        figures[f"choosers-{name}"] = heat_map(
            f"Accuracy of {learner(found)}; {about}", below, *axes, means["accuracy"], span=(min(known), max(known)),
            notes=[[points(lead) for lead in row] for row in found["lead"]],
        )  # fmt: skip
        figures[f"choosers-origins-{name}"] = heat_map(
            f"Distinct origins among the chosen; {about}", "how", *axes, means["origins"],
            span=(0.0, 1.0), form="{:.0%}",
        )  # fmt: skip
    return figures


def _agreement(found: Mapping[str, Any]) -> str:
    methods = list(dict.fromkeys(point["method"] for point in found["points"]))
    groups = [
        Line(
            method_named(name).label,
            tuple((point["probe"], point["finetune"], None) for point in found["points"] if point["method"] == name),
            color=color,
        )
        for name, color in _colors(methods).items()
    ]
    title = f"Probe and fine-tuning on the {found['cells']:,} cells that have both"
    return scatter(title, "accuracy of the probe", "accuracy after fine-tuning", groups)


def _everything(condition: Mapping[str, Any]) -> tuple[str, float] | None:
    full = [method for method in condition["methods"] if method["name"] == "full"]
    return ("everything", full[0]["sizes"][0]["accuracy"]["mean"]) if full else None


def _lines(
    condition: Mapping[str, Any], point: Callable[[Mapping[str, Any]], tuple[float, float, float | None]]
) -> list[Line]:
    colors = _colors(method["name"] for method in condition["methods"])
    return [
        Line(method["label"], tuple(point(one) for one in method["sizes"]), color=colors[method["name"]])
        for method in condition["methods"]
        if method["name"] != "full" and method["chooser"] == OWN
    ]


def _colors(names: Iterable[str]) -> dict[str, str]:
    """Return a color each; that of a method without a lambda of its own is the same in all figures, and no other's."""
    names = list(names)
    chosen = ["auto", *(name for name in METHODS if name not in ("auto", "full"))]
    order = [*chosen, *(name for name in names if name not in METHODS)]
    return {name: INK if name == "full" else COLORS[order.index(name) % len(COLORS)] for name in names}


def _band(one: Mapping[str, Any]) -> float | None:
    return one["accuracy"]["half"] if len(one["seeds"]) >= BAND_SEEDS else None


def _seconds(one: Mapping[str, Any]) -> float:
    return float((one["seconds_embed"] or 0.0) + one["seconds_select"] + one["seconds_train"])


def _full_by_time(condition: Mapping[str, Any]) -> list[Line]:
    return [
        Line("everything, at its time", ((_seconds(one), one["accuracy"]["mean"], None),), color=INK)
        for method in condition["methods"]
        if method["name"] == "full"
        for one in method["sizes"]
    ]


def _paper_by_size(condition: Mapping[str, Any], ours: Sequence[Line]) -> list[Line]:
    if not has_paper(condition):
        return []
    paper = paper_figures()
    lines = [_theirs(name, zip(paper["sizes"], paper["accuracy"][name], strict=True), ours, 100) for name in _SHOWN]
    (full,) = paper["accuracy"]["full"]
    return [*lines, _theirs("full", [(size, full) for size in (paper["sizes"][0], paper["sizes"][-1])], ours, 100)]


def _paper_by_time(condition: Mapping[str, Any], ours: Sequence[Line]) -> list[Line]:
    if not has_paper(condition):
        return []
    return [_theirs(name, published_times(name), ours, 1) for name in ("graph-cut-keep", "full")]


def _theirs(name: str, points: Iterable[tuple[float, float]], ours: Sequence[Line], factor: float) -> Line:
    """Return the paper's line in the color of ours."""
    color = {line.name: line.color for line in ours}.get(METHODS[name].label, GREY)
    return Line(f"paper: {NAMES[name]}", tuple((factor * x, y, None) for x, y in points), dashed=True, color=color)


def render_page(summary: Mapping[str, Any]) -> str:
    """Return the page."""
    figures = "".join(f"<figure>{svg}</figure>" for svg in figures_of(summary).values())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Experiment</title><style>{_STYLE}</style></head><body><main><h1>Experiment</h1>"
        f"{figures}{_html(as_text(summary))}</main></body></html>\n"
    )


def _html(markdown: str) -> str:
    """Return our own Markdown (headings, tables, sentences) as HTML."""
    parts = []
    for block in re.split(r"\n\n+", markdown.strip()):
        if block.startswith("#"):
            level, _, title = block.partition(" ")
            parts.append(f"<h{len(level)}>{escape(title)}</h{len(level)}>")
        elif block.startswith("| "):
            header, _, *rows = block.split("\n")
            head = "".join(f"<th>{escape(cell)}</th>" for cell in _cells(header))
            body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in _cells(row)) + "</tr>" for row in rows)
            parts.append(f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>')
        else:
            parts.append(f"<p>{escape(block)}</p>")
    return "".join(parts)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row[2:-2].split(" | ")]
