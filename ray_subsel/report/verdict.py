"""Word the report's one-sentence verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_subsel.report.numbers import count, is_clear, percent

ARM_NAMES = {
    "subset": "chosen subset",
    "random": "random rows",
    "random-dedup": "random distinct rows",
    "full": "all rows",
}
"""What an arm is called where people read it."""


def verdict(report: Mapping[str, Any]) -> str:
    """Return what the run found, in one sentence that claims no more than the figures bear."""
    corpus, selection = report.get("corpus") or {}, report.get("selection")
    if not selection:
        return f"{count(corpus.get('rows'))} rows were read and embedded; nothing has been selected yet."
    training = report.get("training") or {}
    accuracy = {arm["arm"]: arm["accuracy"] for arm in training.get("arms") or []}
    chosen = f"{count(selection.get('k'))} of {_whole(report)}{_groups(selection)}"
    if "subset" not in accuracy:
        return f"{chosen} were chosen{_covering(report)}."
    if "full" in accuracy and accuracy["full"] > 0:
        return _kept(chosen, accuracy, int(training.get("test_rows") or 0))
    rows = int(training.get("test_rows") or 0)
    text = f"Trained on {chosen}, the model is right on {percent(accuracy['subset'])} of {count(rows)} test rows"
    others = [arm for arm in ARM_NAMES if arm in accuracy and arm != "subset"]
    compared = [_compared(accuracy["subset"], accuracy[arm], arm, rows) for arm in others]
    return f"{text}{'; ' if compared else ''}{', '.join(compared)}."


def _groups(selection: Mapping[str, Any]) -> str:
    """Return from how many groups it was chosen, where each was chosen from on its own."""
    if selection.get("per") is None:
        return ""
    return f" in {count(selection['limits']['n_groups'])} groups of {selection['per']}"


def _whole(report: Mapping[str, Any]) -> str:
    """Return what was chosen from: rows, or items where rows were not counted."""
    selection, corpus = report.get("selection") or {}, report.get("corpus") or {}
    if corpus.get("rows") is not None:
        return f"{count(corpus['rows'])} rows"
    return f"{count(selection.get('n', corpus.get('items')))} items"


def _covering(report: Mapping[str, Any]) -> str:
    """Return how near the chosen rows come to all, beside random ones."""
    near_to = (report.get("profile") or {}).get("coverage")
    if not near_to:
        return ""
    chosen, random = near_to["chosen"][-1], near_to["random"][-1]
    return f": a distinct row finds one of cosine {chosen:.2f} among them on average, among random rows {random:.2f}"


def _kept(chosen: str, accuracy: Mapping[str, float], rows: int) -> str:
    """Return the share of the accuracy of all rows that the subset keeps, and others beside it."""
    full = accuracy["full"]
    doubt = "" if is_clear(accuracy["subset"], full, rows) else ", level with all as far as chance allows"
    text = f"{chosen} keep {percent(accuracy['subset'] / full)} of the accuracy of all rows{doubt}"
    others = [
        f"{ARM_NAMES[arm]} {percent(accuracy[arm] / full)}" for arm in ("random", "random-dedup") if arm in accuracy
    ]
    return f"{'; '.join([text, *others])} ({count(rows)} test rows)."


def _compared(subset: float, other: float, arm: str, rows: int) -> str:
    doubt = "" if subset == other or is_clear(subset, other, rows) else ", a difference within chance"
    return f"{ARM_NAMES[arm]} reach {percent(other)}{doubt}"
