"""The experiment as one HTML page: figures and tables, no script, no outside reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from ray_subsel.experiments.figures import Line, heat_map, line_chart
from ray_subsel.experiments.summary import paper_figures
from ray_subsel.experiments.tables import as_text, has_paper, percent

_STYLE = """
body { margin: 0; background: #f6f7f9; color: #16202c; font: 16px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px } h2 { font-size: 18px; margin-top: 36px }
figure { margin: 16px 0; background: #fff; border: 1px solid #dfe4ea; border-radius: 10px; padding: 10px }
svg { width: 100%; height: auto } .wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 14px 0 }
th, td { padding: 4px 10px; border-bottom: 1px solid #dfe4ea; text-align: left; white-space: nowrap }
"""
_SHOWN = ("graph-cut-keep", "graph-cut-doc2vec", "random")


def figures_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG figures of a summary by file name, without its ending."""
    figures: dict[str, str] = {}
    for number, condition in enumerate(summary["conditions"], start=1):
        kind = condition["redundancy"]["kind"]
        name = f"{number:02d}-{condition['via']}-{kind}"
        lines = _accuracy_lines(condition)
        if any(len(line.points) > 1 for line in lines):
            figures[f"accuracy-{name}"] = line_chart(
                f"Accuracy by subset size ({condition['via']}): {condition['name'].split(';')[0]}",
                f"subset size, % of the {condition['share_of']}",
                "accuracy, 95 % interval over seeds",
                lines,
                level=_everything(condition),
            )
            figures[f"time-{name}"] = line_chart(
                f"Accuracy by time ({condition['via']}): {condition['name'].split(';')[0]}",
                "seconds to embed, select and train",
                "accuracy",
                _time_lines(condition),
                level=_everything(condition),
            )
    for number, found in enumerate(summary["heat_maps"], start=1):
        name = f"{number:02d}-{found['method']}-{found['kind']}"
        rows, columns = [percent(density) for density in found["densities"]], list(found["lams"])
        for what, form in (("accuracy", "{:.3f}"), ("copies", "{:.0%}")):
            title = (
                f"{found['label']}, {found['kind']} copies: {'share of copies picked' if what == 'copies' else what}"
            )
            figures[f"{what}-{name}"] = heat_map(
                title, "λ", "copies among all rows", columns, rows, found[what], form=form
            )
    return figures


def _everything(condition: Mapping[str, Any]) -> tuple[str, float] | None:
    full = [method for method in condition["methods"] if method["name"] == "full"]
    return ("everything", full[0]["sizes"][0]["accuracy"]["mean"]) if full else None


def _accuracy_lines(condition: Mapping[str, Any]) -> list[Line]:
    lines = [
        Line(
            method["label"],
            tuple((100 * one["size"], one["accuracy"]["mean"], one["accuracy"]["half"]) for one in method["sizes"]),
        )
        for method in condition["methods"]
        if method["name"] != "full"
    ]
    if has_paper(condition):
        paper = paper_figures()
        for name in _SHOWN:
            points = zip(paper["sizes"], paper["accuracy"][name], strict=True)
            lines.append(Line(f"paper: {name}", tuple((100 * x, y, None) for x, y in points), dashed=True))
    return lines


def _time_lines(condition: Mapping[str, Any]) -> list[Line]:
    return [
        Line(
            method["label"],
            tuple(
                (
                    (one["seconds_embed"] or 0.0) + one["seconds_select"] + one["seconds_train"],
                    one["accuracy"]["mean"],
                    None,
                )
                for one in method["sizes"]
            ),
        )
        for method in condition["methods"]
        if method["name"] != "full"
    ]


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
        if block.startswith("## "):
            parts.append(f"<h2>{escape(block[3:])}</h2>")
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
