"""Render an update's report.json as report.html: what left, what came, and where all rows lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template

from ray_subsel.report.map import map_of, map_script
from ray_subsel.report.numbers import count
from ray_subsel.report.page import stage_times
from ray_subsel.report.templates import template


def render_update(report: Mapping[str, Any], points: Mapping[str, Sequence[Any]] | None = None) -> str:
    """Return the page that shows an update.

    Parameters
    ----------
    report : mapping
        What ``report.json`` of an update holds.
    points : mapping of str to sequence, optional
        The columns of ``map.parquet``.

    Returns
    -------
    str
        A whole HTML document without outside references, as :func:`ray_subsel.report.render_html` writes.
    """
    renew, items = report["renew"], (report.get("map") or {}).get("items")
    changes = list(renew["changes"])
    return _template().render(
        map=None if points is None else map_of(points, items or len(points["id"])),
        number=f"{report['update']:04d}",
        verdict=_verdict(report),
        created=report.get("created") or "",
        command=report.get("command") or "",
        warnings=list(renew.get("warnings") or []),
        tiles=_tiles(report),
        changes=changes,
        more=renew["left"] + renew["came"] - len(changes),
        statuses=sorted(renew["statuses"].items(), key=lambda pair: -pair[1]),
        seconds=stage_times(report),
        count=count,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    script, digest = map_script()
    parts = ("head.html", "macros.html", "top.html", "map.html", "statuses.html")
    return template("update.html", *parts, map_script=script, map_script_hash=digest)


def _verdict(report: Mapping[str, Any]) -> str:
    """Return what the update changed, in one sentence."""
    renew, new = report["renew"], (report.get("corpus") or {}).get("rows") or 0
    brought = f"with {count(new)} new rows" if new else "without new rows"
    return (
        f"{count(renew['chosen'])} of {count(renew['items'])} items are chosen {brought}: {count(renew['left'])} left, "
        f"{count(renew['came'])} came."
    )


def _tiles(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the key numbers as (name, value, what it means)."""
    renew, join, corpus = report["renew"], report.get("join"), report.get("corpus")
    tiles = [
        ("Chosen", count(renew["chosen"]), f"of {count(renew['items'])} items; {count(renew['chosen_before'])} before")
    ]
    if corpus:
        tiles.append(("New rows", count(corpus["rows"]), f"{count(corpus['rejected'])} rejected"))
    if join:
        copies = join["joined_old"] + join["joined_new"]
        tiles.append(
            ("Copies", count(copies), f"new items that joined others, {count(join['joined_old'])} of them old ones")
        )
    if withdrawn := renew["items_withdrawn"] + renew["withdrawn_before"]:
        tiles.append(
            ("Withdrawn", count(withdrawn), f"items, {count(renew['items_withdrawn'])} of them by this update")
        )
    return tiles
