"""Word the report's one-sentence verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_subsel.report.numbers import amount, count, is_clear, percent

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
    chosen = f"{count(selection.get('k'))} of {count(_items(report))} items"
    if "subset" not in accuracy:
        return f"{chosen} were chosen{_against_random(selection)}."
    rows = int(training.get("test_rows") or 0)
    text = f"Trained on {chosen}, the model is right on {percent(accuracy['subset'])} of {count(rows)} test rows"
    others = [arm for arm in ARM_NAMES if arm in accuracy and arm != "subset"]
    compared = [_compared(accuracy["subset"], accuracy[arm], arm, rows) for arm in others]
    return f"{text}{'; ' if compared else ''}{', '.join(compared)}."


def _items(report: Mapping[str, Any]) -> float | None:
    selection, corpus = report.get("selection") or {}, report.get("corpus") or {}
    found = selection.get("n", corpus.get("items"))
    return None if found is None else float(found)


def _against_random(selection: Mapping[str, Any]) -> str:
    lift = selection.get("lift_over_random")
    if lift is None:
        return ""
    if float(selection.get("random_value") or 0.0) <= 0:
        # A share of a negative number reads as its opposite.
        reached, expected = amount(selection.get("value")), amount(selection.get("random_value"))
        return f", with f = {reached} against {expected} of a random subset"
    side = "above" if lift >= 0 else "below"
    return f", with an objective {percent(abs(lift))} {side} a random subset's"


def _compared(subset: float, other: float, arm: str, rows: int) -> str:
    doubt = "" if subset == other or is_clear(subset, other, rows) else ", a difference within chance"
    return f"{ARM_NAMES[arm]} reach {percent(other)}{doubt}"
