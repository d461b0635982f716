"""Draw charts as SVG files that stand alone: no script, no font file, no outside reference; all text is escaped."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from ray_subsel.report.charts import nice_ticks

FONTS = "system-ui, Segoe UI, Roboto, Helvetica, Arial, DejaVu Sans, Liberation Sans, sans-serif"
WIDTH, HEIGHT = 980, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 350, 46, 56
COLORS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#d4a106", "#06a5c4", "#e0379b", "#7f1d1d", "#94a3b8", "#84a31b",
          "#4338ca", "#0f766e")  # fmt: skip


BLUE, INK, GREY = "#0b6bcb", "#111827", "#64748b"
MARGIN = 0.25
"""How far a band may stretch an axis beyond the points, in spans of the points; what is wider is cut at the frame."""


@dataclass(frozen=True)
class Line:
    """A named line of points (x, y), each with half an interval or None.

    Attributes
    ----------
    name : str
    points : tuple of (float, float, float or None)
    dashed : bool
        For figures that are not ours: drawn behind the others.
    color : str, optional
        Default: by its place among the lines.
    """

    name: str
    points: tuple[tuple[float, float, float | None], ...]
    dashed: bool = False
    color: str | None = None


def colored(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with a color each."""
    return [replace(line, color=line.color or COLORS[i % len(COLORS)]) for i, line in enumerate(lines)]


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], *, level: tuple[str, float] | None = None,
    log_x: bool = False,
) -> str:  # fmt: skip
    """Return a chart of lines with their bands.

    Parameters
    ----------
    title, x_label, y_label : str
    lines : sequence of Line
        At least one, with at least one point each.
    level : (str, float), optional
        A named horizontal line: what everything gives.
    log_x : bool
        A logarithmic axis, where all x are positive and spread by more than a factor of 20.
    """
    lines = colored(lines)
    points = [point for line in lines for point in line.points]
    axes = _Axes([x for x, _, _ in points], _heights(points, level), log_x=log_x)
    parts = [*_frame(title, x_label, y_label), *axes.drawn(), _CLIP]
    if level:
        y = axes.y(level[1])
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{INK}" stroke-dasharray="2 4"/>'
        )
    for line in sorted(lines, key=lambda line: not line.dashed):  # behind the others; else the order stays
        parts += _line(axes, line)
    parts.append("</svg>")
    for number, line in enumerate(lines):
        parts += _legend(
            number, line.name, line.color or INK, dash="7 5" if line.dashed else "", dot=len(line.points) == 1
        )
    if level:
        parts += _legend(len(lines), level[0], INK, dash="2 4")
    return _svg(parts)


DOT = 4
"""More than the radius of a point: one that lies on an axis is shown whole."""

_CLIP_BOX = (LEFT - DOT, TOP - DOT, WIDTH - LEFT - RIGHT + 2 * DOT, HEIGHT - TOP - BOTTOM + 2 * DOT)
_CLIP = (
    f'<svg x="{_CLIP_BOX[0]}" y="{_CLIP_BOX[1]}" width="{_CLIP_BOX[2]}" height="{_CLIP_BOX[3]}" '
    f'viewBox="{" ".join(map(str, _CLIP_BOX))}">'
)
"""A drawing in the drawing, cut just outside the axes."""


def _heights(points: Sequence[tuple[float, float, float | None]], level: tuple[str, float] | None) -> list[float]:
    """Return heights that the axis must show: all points, and their bands unless these dwarf them."""
    ys = [y for _, y, _ in points] + ([level[1]] if level else [])
    low, high = min(ys), max(ys)
    room = MARGIN * (high - low) or 0.05
    bands = [y + sign * (half or 0.0) for _, y, half in points for sign in (-1, 1)]
    return [max(low - room, min(bands + ys)), min(high + room, max(bands + ys))]


def _line(axes: _Axes, line: Line) -> list[str]:
    ordered, color = sorted(line.points), line.color
    path = " ".join(f"{axes.x(x)},{axes.y(y)}" for x, y, _ in ordered)
    dash = ' stroke-dasharray="7 5" stroke-opacity="0.6"' if line.dashed else ""
    parts = []
    if any(half for _, _, half in ordered):
        upper = [f"{axes.x(x)},{axes.y(y + (half or 0.0))}" for x, y, half in ordered]
        lower = [f"{axes.x(x)},{axes.y(y - (half or 0.0))}" for x, y, half in reversed(ordered)]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{color}" fill-opacity="0.10"/>')
    parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
    size, faint = (2.5, ' fill-opacity="0.6"') if line.dashed else (3.5, "")
    parts += [f'<circle cx="{axes.x(x)}" cy="{axes.y(y)}" r="{size}" fill="{color}"{faint}/>' for x, y, _ in ordered]
    return parts


