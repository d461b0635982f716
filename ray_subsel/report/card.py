"""Write the data set card of a run: README.md, as the Hugging Face hub reads it, with counts, settings and hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CARD = "README.md"
SHOWN_SETTINGS = ("task", "text", "template", "embed", "vectors", "label", "group", "cost", "copies")


def render_card(report: Mapping[str, Any], subset_hash: str) -> str:
    """Return the card of a run that has selected.

    Parameters
    ----------
    report : mapping
        The content of report.json.
    subset_hash : str
        SHA-256 of subset.parquet.
    """
    corpus, selection = report["corpus"], report["selection"]
    config = report["config"]
    near = report.get("near")
    counts = [
        ("rows read", corpus["rows_read"]),
        ("rows that could not be used", corpus["rejected"]),
        ("copies added", corpus["augmented"]),
        ("distinct texts or vectors", corpus["rows"] - corpus.get("duplicate_rows", 0)),
        ("items to choose from", selection["n"]),
        ("near copies collapsed", near["near_collapsed"] if near else 0),
        ("chosen", selection["k"]),
    ]
    filled = [number for number, stage in enumerate(selection.get("stages") or (), start=1) if stage["rows"]]
    configs = [("default", "subset.parquet"), *((f"stage-{one}", f"stages/{one}.parquet") for one in filled)]
    front = {
        "configs": [{"config_name": name, "data_files": files} for name, files in configs],
        "tags": ["ray_subsel"],
    }
    lines = [
        "---",
        *(f"{name}: {json.dumps(value)}" for name, value in front.items()),
        "---",
        "",
        f"# {selection['k']:,} of {corpus['rows_read']:,} rows",
        "",
        f"Chosen by ray_subsel {report['versions'].get('ray-subsel', '')}: {_cell(selection['objective'])}, "
        f"mode {selection['mode']}. `subset.parquet` has the rows in rank order, `selection.parquet` the rank, gain "
        "and copies of each.",
        "",
        "| what | rows |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in counts),
        "",
        *_settings(config),
        "| file | rows | hash |",
        "|---|---|---|",
        *(f"| {_cell(one['path'])} | {one['rows']:,} | BLAKE2b {one['hash']} |" for one in corpus.get("inputs", ())),
        *_more_inputs(corpus),
        f"| subset.parquet | {selection['k']:,} | SHA-256 {subset_hash} |",
        "",
        *(f"- {_cell(warning)}" for warning in report["warnings"]),
        *([""] if report["warnings"] else []),
        "    " + " ".join(report["command"].split()),
        "",
    ]
    return "\n".join(lines)


def _more_inputs(corpus: Mapping[str, Any]) -> list[str]:
    more = corpus["files"] - len(corpus.get("inputs", ()))
    return [f"| {more:,} more | | in `rows/index.json` |"] if more else []


def _settings(config: Mapping[str, Any]) -> list[str]:
    """Return a table of the settings that say what was chosen from, and how."""
    corpus, select, embed = config.get("corpus") or {}, config.get("select") or {}, config.get("embed") or {}
    shown = {name: corpus.get(name) for name in SHOWN_SETTINGS}
    if corpus.get("task") != "chat":
        shown.pop("embed")
    shown["embedder"] = None if corpus.get("vectors") else embed.get("embedder")
    shown |= {name: value for name, value in select.items() if name not in ("to", "near_within")}
    told = [(name, value) for name, value in shown.items() if value not in (None, [], "", False)]
    return ["| setting | value |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in told), ""]


def _cell(value: Any) -> str:
    """Return a value for a cell of a table, on one line."""
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
