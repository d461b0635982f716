"""The map of the page: under its limit, escaped, and, where there is a Chromium, driven by pointer and keys."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from ray_subsel.report import render_html
from ray_subsel.report.map import map_of

REPORT = {
    "corpus": {"rows_read": 4, "rows": 4, "rejected": 0, "augmented": 0},
    "embedding": {"items": 4},
    "selection": None,
    "training": None,
    "near": None,
}


def points(texts=("one", "two", "three", "four"), **changes):
    n = len(texts)
    found = {
        "id": list(range(n)),
        "source_id": [None] * n,
        "x": [(i + 0.5) / n for i in range(n)],
        "y": [0.5] * n,
        "status": ["chosen", *["not chosen"] * (n - 2), "near copy"],
        "rank": [0, *[None] * (n - 1)],
        "nearest_chosen": [0] * n,
        "nearest_cosine": [1.0, *[0.5] * (n - 1)],
        "label": [None] * n,
        "group": [None] * n,
        "text": list(texts),
    }
    return {**found, **changes}


def data_of(page):
    return json.loads(re.search(r'id="map-data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_points_are_in_the_page_and_texts_end_no_script():
    evil = "</script><script>alert(1)</script><b>&amp;\u2028"
    page = render_html(REPORT, points=points(["a", evil, "c", "d"]))
    assert data_of(page)["text"] == ["a", evil, "c", "d"]
    assert "<script>alert" not in page
    assert page.count("<script") == 2


def test_only_the_map_s_script_may_run_and_without_a_map_none():
    page = render_html(REPORT, points=points())
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    allowed = re.search(r"script-src 'sha256-([^']+)'", page)[1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed
    plain = render_html(REPORT)
    assert "script" not in plain


@pytest.mark.parametrize("text", ["word " * 100, "<" * 500, "ä😀" * 200])
def test_a_map_of_20000_points_stays_under_its_limit(text):
    drawn = map_of(points([text] * 20_000), 1_000_000)
    assert len(drawn["data"].encode()) <= 4_000_000
    assert "20,000 of 1,000,000 distinct rows" in drawn["about"]


def test_the_most_frequent_labels_have_colours():
    labels = [f"l{i % 15}" for i in range(99)] + [None]
    drawn = json.loads(map_of(points(["t"] * 100, label=labels), 100)["data"])
    assert len(drawn["labels"]) == 10
    assert drawn["label"][0] == 0
    assert drawn["label"][-1] == -1
    assert drawn["label"][14] == -1


def test_one_point_is_no_map():
    assert map_of({name: column[:1] for name, column in points().items()}, 1) is None


DRIVE = """
const errors = [];
window.addEventListener("error", (event) => errors.push(String(event.message)));
window.addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
const canvas = document.getElementById("map-canvas");
const box = canvas.getBoundingClientRect();
const send = (kind, share, more) => canvas.dispatchEvent(new PointerEvent(kind, {
  clientX: box.left + share * box.width, clientY: box.top + 0.5 * box.height, pointerType: "mouse", bubbles: true,
  ...more }));
const key = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const tip = document.getElementById("map-tip"), pinned = document.getElementById("map-pinned");
const seen = {};
send("pointermove", 0.375);
seen.hover = tip.hidden ? "" : tip.textContent;
seen.elements = tip.querySelectorAll("script, b").length;
send("pointerdown", 0.375); send("pointerup", 0.375);
seen.pinned = pinned.hidden ? "" : pinned.innerText;
send("pointermove", 0.0);
seen.away = tip.hidden;
key("Escape");
seen.unpinned = pinned.hidden;
key("ArrowRight"); key("ArrowRight");
seen.keys = tip.textContent;
key("Enter");
seen.spoken = document.getElementById("map-spoken").textContent;
const first = document.querySelector("#map-legend button");
first.click();
seen.pressed = first.getAttribute("aria-pressed");
document.getElementById("map-in").click();
seen.requests = performance.getEntriesByType("resource").length;
seen.errors = errors;
document.title = JSON.stringify(seen);
"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium to drive")
@pytest.mark.parametrize("window", ["1200,900", "390,800"])
def test_the_map_is_driven_by_pointer_and_keys(tmp_path, window):
    evil = "<script>document.title = 'x'</script> <b>bold</b>"
    page = render_html(REPORT, points=points(["one", evil, "three", "four"]))
    allowed = base64.b64encode(hashlib.sha256(DRIVE.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{allowed}' ")
    (tmp_path / "page.html").write_text(page.replace("</body>", f"<script>{DRIVE}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'chromium'}"]
    done = subprocess.run(
        ["chromium", *flags, f"--window-size={window}", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]
    seen = json.loads(title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert seen["hover"] == f"row 1: not chosen{evil}"
    assert seen["elements"] == 0
    assert evil in seen["pinned"]
    assert "nearest chosen: row 0 (cosine 0.50)" in seen["pinned"]
    assert seen["away"]
    assert seen["unpinned"]
    assert seen["keys"].startswith("row ")
    assert seen["spoken"].startswith("row ")
    assert seen["pressed"] == "false"
    assert (seen["requests"], seen["errors"]) == (0, [])