def scatter(title: str, x_label: str, y_label: str, groups: Sequence[Line]) -> str:
    """Return points of several kinds, and the diagonal on which both values are equal.

    Parameters
    ----------
    title, x_label, y_label : str
    groups : sequence of Line
        At least one point in all; they are not joined.
    """
    groups = colored(groups)
    points = [point for group in groups for point in group.points]
    axes = _Axes([x for x, _, _ in points], [y for _, y, _ in points])
    low, high = axes.x_ticks[0], axes.x_ticks[-1]
    parts = [*_frame(title, x_label, y_label), *axes.drawn(), _CLIP]
    parts.append(
        f'<line x1="{axes.x(low)}" y1="{axes.y(low)}" x2="{axes.x(high)}" y2="{axes.y(high)}" stroke="{INK}" '
        'stroke-dasharray="2 4"/>'
    )
    parts += [
        f'<circle cx="{axes.x(x)}" cy="{axes.y(y)}" r="4.5" fill="{group.color}" fill-opacity="0.8"/>'
        for group in groups
        for x, y, _ in group.points
    ]
    parts.append("</svg>")
    for number, group in enumerate(groups):
        parts += _legend(number, group.name, group.color or INK, dot=True)
    return _svg([*parts, *_legend(len(groups), "both equal", INK, dash="2 4")])


def heat_map(
    title: str, x_label: str, y_label: str, columns: Sequence[str], rows: Sequence[str],
    values: Sequence[Sequence[float | None]], *, span: tuple[float, float], form: str = "{:.3f}",
    notes: Sequence[Sequence[str]] | None = None,
) -> str:  # fmt: skip
    """Return a heat map: ``values[i][j]`` belongs to ``rows[i]`` and ``columns[j]``; None is left white.

    ``span`` is what the palest and the darkest color mean: maps that are read beside each other share one. ``notes``
    are second lines of the cells.
    """
    low, high = span
    left = max(LEFT, 30 + 7 * max(len(row) for row in rows))
    width = (WIDTH - left - 60) / len(columns)
    heads = [textwrap.wrap(column, max(8, int(width / 7))) for column in columns]
    bottom = BOTTOM + 16 * (max(len(head) for head in heads) - 1)
    height = (HEIGHT - TOP - bottom) / len(rows)
    parts = _frame(title, x_label, y_label, left=left, right=60, bottom=bottom)
    for i, row in enumerate(values):
        y = TOP + i * height
        parts.append(_text(left - 8, y + height / 2 + 4, rows[i], anchor="end"))
        for j, value in enumerate(row):
            if value is None:
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            x = left + j * width
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}" '
                f'fill="{BLUE}" fill-opacity="{0.06 + 0.74 * share:.3f}"/>'
            )
            # the darkest blue is still light enough for it
            cell = [form.format(value), *([notes[i][j]] if notes else [])]
            for line, words in enumerate(cell):
                middle = y + height / 2 + 4 + 16 * (line - (len(cell) - 1) / 2)
                parts.append(_text(x + width / 2, middle, words, anchor="middle", color=INK))
    for j, head in enumerate(heads):
        for line, words in enumerate(head):
            parts.append(_text(left + (j + 0.5) * width, HEIGHT - bottom + 18 + 16 * line, words, anchor="middle"))
    return _svg(parts)


class _Axes:
    """From values to places in the drawing."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], *, log_x: bool = False) -> None:
        self.log_x = log_x and min(xs) > 0 and max(xs) > 20 * min(xs)
        self.x_ticks = _log_ticks(min(xs), max(xs)) if self.log_x else nice_ticks(min(xs), max(xs), 6)
        self.y_ticks = nice_ticks(min(ys), max(ys), 6)

    def x(self, value: float) -> float:
        first, last = self.x_ticks[0], self.x_ticks[-1]
        share = math.log(value / first) / math.log(last / first) if self.log_x else _share(value, self.x_ticks)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, self.y_ticks), 1)

    def drawn(self) -> list[str]:
        parts = []
        for value in self.y_ticks:
            y = self.y(value)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#dfe4ea"/>')
            parts.append(_text(LEFT - 8, y + 4, f"{value:,.7g}", anchor="end"))
        parts += [_text(self.x(v), HEIGHT - BOTTOM + 18, f"{v:,.7g}", anchor="middle") for v in self.x_ticks]
        return parts


def _share(value: float, ticks: Sequence[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten that cover ``low`` to ``high``; powers alone where those are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1.0,) if len(powers) > 5 else (1.0, 2.0, 5.0)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    first = max(i for i, tick in enumerate(ticks) if tick <= low)
    last = min(i for i, tick in enumerate(ticks) if tick >= high)
    return ticks[first : last + 1]


def _frame(
    title: str, x_label: str, y_label: str, *, left: int = LEFT, right: int = RIGHT, bottom: int = BOTTOM
) -> list[str]:
    middle = TOP + (HEIGHT - TOP - bottom) / 2
    return [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(16, 24, title, size=14, bold=True),
        _text(left + (WIDTH - left - right) / 2, HEIGHT - 14, x_label, anchor="middle"),
        f'<g transform="rotate(-90 16 {middle})">{_text(16, middle, y_label, anchor="middle")}</g>',
    ]


def _legend(number: int, name: str, color: str, *, dash: str = "", dot: bool = False) -> list[str]:
    x, y = WIDTH - RIGHT + 14, TOP + 12 + 20 * number
    stroke = f' stroke-dasharray="{dash}"' if dash else ""
    line = f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3"{stroke}/>'
    return [f'<circle cx="{x + 11}" cy="{y}" r="4" fill="{color}"/>' if dot else line, _text(x + 28, y + 4, name)]


def _text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str = "start",
    size: int = 12,
    bold: bool = False,
    color: str = "#16202c",
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}"{weight}>'
        f"{escape(content)}</text>"
    )


def _svg(parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="{FONTS}">'
    return "\n".join([head, *parts, "</svg>"]) + "\n"
