"""Summarize report.json in the few lines that the terminal shows at the end of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray_subsel.core.uris import inside
from ray_subsel.report.numbers import wilson


def summary_text(report: Mapping[str, Any], out: str) -> str:
    """Return the lines of a report, without the last one's end: the result, what became of other rows, warnings, files.

    ``out`` is the directory of the run.
    """
    lines = [*_chosen(report), *_arms(report), *_others(report)]
    lines += [f"warning   {warning}" for warning in report["warnings"]]
    lines += time_lines(report)
    if report["selection"]:
        why = f"; why: {inside(out, 'decisions.parquet')}" if report.get("statuses") else ""
        lines.append(f"rows      {inside(out, 'subset.parquet')}{why}")
    lines.append(f"report    {inside(out, 'report.html')}")
    return "\n".join(lines)


def time_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what each stage took: of the last start, and of those before where it went on with what they did."""
    earlier, resumed = (report.get(name) or () for name in ("earlier", "resumed"))
    now: list[str] = []
    before: list[str] = []
    for stage, seconds in report["seconds"].items():
        said = f"{'last part of ' if stage in resumed else ''}{stage} {seconds:.1f} s"
        (before if stage in earlier else now).append(said)
    lines = [f"time      {', '.join(now)}"]
    return [*lines, f"before    {', '.join(before)}, by earlier starts"] if before else lines


def _chosen(report: Mapping[str, Any]) -> list[str]:
    """Return what was chosen, and what it is worth."""
    selection = report["selection"]
    if not selection:
        return []
    if selection.get("per") is not None:
        near = f", {selection['near_collapsed']:,} near copies collapsed" if selection["near_collapsed"] else ""
        lines = [
            f"selected  {selection['k']:,} of {selection['n']:,} items{near}, in each of "
            f"{selection['limits']['n_groups']:,} groups of {selection['per']}",
            *_stages(selection),
        ]
        if told := (selection.get("groups") or {}).get("cosine"):
            lines.append(
                f"coverage  mean cosine of a row to the nearest chosen one of its group {told[1]:.3f} in the middle "
                f"group, below {told[0]:.3f} in a quarter of them"
            )
        return lines
    chance, lift = selection["random_value"], selection["lift_over_random"]
    # A percentage of a negative expectation would only puzzle.
    better = f" ({round(lift, 3) + 0.0:+.1%})" if lift is not None and chance > 0 else ""
    expected = " expected" if selection["random_is_expected"] else " in one draw"
    lines = [
        f"selected  {selection['k']:,} of {selection['n']:,} items, f = {selection['value']:,.1f}; "
        f"random items: {chance:,.1f}{expected}{better}"
    ]
    lines += _stages(selection)
    if near_to := (report.get("profile") or {}).get("coverage"):
        lines.append(
            f"coverage  mean cosine of a distinct row to the nearest chosen one {near_to['chosen'][-1]:.3f}, "
            f"to the nearest of as many random rows {near_to['random'][-1]:.3f}"
        )
    return [*lines, *_limits(selection["limits"]), *_aims(selection)]


def _stages(selection: Mapping[str, Any]) -> list[str]:
    """Return how many rows each stage has."""
    rows = [f"{stage['rows']:,}" for stage in selection.get("stages") or ()]
    return [f"stages    {' + '.join(rows)} rows, in stages/"] if rows else []


def _arms(report: Mapping[str, Any]) -> list[str]:
    """Return what was trained."""
    return [
        f"{arm['arm']:<13} {arm['n']:>7,} rows  accuracy {arm['accuracy']:.4f}  trained in {arm['seconds_train']:.1f} s"
        for arm in (report["training"] or {}).get("arms", [])
    ]


def _others(report: Mapping[str, Any]) -> list[str]:
    """Return what was read, and what was left out before anything was chosen."""
    corpus, lines = report["corpus"], []
    distinct = f"; {corpus['rows'] - corpus['duplicate_rows']:,} distinct" if "duplicate_rows" in corpus else ""
    lines.append(
        f"read      {corpus['rows_read']:,} rows, {corpus['rejected']:,} rejected, "
        f"{corpus['augmented']:,} copies added{distinct}"
    )
    if against := report.get("against"):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in against["kinds"].items())
        sets = ", ".join(os.path.basename(one["name"].rstrip("/")) for one in against["sets"])
        lines.append(f"left out  {against['rows']:,} rows that repeat {sets} ({kinds}), see contaminated.parquet")
    if drop := report.get("drop"):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in drop["kinds"].items())
        lines.append(f"dropped   {drop['items']:,} doubtful items ({kinds}), see dropped.parquet")
    if near := report["near"]:
        lines.append(
            f"collapsed {near['near_collapsed']:,} near copies (cosine >= {near['threshold']:g}), {near['kept']:,} left"
            f"{recall_note(near)}; groups/ has who joined whom"
        )
    return lines


def _aims(selection: Mapping[str, Any]) -> list[str]:
    """Return what the terminal shows of a target and of quality: what the chosen have of them, and all items."""
    lines = []
    if target := selection.get("target"):
        lines.append(
            f"target    {target['queries']:,} queries, weight {target['weight']:g}; greatest similarity to them: "
            f"chosen {target['greatest']['chosen']:.3f}, all {target['greatest']['all']:.3f}; mean similarity: chosen "
            f"{target['mean']['chosen']:.3f}, all {target['mean']['all']:.3f}"
        )
    if quality := selection.get("quality"):
        lines.append(
            f"quality   weight {quality['weight']:g} of {quality['unit']:,.6g}; mean rank from 0 to 1: chosen "
            f"{quality['rank']['chosen']:.3f}, all {quality['rank']['all']:.3f}"
        )
    if parts := selection.get("value_parts"):
        lines.append(f"value     {', '.join(f'{name} {value:,.1f}' for name, value in parts.items())}")
    return lines


def recall_note(near: Mapping[str, Any]) -> str:
    """Return how surely near copies were found, after what was: nothing in reports of versions that did not tell."""
    if near.get("recall") is not None:
        said = f"; recall {near['recall']:.2%} on a sample of {near['recall_sample']:,}"
        if not near.get("recall_of"):
            return said
        low, high = wilson(near["recall"], near["recall_of"])
        return f"{said}, {near['recall_of']:,} near copies in it: {low:.2%} to {high:.2%}"
    return "; all pairs compared" if near.get("exact") else ""


def _limits(limits: Mapping[str, Any] | None) -> list[str]:
    """Return what the terminal shows of limits: that they hold, in figures."""
    if limits is None:
        return []
    parts = [f"{limits[what]:,} {what}" for what in ("included", "excluded") if limits[what]]
    if "budget" in limits:
        parts.append(f"cost {limits['cost']:,.10g} of {limits['budget']:,.10g}")
    shown = [f"{one['group'] or '(none)'} {one['chosen']:,}{_bounds(one)}" for one in limits.get("groups", [])[:8]]
    if shown:
        more = ", ..." if limits["n_groups"] > len(shown) else ""
        parts.append(f"groups: {', '.join(shown)}{more}")
    return [f"limits    {'; '.join(parts)}"] if parts else []


def _bounds(group: Mapping[str, Any]) -> str:
    """Return the least and the most that a group may have, where either is given."""
    bounds = (("at least", group.get("floor")), ("at most", group.get("quota")))
    told = [f"{words} {number:,}" for words, number in bounds if number]
    return f" ({', '.join(told)})" if told else ""
