"""Lay out the report's charts, in shares of the plot so that they scale with the page.

Lines are SVG without text, stretched to the plot; labels are HTML beside it and keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ray_subsel.report.numbers import count, percent

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


@dataclass(frozen=True)
class Series:
    """A line of a plot: its points, the band around them where there is one, and its points one by one, in shares."""

    name: str
    points: str
    band: str
    dots: tuple[tuple[float, float], ...]
    kind: str = ""


@dataclass(frozen=True)
class Plot:
    """Several lines over a logarithmic axis of counts: SVG coordinates, and both axes."""

    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    level: float | None
    width: int = WIDTH
    height: int = HEIGHT


Points = Sequence[tuple[float, float, float | None]]


def plot(lines: Sequence[tuple[str, str, Points]], level: float | None = None) -> Plot:
    """Return the plot of (name, kind, points) lines; a point is a count above 0, a share, and half its interval.

    Parameters
    ----------
    lines : sequence
        At least one, with at least one point each. The axis of counts is logarithmic; the other shows per cent.
    level : float, optional
        A share that is drawn across the plot.
    """
    points = [point for _, _, line in lines for point in line]
    first, last = min(x for x, _, _ in points), max(x for x, _, _ in points)
    spread = math.log(last / first) or 1.0
    ends = [y + sign * (half or 0.0) for _, y, half in points for sign in (-1, 1)] + ([] if level is None else [level])
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    margin = 0.04 * (high - low) or 0.01
    low, high = max(0.0, low - margin), min(1.0, high + margin)

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / first) / spread
        return round(WIDTH * across, 1), round(HEIGHT * (high - min(max(y, low), high)) / (high - low), 1)

    def joined(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)

    series = []
    for name, kind, line in lines:
        ordered = sorted(line)
        middle = [place(x, y) for x, y, _ in ordered]
        banded = len(ordered) > 1 and all(half is not None for _, _, half in ordered)
        band = [place(x, y + (h or 0.0)) for x, y, h in ordered] + [
            place(x, y - (h or 0.0)) for x, y, h in ordered[::-1]
        ]
        dots = tuple((round(100 * x / WIDTH, 2), round(100 * y / HEIGHT, 2)) for x, y in middle)
        series.append(Series(name, joined(middle), joined(band) if banded else "", dots, kind))
    rows = [value for value in nice_ticks(low, high) if low <= value <= high]
    counts = sorted({x for x, _, _ in points})
    shown: list[float] = []
    for x in counts:  # none that would lie on the one before it
        if not shown or math.log(x / shown[-1]) / spread > 0.06:
            shown.append(x)
    return Plot(
        series=tuple(series),
        x_ticks=tuple(Tick(math.log(x / first) / spread, count(x)) for x in shown),
        y_ticks=tuple(Tick((value - low) / (high - low), percent(value, digits=0)) for value in rows),
        level=None if level is None else place(first, level)[1],
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
