import copy
import re
from html.parser import HTMLParser

import pytest

from ray_subsel.report import render_html

REPORT = {
    "schema": 1,
    "command": "subsel run train.csv --test test.csv --task story-cloze --fraction 0.2 --out run",
    "created": "2026-01-02T03:04:05Z",
    "versions": {"ray": "2.60.0", "torch": "2.13.0"},
    "config": {"corpus": {"data": ["train.csv"], "augment": True}, "select": {"k": None, "lam": 10.0}, "train": None},
    "value": 20311.4,
    "lift_over_random": 0.18,
    "corpus": {
        "files": 1,
        "rows_read": 1874,
        "rejected": 3,
        "rejected_by_reason": {"empty text": 2, "label must be 1 or 2": 1},
        "augmented": 1871,
        "rows": 3742,
        "items": 1871,
        "copies": "collapse",
        "duplicate_rows": 1870,
        "largest_groups": [{"id": 17, "multiplicity": 101, "text": "A kite flew off."}],
    },
    "embedding": {"embedder": "minilm", "model": "abc", "dimension": 384, "embedded": 1872, "parts": 8},
    "selection": {
        "mode": "greedi",
        "objective": "graph_cut",
        "lam": 10.0,
        "n": 1871,
        "k": 374,
        "partitions": 4,
        "candidates": 748,
        "value": 20311.4,
        "random_value": 17211.9,
        "lift_over_random": 0.18,
        "share_of_centralized": 0.9998,
        "best_local_value": 19822.1,
        "gains": [[0, 250.0], [100, 90.0], [373, -12.0]],
        "negative_gains": 21,
        "chosen_duplicates": 0,
        "certificate": {"gap": 0.0044},
        "sample": [{"rank": 0, "id": 4711, "multiplicity": 2, "text": "Mia planted seeds."}],
    },
    "seconds": {"corpus": 1.25, "embed": 18.4, "select": 0.31, "train": 141.3},
    "training": {
        "task": "story-cloze",
        "model": "minilm",
        "test_rows": 400,
        "arms": [
            {"arm": "subset", "n": 374, "accuracy": 0.845, "seconds_train": 61.2, "duplicates_in_training_set": 0},
            {"arm": "random", "n": 374, "accuracy": 0.7725, "seconds_train": 60.9, "duplicates_in_training_set": 171},
            {"arm": "full", "n": 3742, "accuracy": 0.8525, "seconds_train": 623, "duplicates_in_training_set": 1870},
        ],
    },
    "warnings": ["21 of 374 picks lowered f."],
}
VOID = {"meta", "line", "polygon", "polyline", "br", "input", "link", "img"}


