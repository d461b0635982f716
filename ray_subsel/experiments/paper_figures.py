"""Compare the paper's own figures with ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ray_subsel.experiments.forms import markdown, percent
from ray_subsel.experiments.methods import METHODS

NAMES = {
    "full": "everything",
    "random": "random",
    "graph-cut-keep": "graph cut on BERT",
    "graph-cut-doc2vec": "graph cut on Doc2Vec",
}
"""The paper's words for the methods that it has."""


@lru_cache(maxsize=1)
def paper_figures() -> dict[str, Any]:
    """Return the published figures: shares of right answers and seconds, by method and size."""
    content: dict[str, Any] = json.loads((files("ray_subsel.experiments") / "paper.json").read_text(encoding="utf-8"))
    return content


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


def published_times(name: str) -> list[tuple[float, float]]:
    """Return (seconds to embed, compare, select and train; accuracy) of a method of which the paper has all of them."""
    paper = paper_figures()
    if name == "full":
        return list(zip(paper["seconds_train"]["full"], paper["accuracy"]["full"], strict=True))
    once = paper["seconds_embed"][name] + paper["seconds_similarity"][name]
    seconds = zip(paper["seconds_select"][name], paper["seconds_train"][name], strict=True)
    totals = [once + select + train for select, train in seconds]
    return list(zip(totals, paper["accuracy"][name], strict=True))


def beside_the_paper(condition: Mapping[str, Any]) -> list[str]:
    """Return tables of our means and, in brackets, the paper's figures; a dash where a cell has not been run."""
    return [
        _by_size("accuracy", "accuracy", condition, lambda value: f"{100 * value:.2f} %"),
        _by_size("time to train", "seconds_train", condition, lambda value: f"{value:.0f} s"),
        _by_size("time to select", "seconds_select", condition, lambda value: f"{value:.3f} s"),
        _once(condition),
        "No similarity matrix is made here: graph cut's gains come from sums and inner products of the vectors, within "
        "the time to select.",
        f"Source: {paper_figures()['source']}",
    ]


def _by_size(title: str, what: str, condition: Mapping[str, Any], form: Callable[[float], str]) -> str:
    paper = paper_figures()
    sizes = [*paper["sizes"], 1.0]
    rows = []
    for name, published in paper[what].items():
        theirs = dict(zip([1.0] if name == "full" else paper["sizes"], published, strict=True))
        ours = {one["size"]: one[what]["mean"] if what == "accuracy" else one[what] for one in _sizes(condition, name)}
        shown = [
            f"{form(ours[size]) if size in ours else '–'} ({form(theirs[size])})" if size in theirs else ""
            for size in sizes
        ]
        rows.append([METHODS[name].label, *shown])
    return markdown([f"{title}, ours (the paper's)", *(percent(size) for size in paper["sizes"]), "all rows"], rows)


def _once(condition: Mapping[str, Any]) -> str:
    paper = paper_figures()
    rows = []
    for name, embedding in paper["seconds_embed"].items():
        measured = [one["seconds_embed"] for one in _sizes(condition, name) if one["seconds_embed"] is not None]
        ours = f"{sum(measured) / len(measured):.1f} s" if measured else "–"
        similarity = paper["seconds_similarity"][name]
        rows.append([METHODS[name].label, f"{ours} ({embedding:.2f} s)", f"none ({similarity:.3f} s)"])
    return markdown(["once for all sizes, ours (the paper's)", "time to embed", "time for similarities"], rows)


def _sizes(condition: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next((one["sizes"] for one in condition["methods"] if one["name"] == name), [])
    return found
