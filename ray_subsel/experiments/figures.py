"""Charts as SVG files that stand alone: no script, no font file, no outside reference; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ray_subsel.report.charts import nice_ticks

WIDTH, HEIGHT = 980, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 350, 46, 56
COLORS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#d4a106", "#06a5c4", "#e0379b", "#111827", "#94a3b8", "#7f1d1d",
          "#84a31b")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A named line of points (x, y), each with half an interval or None.

    Attributes
    ----------
    name : str
    points : tuple of (float, float, float or None)
    dashed : bool
        For figures that are not ours.
    """

    name: str
    points: tuple[tuple[float, float, float | None], ...]
    dashed: bool = False


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], *, level: tuple[str, float] | None = None
) -> str:
    """Return a chart of lines with their bands.

    Parameters
    ----------
    title, x_label, y_label : str
    lines : sequence of Line
        At least one, with at least one point each.
    level : (str, float), optional
        A named horizontal line: what everything gives.
    """
    points = [point for line in lines for point in line.points]
    ys = [y + sign * (half or 0.0) for _, y, half in points for sign in (-1, 1)] + ([level[1]] if level else [])
    axes = _Axes([x for x, _, _ in points], ys)
    parts = [*_frame(title, x_label, y_label), *axes.drawn()]
    if level:
        y = axes.y(level[1])
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#111" stroke-dasharray="2 4"/>')
        parts.append(_text(WIDTH - RIGHT - 4, y - 5, level[0], anchor="end"))
    for number, line in enumerate(lines):
        parts += _line(axes, line, COLORS[number % len(COLORS)])
        parts += _legend(number, line.name, COLORS[number % len(COLORS)], dashed=line.dashed)
    return _svg(parts)


def _line(axes: _Axes, line: Line, color: str) -> list[str]:
    ordered = sorted(line.points)
    path = " ".join(f"{axes.x(x)},{axes.y(y)}" for x, y, _ in ordered)
    dash = ' stroke-dasharray="7 5"' if line.dashed else ""
    parts = []
    if any(half for _, _, half in ordered):
        upper = [f"{axes.x(x)},{axes.y(y + (half or 0.0))}" for x, y, half in ordered]
        lower = [f"{axes.x(x)},{axes.y(y - (half or 0.0))}" for x, y, half in reversed(ordered)]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{color}" fill-opacity="0.10"/>')
    parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
    parts += [f'<circle cx="{axes.x(x)}" cy="{axes.y(y)}" r="3" fill="{color}"/>' for x, y, _ in ordered]
    return parts


def heat_map(
    title: str, x_label: str, y_label: str, columns: Sequence[str], rows: Sequence[str],
    values: Sequence[Sequence[float | None]], *, form: str = "{:.3f}",
) -> str:  # fmt: skip
    """Return a heat map: ``values[i][j]`` belongs to ``rows[i]`` and ``columns[j]``; None is left white."""
    known = [value for row in values for value in row if value is not None]
    low, high = min(known), max(known)
    width = (WIDTH - LEFT - 60) / len(columns)
    height = (HEIGHT - TOP - BOTTOM) / len(rows)
    parts = _frame(title, x_label, y_label, right=60)
    for i, row in enumerate(values):
        y = TOP + i * height
        parts.append(_text(LEFT - 8, y + height / 2 + 4, rows[i], anchor="end"))
        for j, value in enumerate(row):
            if value is None:
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            x = LEFT + j * width
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}" '
                f'fill="#0b6bcb" fill-opacity="{0.08 + 0.82 * share:.3f}"/>'
            )
            ink = "#fff" if share > 0.55 else "#111"
            parts.append(_text(x + width / 2, y + height / 2 + 4, form.format(value), anchor="middle", color=ink))
    for j, column in enumerate(columns):
        parts.append(_text(LEFT + (j + 0.5) * width, HEIGHT - BOTTOM + 18, column, anchor="middle"))
    return _svg(parts)


class _Axes:
    """From values to places in the drawing."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x_ticks = nice_ticks(min(xs), max(xs), 6)
        self.y_ticks = nice_ticks(min(ys), max(ys), 6)

    def x(self, value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * _share(value, self.x_ticks), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, self.y_ticks), 1)

    def drawn(self) -> list[str]:
        parts = []
        for value in self.y_ticks:
            y = self.y(value)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#dfe4ea"/>')
            parts.append(_text(LEFT - 8, y + 4, f"{value:.4g}", anchor="end"))
        parts += [_text(self.x(v), HEIGHT - BOTTOM + 18, f"{v:.4g}", anchor="middle") for v in self.x_ticks]
        return parts


def _share(value: float, ticks: Sequence[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _frame(title: str, x_label: str, y_label: str, *, right: int = RIGHT) -> list[str]:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(16, 24, title, size=15, bold=True),
        _text(LEFT + (WIDTH - LEFT - right) / 2, HEIGHT - 14, x_label, anchor="middle"),
        f'<g transform="rotate(-90 16 {middle})">{_text(16, middle, y_label, anchor="middle")}</g>',
    ]


def _legend(number: int, name: str, color: str, *, dashed: bool) -> list[str]:
    x, y = WIDTH - RIGHT + 14, TOP + 12 + 20 * number
    dash = ' stroke-dasharray="7 5"' if dashed else ""
    return [
        f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3"{dash}/>',
        _text(x + 28, y + 4, name),
    ]


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
    weight = ' font-weight="650"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}"{weight}>'
        f"{escape(content)}</text>"
    )


def _svg(parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, Segoe UI, Roboto, Helvetica, Arial, sans-serif">'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"
