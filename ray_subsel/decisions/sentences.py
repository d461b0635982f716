"""Say in two or three sentences what became of a row, with the texts side by side."""

from __future__ import annotations

import textwrap

from ray_subsel.decisions.lookup import Decision
from ray_subsel.decisions.status import CHOSEN, REJECTED

SHOWN = 600
"""Characters of a text."""


def explain(decision: Decision, width: int = 100) -> str:
    """Return the sentences, and both texts in two columns of ``width`` characters together."""
    own = "" if decision.source_id is None else f" ({decision.source_id})"
    sentences = [
        f"Row {decision.id}{own}: {decision.status}.",
        f"{decision.reason[:1].upper()}{decision.reason[1:]}.",
        _third(decision),
    ]
    lines = [" ".join(one for one in sentences if one)]
    if decision.text:
        beside = "" if decision.beside is None else f"row {decision.beside}"
        lines += _columns((f"row {decision.id}", decision.text), (beside, decision.other or ""), width)
    return "\n".join(lines)


def _third(decision: Decision) -> str:
    if decision.status == REJECTED:
        return "It was never a candidate; rejected.parquet has its file and line."
    if decision.status == CHOSEN:
        return f"It is line {decision.line} of subset.parquet."
    if decision.nearest_chosen is None:
        return ""
    if decision.of is not None:
        cosine = decision.nearest_cosine or 0.0
        return f"The chosen row nearest to it is row {decision.nearest_chosen} (cosine {cosine:.2f})."
    return ""


def _columns(left: tuple[str, str], right: tuple[str, str], width: int) -> list[str]:
    """Return two texts side by side, each under its title; one alone in the whole width."""
    if not right[1]:
        return ["", left[0], *textwrap.wrap(_shown(left[1]), width)]
    half = (width - 3) // 2
    columns = [[title, *textwrap.wrap(_shown(text), half)] for title, text in (left, right)]
    rows = max(len(column) for column in columns)
    first, second = ([*column, *[""] * (rows - len(column))] for column in columns)
    return ["", *[f"{one:<{half}} | {other}".rstrip() for one, other in zip(first, second, strict=True)]]


def _shown(text: str) -> str:
    """Return the beginning of a text without what a terminal would obey."""
    plain = "".join(one if one.isprintable() or one in "\n\t" else " " for one in text)
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"
