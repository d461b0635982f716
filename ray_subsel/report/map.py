"""Put a map into the page: its points as JSON, under a limit of size."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ray_subsel.report.templates import text_of

BYTES = 4_000_000
"""Of the points together, so that a page stays under 5 MB."""

COLOURS = 10
"""Labels, or groups, that have a colour of their own: the most frequent."""

_TEXT_BYTES = 240
_LEAST_TEXT = 15


def map_of(points: Mapping[str, Sequence[Any]], items: int, limit: int = BYTES) -> dict[str, Any] | None:
    """Return what the page needs of a map.

    Parameters
    ----------
    points : mapping of str to sequence
        The columns of ``map.parquet``.
    items : int
        Of which the points are a sample.
    limit : int
        Bytes of the JSON; texts are cut until it fits.
    """
    n = len(points["id"])
    if n < 2:
        return None
    statuses = sorted(set(points["status"]), key=list(dict.fromkeys(points["status"])).index)
    code = {status: at for at, status in enumerate(statuses)}
    labels, label = _frequent(points["label"])
    groups, group = _frequent(points["group"])
    data = {
        "id": list(points["id"]),
        "own": list(points["source_id"]),
        "x": [round(1000 * one, 1) for one in points["x"]],
        "y": [round(1000 * one, 1) for one in points["y"]],
        "status": [code[status] for status in points["status"]],
        "statuses": statuses,
        "rank": list(points["rank"]),
        "nearest": list(points["nearest_chosen"]),
        "cosine": [None if one is None else round(100 * one) for one in points["nearest_cosine"]],
        "label": label,
        "labels": labels,
        "group": group,
        "groups": groups,
    }
    texts = [one or "" for one in points["text"]]
    most = min(_TEXT_BYTES, max(_LEAST_TEXT, limit // (2 * n)))
    while True:
        written = _escaped({**data, "text": [_cut(text, most) for text in texts]})
        if len(written.encode()) <= limit or most <= _LEAST_TEXT:
            break
        most = max(_LEAST_TEXT, most // 2)
    about = f"{n:,} of {items:,} distinct rows, drawn by a hash, the chosen first." if n < items else f"All {n:,} rows."
    return {
        "data": written,
        "about": about,
        "has_labels": any(one >= 0 for one in label),
        "has_groups": any(one >= 0 for one in group),
    }


def map_script() -> tuple[str, str]:
    """Return the one script that may run in a page, and the hash by which its policy lets it run."""
    script = text_of("map.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return script, digest


def _frequent(values: Sequence[str | None]) -> tuple[list[str], list[int]]:
    """Return the most frequent values, and for each value its place among them, -1 where it has none."""
    counts = Counter(value for value in values if value is not None)
    names = [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:COLOURS]]
    at = {name: place for place, name in enumerate(names)}
    return names, [-1 if value is None else at.get(value, -1) for value in values]


def _cut(text: str, most: int) -> str:
    """Return the beginning of a text, at most so many bytes of it, marked where it was cut."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


def _escaped(data: Any) -> str:
    """Return JSON that can end no script element, whatever the texts hold."""
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")
