"""The drawings: where points lie, what is behind what, and that nothing leaves the frame."""

import dataclasses
import sys
import xml.etree.ElementTree as ET

import pytest

from ray_subsel.experiments.figures import (
    BOTTOM,
    DOT,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    heat_map,
    line_chart,
    scatter,
)  # fmt: skip
from ray_subsel.experiments.grid import Cell, Result
from ray_subsel.experiments.methods import METHODS
from ray_subsel.experiments.page import figures_of
from ray_subsel.experiments.paper_figures import published_times
from ray_subsel.experiments.rendering import png_renderer
from ray_subsel.experiments.samples import Redundancy
from ray_subsel.experiments.summary import summarize

SVG = "{http://www.w3.org/2000/svg}"


def circles(svg, *, legend=False):
    found = [(float(c.get("cx")), float(c.get("cy")), c.get("fill")) for c in ET.fromstring(svg).iter(f"{SVG}circle")]
    return found if legend else [one for one in found if one[0] <= WIDTH - RIGHT]


def texts(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_points_lie_where_their_values_are():
    svg = line_chart("t", "x", "y", [Line("a", ((0.0, 0.0, None), (10.0, 1.0, None), (5.0, 0.5, None)))])
    left, right, bottom, top = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    assert [c[:2] for c in circles(svg)] == [
        (left, bottom), ((left + right) / 2, (top + bottom) / 2), (right, top),
    ]  # fmt: skip


def test_times_far_apart_are_on_a_logarithmic_axis_and_close_ones_are_not():
    line = Line("a", ((0.1, 0.5, None), (1.0, 0.6, None), (10.0, 0.7, None)))
    first, second, third = (x for x, _, _ in circles(line_chart("t", "x", "y", [line], log_x=True)))
    assert second - first == pytest.approx(third - second, abs=0.2)
    close = Line("a", ((2.0, 0.5, None), (3.0, 0.6, None), (4.0, 0.7, None)))
    assert line_chart("t", "x", "y", [close], log_x=True) == line_chart("t", "x", "y", [close])
    free = Line("a", ((0.0, 0.5, None), (3.0, 0.6, None)))
    assert line_chart("t", "x", "y", [free], log_x=True) == line_chart("t", "x", "y", [free])


def test_a_band_of_two_seeds_neither_flattens_the_lines_nor_leaves_the_frame():
    svg = line_chart("t", "x", "y", [Line("a", ((5.0, 0.70, 0.9), (10.0, 0.80, 0.01)))])
    (_, low, _), (_, high, _) = circles(svg)
    assert low - high > 0.4 * (HEIGHT - TOP - BOTTOM)
    frame = ET.fromstring(svg).find(f"{SVG}svg")  # a drawing of its own, cut at its edges
    assert frame.find(f"{SVG}polygon") is not None
    outside = (float(frame.get("x")) - LEFT, float(frame.get("width")) - (WIDTH - LEFT - RIGHT))
    assert outside == (-DOT, 2 * DOT)


def test_what_is_not_ours_is_behind_ours():
    ours, theirs = (Line(n, ((1.0, 0.5, None), (2.0, 0.6, None)), dashed=n == "paper") for n in ("ours", "paper"))
    lines = list(ET.fromstring(line_chart("t", "x", "y", [ours, theirs])).iter(f"{SVG}polyline"))
    assert [line.get("stroke-dasharray") for line in lines] == ["7 5", None]


def test_equal_values_lie_on_the_diagonal_of_a_scatter():
    svg = scatter("t", "x", "y", [Line("a", ((0.6, 0.6, None),)), Line("b", ((0.8, 0.8, None), (0.7, 0.9, None)))])
    frame = ET.fromstring(svg).find(f"{SVG}svg")
    diagonal = frame.find(f"{SVG}line")
    (x1, x2, y1, y2) = (float(diagonal.get(name)) for name in ("x1", "x2", "y1", "y2"))
    one, other, above = circles(svg)
    for x, y, _ in (one, other):
        assert y == pytest.approx(y1 + (x - x1) / (x2 - x1) * (y2 - y1), abs=0.2)
    assert above[1] < y1 + (above[0] - x1) / (x2 - x1) * (y2 - y1) - 1
    assert one[2] != other[2] == above[2]


def test_maps_side_by_side_share_their_colors():
    def fills(values):
        svg = heat_map("t", "x", "y", ["a", "b"], ["c"], [values], span=(0.0, 1.0))
        return [r.get("fill-opacity") for r in ET.fromstring(svg).iter(f"{SVG}rect") if r.get("fill-opacity")]

    assert fills([0.2, 0.4])[1] == fills([0.4, 1.0])[0]
    assert fills([0.2, None]) == fills([0.2, 0.4])[:1]
    assert float(fills([0.0, 1.0])[0]) < float(fills([0.0, 1.0])[1])


def test_cells_of_a_heat_map_have_second_lines_and_long_names_are_broken():
    svg = heat_map(
        "t", "x", "y", [" ".join(f"long name number {i}" for i in range(6)), "b"], ["a row with a long name"],
        [[0.2, 0.4]], span=(0, 1), notes=[["first", "second"]],
    )  # fmt: skip
    found = {text.text: (float(text.get("x")), float(text.get("y"))) for text in ET.fromstring(svg).iter(f"{SVG}text")}
    assert found["first"][1] == found["0.200"][1] + 16
    assert found["second"][0] == found["0.400"][0]
    assert sum("name" in text for text in found) > 2
    assert all(TOP < y <= HEIGHT for name, (_, y) in found.items() if name != "t")
    assert found["a row with a long name"][0] > 7 * len("a row with a long name")


def finished(method, size, accuracy):
    cell = Cell("finetune", method, size, 0, Redundancy("exact", 0.5))
    return Result(cell, accuracy, 100, 50, 10, 10, 2, 0, 100, 0.5, 20.0 * (1 + size), 4.0)


STORIES = {"finetune": {"task": "story-cloze"}}


def test_the_papers_curves_are_behind_fine_tuning_in_the_color_of_ours():
    cells = [finished("graph-cut-keep", size, 0.7 + size) for size in (0.05, 0.1)] + [finished("full", 1.0, 0.85)]
    summary = summarize(cells, STORIES)
    by_size, by_time = (figures_of(summary)[f"{what}-01-finetune-exact"] for what in ("accuracy", "time"))
    assert {"paper: graph cut on BERT", "paper: graph cut on Doc2Vec", "paper: random", "paper: everything"} <= set(
        texts(by_size)
    )
    assert {"paper: graph cut on BERT", "paper: everything", "everything, at its time"} <= set(texts(by_time))
    ours = circles(by_size)[-1][2]
    assert [color for _, _, color in circles(by_size)].count(ours) == 2 + 6
    # 25.17 to embed + 0.063 to compare + 0.049 to select + 185.17 to train
    assert published_times("graph-cut-keep")[0] == (pytest.approx(210.452), 0.721)
    assert published_times("full") == [(946.17, 0.7686)]
    pooled = summarize([dataclasses.replace(r, cell=dataclasses.replace(r.cell, pool=50)) for r in cells], STORIES)
    others = summarize(cells, {"finetune": {"task": "classification"}})
    for other in (pooled, others):
        assert not [text for svg in figures_of(other).values() for text in texts(svg) if text.startswith("paper:")]


def test_a_method_has_one_color_and_two_seeds_no_band():
    def drawn(methods, seeds):
        cells = [
            dataclasses.replace(one, cell=dataclasses.replace(one.cell, seed=seed))
            for method in methods
            for one in (finished(method, 0.05, 0.7), finished(method, 0.1, 0.8))
            for seed in range(seeds)
        ]
        return figures_of(summarize(cells, {}))["accuracy-01-finetune-exact"]

    alone, beside = drawn(["random"], 2), drawn(["graph-cut@auto", "k-center", "random"], 3)
    (mine,) = {c for _, _, c in circles(alone)[-2:]}
    assert mine in {c for _, _, c in circles(beside)}
    assert len({c for _, _, c in circles(beside)[-6:]}) == 3
    every = drawn([name for name in METHODS if name != "full"], 1)
    assert len({color for _, _, color in circles(every)}) == len(METHODS) - 1
    assert f"{SVG}polygon" not in {one.tag for one in ET.fromstring(alone).iter()}
    assert f"{SVG}polygon" in {one.tag for one in ET.fromstring(beside).iter()}


def test_png_where_resvg_is_installed():
    pytest.importorskip("resvg_py")
    render, lacks = png_renderer()
    if render is None:
        pytest.skip(lacks)
    image = render(line_chart("t", "x", "y", [Line("a", ((0.0, 0.5, None), (1.0, 0.6, 0.01)))]))
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(image[16:20], "big") == 1470


def test_without_resvg_one_line_tells_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    render, lacks = png_renderer()
    assert render is None
    assert "pip install resvg-py" in lacks