class Page(HTMLParser):
    """Collects tags and text and checks that every element is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words, self.attributes = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page(**changes):
    return Page(render_html({**copy.deepcopy(REPORT), **changes}))


def test_everything_that_a_reader_looks_for_is_there():
    text = page().text
    for wanted in (
        "374 of 3,742 rows keep 99.1 % of the accuracy of all rows, level with all as far as chance allows; "
        "random rows 90.6 % (400 test rows).",
        "20,311",
        "99.98 %",
        "empty text",
        "A kite flew off.",
        "Mia planted seeds.",
        "4711",
        "21 of 374 picks lowered f.",
        "310 ms",
        "10 min 23 s",
        "subsel run train.csv --test test.csv",
        "2.60.0",
        "Gap",
    ):
        assert wanted in text, wanted


HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


def poison(value):
    if isinstance(value, dict):
        return {f"{key}": poison(one) for key, one in value.items()}
    if isinstance(value, list):
        return [poison(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


def test_no_text_of_the_report_becomes_markup():
    report = poison(copy.deepcopy(REPORT))
    report["corpus"]["rejected_by_reason"] = {HOSTILE: 3}
    report["versions"] = {HOSTILE: HOSTILE}
    shown = Page(render_html(report))
    assert "script" not in shown.tags
    assert "img" not in shown.tags
    assert "{{ 7*7 }}" in shown.text
    assert not [name for name, _ in shown.attributes if name.startswith("on")]


def test_the_page_asks_for_nothing_from_outside():
    html = render_html(REPORT)
    shown = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(shown.tags)
    assert not re.search(r"https?://|url\(|@import", html)
    assert not [value for name, value in shown.attributes if name in ("src", "href", "action")]
    assert "default-src 'none'" in html


@pytest.mark.parametrize("missing", ["training", "selection", "embedding", "corpus", "config", "versions", "warnings"])
def test_a_missing_part_is_left_out(missing):
    without = {**copy.deepcopy(REPORT), missing: None}
    assert Page(render_html(without)).tags
    del without[missing]
    assert Page(render_html(without)).tags


PROFILE = {
    "coverage": {"sample": 900, "k": [1, 187, 374], "chosen": [0.2, 0.61, 0.72], "random": [0.15, 0.5, 0.58]},
    "repeats_of_random": 171.3,
    "labels": [{"name": "<i>a</i>", "before": 3000, "after": 187}, {"name": "", "before": 742, "after": 187}],
    "words": {"before": [4.0, 9.0, 12.0], "after": [5.0, 10.0, 14.0]},
    "near_groups": [
        {
            "rows": 7,
            "members": [
                {"id": 4, "text": "The <b>kite</b>.", "cosine": None},
                {"id": 9, "text": "The kite!", "cosine": 0.93},
            ],
        }
    ],
}


def test_what_the_subset_keeps_is_shown():
    shown = page(training=None, profile=PROFILE, statuses={"chosen": 374, "not chosen": 1497})
    for words in (
        "374 of 3,742 rows were chosen: a distinct row finds one of cosine 0.72 among them on average, "
        "among random rows 0.58.",
        "as many random rows hold some 171",
        "<i>a</i> 3,000 80.2 % 187 50.0 %",
        "(none) 742 19.8 % 187 50.0 %",
        "Chosen 5 10 14",
        "row 4 · chosen, one of 7 The <b>kite</b>.",
        "row 9 · cosine 0.93 The kite!",
        "not chosen 1,497",
        "900 distinct rows",
    ):
        assert words in shown.text, words
    assert len([value for name, value in shown.attributes if name == "points"]) == 4


def test_groups_that_are_the_labels_are_shown_once():
    same, others = copy.deepcopy(PROFILE["labels"]), [{"name": "b", "before": 1, "after": 1}]
    assert "Groups before and after" not in page(profile={**PROFILE, "groups": same}).text
    assert "Groups before and after" in page(profile={**PROFILE, "groups": others}).text


def test_a_value_at_the_right_edge_of_a_chart_ends_there():
    coverage = {"sample": 9, "k": [1, 50, 100], "chosen": [0.2, 0.3, 0.4], "random": [0.1, 0.2, 0.3]}
    profile = {**PROFILE, "coverage": coverage}
    labels = re.findall(r'<span( class="last")? style="left:([0-9.]+)%">', render_html({**REPORT, "profile": profile}))
    assert {mark != "" for mark, left in labels if float(left) > 97} == {True}
    assert {mark != "" for mark, left in labels if float(left) < 97} == {False}


def test_a_run_without_training_or_profile_tells_how_many():
    text = page(training=None).text
    assert "374 of 3,742 rows were chosen." in text
    assert "fine-tuned" not in text


def test_with_one_partition_nothing_is_told_of_partitions():
    selection = {**REPORT["selection"], "partitions": 1}
    text = page(selection=selection).text
    assert "Candidates" not in text
    assert "Candidates" in page().text
    assert "centralized" not in text
    assert "Best partition" not in text


def test_arms_without_all_rows_are_told_by_their_accuracy():
    training = {**REPORT["training"], "arms": REPORT["training"]["arms"][:2]}
    text = page(training=training).text
    assert (
        "Trained on 374 of 3,742 rows, the model is right on 84.5 % of 400 test rows; random rows reach 77.2 %" in text
    )


def test_a_run_that_only_embedded_says_so():
    text = page(training=None, selection=None).text
    assert "3,742 rows were read and embedded; nothing has been selected yet." in text


def test_an_empty_report_is_a_page_still():
    assert "Repeat it" in Page(render_html({})).text


@pytest.mark.parametrize(
    "gains", [[], [[0, 5.0]], [[0, 0.0], [1, 0.0]], [[0, -3.0], [1, -4.0]], [[0, 1e12], [9, 1e-9]]]
)
def test_any_gains_can_be_drawn(gains):
    shown = page(selection={**REPORT["selection"], "gains": gains})
    points = [value for name, value in shown.attributes if name == "points"]
    numbers = [float(one) for value in points for one in re.split(r"[ ,]", value)]
    assert bool(points) == bool(gains)
    assert all(-0.1 <= number <= 1000.1 for number in numbers)


def test_the_parts_of_the_page_have_names_for_a_screen_reader():
    shown = page()
    ids = {value for name, value in shown.attributes if name == "id"}
    labels = {value for name, value in shown.attributes if name == "aria-labelledby"}
    assert labels
    assert labels <= ids
    assert ("lang", "en") in shown.attributes
    assert shown.tags.count("h1") == 1


def test_the_same_report_gives_the_same_page():
    assert render_html(REPORT) == render_html(copy.deepcopy(REPORT))


def test_near_copies_have_their_figures():
    near = {"threshold": 0.9, "items": 1871, "kept": 1502, "near_collapsed": 369, "cells": 1, "pieces": 1}
    page = render_html({**REPORT, "near": near, "seconds": {**REPORT["seconds"], "near": 2.5}})
    for words in ("Near copies", "369", "cosine of 0.9 or more; 1,502 of 1,871 items left", "Collapse near copies"):
        assert words in page
    assert "near copies collapsed" not in render_html(REPORT)
    told = {**near, "exact": False, "recall": 0.99931, "recall_sample": 3945}
    assert "items left; recall 99.93% on a sample of 3,945" in render_html({**REPORT, "near": told})
    surely = {**told, "recall_of": 1450}
    words = "recall 99.93% on a sample of 3,945, 1,450 near copies in it: 99.61% to 99.99%"
    assert words in render_html({**REPORT, "near": surely})


def test_limits_are_shown_with_how_the_answer_keeps_them():
    report = copy.deepcopy(REPORT)
    report["selection"] |= {
        "objective": "facility_location",
        "lam": None,
        "represented": 10_000,
        "represented_in_partitions": "the sample",
        "random_is_expected": False,
        "limits": {
            "included": 3,
            "excluded": 0,
            "budget": 5000.0,
            "cost": 4987.0,
            "n_groups": 2,
            "groups": [
                {"group": "<b>", "chosen": 41, "quota": 60, "floor": None},
                {"group": "", "chosen": 2, "quota": None, "floor": 1},
            ],
        },
    }
    words = " ".join(" ".join(Page(render_html(report)).words).split())
    for shown in (
        "<b> 41 – 60",
        "(none) 2 1 –",
        "Included 3",
        "Cost 4,987 of a budget of 5,000",
        "10,000",
        "drawn once",
    ):
        assert shown in words
    assert "Excluded" not in words
    assert "λ" not in words


def test_times_and_memory_stand_beside_the_plan_and_quality_before_and_after():
    intervals = [{"name": "below 1", "before": 60, "after": 2}, {"name": "1 and more", "before": 40, "after": 8}]
    spread = {"before": [0.1, 0.5, 1.5], "after": None, "missing": 3, "intervals": intervals}
    coverage = {"k": [1], "chosen": [0.5], "random": [0.4], "sample": 9}
    page = render_html(
        {
            "corpus": {"rows": 100},
            "selection": {"k": 10, "n": 100},
            "seconds": {"corpus": 1.0, "ray": 9.0, "around": 0.5},
            "peaks": {"corpus": 200 << 20},
            "plan": {"seconds": {"corpus": 2.0, "ray": 8.0}, "stages": {"corpus": 300 << 20}},
            "profile": {"coverage": coverage, "quality": spread},
        }
    )
    assert re.search(r"Read and check <small>planned: 2.0 s</small>", page)
    assert re.search(r"Start Ray <small>planned: 8.0 s</small>", page)
    assert "10.5 s in all stages" in page
    assert "planned: 300 MiB" in page
    assert "Quality before and after" in page
    assert "Quality (3 rows have none)" in page
    share = (
        r"1 and more</th><td class=\"number\">40</td><td class=\"number\">40.0\u00a0%</td><td class=\"number\">8</td>"
    )
    assert re.search(share, page)


def test_groups_that_were_chosen_from_alone_have_a_table():
    line = {"group": "<b>", "rows": 9, "items": 8, "near_copies": 1, "chosen": 2, "cosine": 0.5}
    told = {"largest": [line], "furthest": [line | {"group": "", "cosine": None}], "chosen": [1, 2, 3],
            "rows": [4, 5, 6], "cosine": [0.1, 0.2, 0.3]}  # fmt: skip
    limits = {"n_groups": 40, "groups": [{"group": "a", "chosen": 1, "quota": None, "floor": None}]}
    selection = {"k": 80, "n": 100, "per": "user", "groups": told, "limits": limits}
    page = render_html({"corpus": {"rows": 100}, "selection": selection})
    assert "80 of 100 rows in 40 groups of user were chosen" in page
    assert "40 groups of user; the middle half of them have 1 to 3 chosen rows of 4 to 6." in page
    assert "&lt;b&gt;" in page
    assert "The least well covered" in page
    assert "At least" not in page  # nothing limits a group beside its own k


def test_rows_that_repeat_another_set_are_shown_and_stay_text():
    shown = [{"id": 1234, "file": "/data/test.csv", "line": 7, "kind": "ngram", "evidence": "<script>x</script>"}]
    against = {"rows": 1, "kinds": {"ngram": 1}, "sets": [], "shown": shown}
    page = render_html({"corpus": {"rows": 100, "rows_read": 100}, "against": against})
    assert "Rows that repeat another set" in page
    assert "test.csv, line 7" in page
    assert "&lt;script&gt;x" in page


def test_repeats_of_random_rows_stand_beside_the_curve():
    coverage = {"k": [1, 10], "chosen": [0.5, 0.6], "random": [0.4, 0.5], "sample": 9, "repeats_of_random": [0.0, 3.4]}
    page = render_html({"corpus": {"rows": 100}, "selection": {"k": 10, "n": 100}, "profile": {"coverage": coverage}})
    assert "Repeats among random" in page
    assert '<td class="number">0.500</td><td class="number">3</td>' in page
    del coverage["repeats_of_random"]
    page = render_html({"corpus": {"rows": 100}, "selection": {"k": 10, "n": 100}, "profile": {"coverage": coverage}})
    assert "Repeats among random" not in page
