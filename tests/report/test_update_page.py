"""The page of an update: what changed, in figures and with its texts, and nothing of a text runs."""

import re

import pytest

from ray_subsel.report.update_page import render_update

CHANGES = [
    {"id": 7, "what": "left", "instead_of": 9, "rise": 1.0, "why": "row 9 took its place",
     "text": "<script>x()</script>"},
    {"id": 9, "what": "came", "instead_of": 7, "rise": 1.0, "why": "took the place of row 7", "text": None},
]  # fmt: skip
REPORT = {
    "update": 2,
    "command": "subsel update news <wednesday>.jsonl",
    "created": "2026-11-27T06:20:10Z",
    "seconds": {"corpus": 0.5, "renew": 2.0, "map": 1.0},
    "plan": {"seconds": {"renew": 3.0}},
    "corpus": {"rows": 1_200, "rejected": 3},
    "join": {"joined_old": 4, "joined_new": 2},
    "map": {"items": 3},
    "renew": {
        "chosen": 500, "chosen_before": 480, "items": 9_000, "left": 1, "came": 21, "changes": CHANGES,
        "statuses": {"chosen": 500, "withdrawn": 2, "not chosen": 8_498}, "items_withdrawn": 1, "withdrawn_before": 1,
        "warnings": ["3 values of column a do not fit"],
    },
}  # fmt: skip
POINTS = {
    "id": [0, 7, 9], "source_id": [None] * 3, "x": [0.0, 0.5, 1.0], "y": [0.1, 0.2, 0.3],
    "status": ["withdrawn", "not chosen", "chosen"], "rank": [None, None, 0], "nearest_chosen": [9, 9, 9],
    "nearest_cosine": [0.5, 0.6, 1.0], "label": [None] * 3, "group": [None] * 3, "text": ["<b>", "b", "c"],
}  # fmt: skip


def words(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_page_says_what_changed():
    page = render_update(REPORT, POINTS)
    told = words(page)
    assert "500 of 9,000 items are chosen with 1,200 new rows: 1 left, 21 came." in told
    assert "The first 2 of 22; all are in changes.parquet" in told
    assert "row 9 took its place" in told
    assert "6 new items that joined others, 4 of them old ones" in told
    assert "Withdrawn 2 items, 1 of them by this update" in told
    assert "3 values of column a do not fit" in told
    assert "Bring the selection up to date planned: 3.0 s" in told
    assert told.index("not chosen 8,498") < told.index("chosen 500") < told.index("withdrawn 2")
    assert "All 3 rows." in told


def test_texts_stay_texts_and_the_one_script_is_the_map_s():
    page = render_update(REPORT, POINTS)
    assert "&lt;script&gt;x()" in page
    assert "<script>x()" not in page
    assert "&lt;wednesday&gt;" in page
    assert page.count("<script") == 2  # the points, and what draws them
    assert "script-src 'sha256-" in page
    bare = render_update({**REPORT, "corpus": None, "join": None})
    assert "<script" not in bare
    assert "script-src" not in bare
    assert "are chosen without new rows" in bare


@pytest.mark.parametrize("left", ["http://", "https://", "src=", "@import"])
def test_the_page_asks_for_nothing_from_outside(left):
    assert left not in render_update(REPORT, POINTS)
