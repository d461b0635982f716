"""Compare the paper's own figures with ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ray_subsel.experiments.embedder_choices import OWN
from ray_subsel.experiments.forms import markdown, percent

NAMES = {
    "full": "everything",
    "random": "random",
    "graph-cut-keep": "graph cut on BERT",
    "graph-cut-doc2vec": "graph cut on Doc2Vec",
}
"""The paper's words for the methods that it has."""
SUBSETS = ("graph-cut-keep", "graph-cut-doc2vec", "random")
"""Those that choose, in the order of the paper's columns."""
Form = Callable[[float], str]


@lru_cache(maxsize=1)
def paper_figures() -> dict[str, Any]:
    """Return the published figures: shares of right answers and seconds, by method and size."""
    content: dict[str, Any] = json.loads((files("ray_subsel.experiments") / "paper.json").read_text(encoding="utf-8"))
    return content


def has_paper(condition: Mapping[str, Any]) -> bool:
    """Tell whether the paper's figures may be drawn with those of a condition: the paper's, by fine-tuning."""
    return condition["via"] == "finetune" and is_papers(condition)


def is_papers(condition: Mapping[str, Any]) -> bool:
    """Tell whether a condition is the paper's, however it is measured: all stories, doubled by exact copies."""
    redundancy = condition["redundancy"]
    return (
        condition["task"] == "story-cloze"
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


def papers_form(conditions: Sequence[Mapping[str, Any]], encoder: str) -> list[str]:
    """Return Tables 1 to 4 of the paper, ours beside its figures in brackets; a dash where a cell has not been run.

    Of the conditions that have been fine-tuned as the paper did; where there is none, of those that the probe measured.
    Empty where no condition is the paper's.

    Parameters
    ----------
    conditions : sequence of mapping
        As in a summary.
    encoder : str
        What stands in BERT's place here.
    """
    alike = [one for one in conditions if is_papers(one)]
    shown = [one for one in alike if one["via"] == "finetune"] or alike
    return [part for one in shown for part in _tables(one, encoder)]


def _tables(condition: Mapping[str, Any], encoder: str) -> list[str]:
    by = "fine-tuning" if condition["via"] == "finetune" else "the probe, not by fine-tuning as there"
    return [
        f"## Tables 1 to 4 of the paper, by {by}",
        f"Ours, with {encoder} in BERT's place; in brackets the paper's figures; – where nothing was run here.",
        *_titled(1, "training on everything", _everything(condition)),
        *_titled(2, "accuracy", _by_size(condition, "accuracy", _accuracy)),
        *_titled(3, "time to train", _by_size(condition, "seconds_train", _seconds)),
        *_titled(4, "seconds to embed, to compute similarities and to select", _preparing(condition)),
        "No similarity matrix is made here: graph cut's gains come from sums and inner products of the vectors, within "
        "the time to select. Embedding is done once for all sizes.",
        f"Source: {paper_figures()['source']}",
    ]


def _accuracy(value: float) -> str:
    return f"{100 * value:.2f} %"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _titled(number: int, title: str, table: str) -> list[str]:
    return [f"### Table {number}. {title[0].upper()}{title[1:]}", table]


def _everything(condition: Mapping[str, Any]) -> str:
    paper, ours = paper_figures(), _of(condition, "full").get(1.0)
    accuracy = _beside(_figure(ours, "accuracy"), paper["accuracy"]["full"][0], _accuracy)
    seconds = _beside(_figure(ours, "seconds_train"), paper["seconds_train"]["full"][0], _seconds)
    return markdown(["", "accuracy", "time to train"], [["everything", accuracy, seconds]])


def _by_size(condition: Mapping[str, Any], what: str, form: Form) -> str:
    """Return a table of sizes by methods."""
    paper = paper_figures()
    columns = []
    for name in SUBSETS:
        theirs = paper[what].get(name) or [None] * len(paper["sizes"])
        ours = _of(condition, name)
        values = [_figure(ours.get(size), what) for size in paper["sizes"]]
        columns.append([_beside(mine, other, form) for mine, other in zip(values, theirs, strict=True)])
    rows = [[percent(size), *cells] for size, *cells in zip(paper["sizes"], *columns, strict=True)]
    return markdown(["subset", *(NAMES[name] for name in SUBSETS)], rows)


def _preparing(condition: Mapping[str, Any]) -> str:
    """Return a table of sizes by what comes before training, of each method that embeds."""
    paper, rows = paper_figures(), []
    embedding = list(paper["seconds_embed"])
    for at, size in enumerate(paper["sizes"]):
        row = [percent(size)]
        for name in embedding:
            ours, selecting = _of(condition, name).get(size), paper["seconds_select"].get(name)
            row += [
                _beside(_figure(ours, "seconds_embed"), paper["seconds_embed"][name], lambda value: f"{value:.1f}"),
                f"{'–' if ours is None else 'none'} ({paper['seconds_similarity'][name]:.3f})",
                _beside(_figure(ours, "seconds_select"), selecting and selecting[at], lambda value: f"{value:.3f}"),
            ]
        rows.append(row)
    names = [NAMES[name].removeprefix("graph cut on ") for name in embedding]
    heads = [head for name in names for head in (f"{name}: embed", "similarities", "select")]
    return markdown(["subset", *heads], rows)


def _figure(ours: Mapping[str, Any] | None, what: str) -> float | None:
    """Return a figure of what was reached at a size, of accuracy the mean; None where nothing was run."""
    if ours is None or ours[what] is None:
        return None
    return float(ours[what]["mean"] if what == "accuracy" else ours[what])


def _beside(ours: float | None, theirs: float | None, form: Form) -> str:
    """Return our figure and the paper's in brackets; a dash for ours where there is none, nothing for theirs."""
    return ("–" if ours is None else form(ours)) + ("" if theirs is None else f" ({form(theirs)})")


def _of(condition: Mapping[str, Any], name: str) -> dict[float, dict[str, Any]]:
    """Return what a method has reached in a condition, by size."""
    own = [one for one in condition["methods"] if one["name"] == name and one["chooser"] == OWN]
    return {one["size"]: one for method in own for one in method["sizes"]}
