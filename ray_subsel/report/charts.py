"""Lay out the report's charts, in shares of the plot so that they scale with the page.

Lines are SVG without text, stretched to the plot; labels are HTML beside it and keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ray_subsel.report.numbers import count

WIDTH = 1000
HEIGHT = 400


@dataclass(frozen=True)
class Tick:
    """A label on an axis at ``share`` of its length, from the left or the bottom."""

    share: float
    label: str

    @property
    def y(self) -> float:
        """The line's place in the drawing, from the top."""
        return round(HEIGHT * (1 - self.share), 2)


@dataclass(frozen=True)
class Curve:
    """A line chart: SVG coordinates of its points, those of a second line beside it, and both axes."""

    points: str
    area: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    zero: float | None
    other: str = ""
    width: int = WIDTH
    height: int = HEIGHT


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten that cover ``low`` to ``high``, some ``wanted`` of them."""
    if not low < high:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / max(1, wanted - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]


def gain_curve(pairs: Sequence[Sequence[float]]) -> Curve | None:
    """Return the chart of (rank, gain) pairs, ranks from 0; None when there are none.

    The vertical axis always shows zero: where gains cross it is what the chart is for.
    """
    if not pairs:
        return None
    ranks = [float(rank) + 1 for rank, _ in pairs]
    gains = [float(gain) for _, gain in pairs]
    low, high = min(0.0, *gains), max(0.0, *gains)
    margin = 0.04 * (high - low) or 1.0
    low, high = (low - margin if low < 0 else 0.0), (high + margin if high > 0 or low == 0 else 0.0)
    rows = [value for value in nice_ticks(low, high) if low <= value <= high]
    first, last = ranks[0], max(ranks[-1], ranks[0] + 1)

    def place(rank: float, gain: float) -> str:
        x = WIDTH * (rank - first) / (last - first)
        y = HEIGHT * (high - gain) / (high - low)
        return f"{x:.1f},{y:.1f}"

    line = [place(rank, gain) for rank, gain in zip(ranks, gains, strict=True)]
    if len(line) == 1:
        line.append(place(last, gains[0]))
        ranks = [*ranks, last]
    area = [place(ranks[0], 0.0), *line, place(ranks[-1], 0.0)]
    columns = [value for value in nice_ticks(first, last, 6) if first < value <= last and value == round(value)]
    return Curve(
        points=" ".join(line),
        area=" ".join(area),
        x_ticks=(Tick(0.0, count(first)), *(Tick((v - first) / (last - first), count(v)) for v in columns)),
        y_ticks=tuple(Tick((value - low) / (high - low), _label(value)) for value in rows),
        zero=round(HEIGHT * high / (high - low), 2) if low < 0 < high else None,
    )


def coverage_curve(sizes: Sequence[int], chosen: Sequence[float], random: Sequence[float]) -> Curve | None:
    """Return the chart of the mean cosine to the nearest chosen item against k, with that of random items beside it."""
    if len(sizes) < 2:
        return None
    low = min(min(chosen), min(random, default=1.0))
    rows = [value for value in nice_ticks(low, 1.0, 6) if value <= 1.0]
    low, first, last = rows[0], float(sizes[0]), float(sizes[-1])

    def line(values: Sequence[float]) -> str:
        pairs = zip(sizes, values, strict=False)
        return " ".join(
            f"{WIDTH * (k - first) / (last - first):.1f},{HEIGHT * (1.0 - value) / (1.0 - low):.1f}"
            for k, value in pairs
        )

    columns = [value for value in nice_ticks(first, last, 6) if first < value <= last and value == round(value)]
    return Curve(
        points=line(chosen),
        area="",
        x_ticks=(Tick(0.0, count(first)), *(Tick((v - first) / (last - first), count(v)) for v in columns)),
        y_ticks=tuple(Tick((value - low) / (1.0 - low), _label(round(value, 6))) for value in rows),
        zero=None,
        other=line(random),
    )


def _label(value: float) -> str:
    return f"{value:,.6g}".replace("-", "−")


@dataclass(frozen=True)
class Bar:
    """One bar of a horizontal chart: its length and, where known, its interval, in per cent of the longest possible."""

    label: str
    value: str
    length: float
    note: str = ""
    kind: str = ""
    low: float | None = None
    high: float | None = None


def bars(rows: Sequence[tuple[str, float, str, str, str]]) -> tuple[Bar, ...]:
    """Return bars relative to the largest of (label, value, shown, note, kind)."""
    longest = max((value for _, value, *_ in rows), default=0.0) or 1.0
    return tuple(
        Bar(label=label, value=shown, length=round(100 * value / longest, 2), note=note, kind=kind)
        for label, value, shown, note, kind in rows
    )
