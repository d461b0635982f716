"""Render report.json as report.html."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template

from ray_subsel.core.byte_sizes import show_bytes
from ray_subsel.core.numeric import counted
from ray_subsel.report.charts import Bar, bars, coverage_curve, gain_curve
from ray_subsel.report.map import map_of, map_script
from ray_subsel.report.numbers import amount, count, duration, percent, wilson
from ray_subsel.report.templates import template
from ray_subsel.report.terminal import recall_note
from ray_subsel.report.verdict import ARM_NAMES, verdict

Pairs = list[tuple[str, str]]

WHEN = (("All rows", "before"), ("Chosen", "after"))

STAGES = {
    "corpus": "Read and check",
    "embed": "Embed",
    "against": "Leave out repeats of other sets",
    "best": "Find the best of equal texts",
    "drop": "Drop doubtful items",
    "near": "Collapse near copies",
    "join": "Join copies of old rows",
    "renew": "Bring the selection up to date",
    "select": "Select",
    "decide": "Tell why",
    "map": "Draw the map",
    "profile": "Measure the subset",
    "train": "Fine-tune and test",
    "report": "Report",
    "ray": "Start Ray",
    "around": "Check and plan",
}


def render_html(
    report: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    points: Mapping[str, Sequence[Any]] | None = None,
) -> str:
    """Return the page that shows a run's report.

    Parameters
    ----------
    report : mapping
        What ``report.json`` holds. ``selection``, ``training``, ``embedding`` and any single figure may be missing or
        None: what is not known is left out.
    labels : mapping of str to str, optional
        What people read for an objective's name.
    points : mapping of str to sequence, optional
        The columns of ``map.parquet``.

    Returns
    -------
    str
        A whole HTML document without outside references. All text of the report is escaped, and a content security
        policy forbids whatever might slip through: the one script that runs is the map's, by its hash.
    """
    corpus = report.get("corpus") or {}
    if selection := report.get("selection"):
        name = str(selection.get("objective"))
        report = {**report, "selection": {**selection, "objective": (labels or {}).get(name, name)}}
    drawn = None
    if points is not None:
        drawn = map_of(points, (report.get("embedding") or {}).get("items") or len(points["id"]))
    return _template().render(
        map=drawn,
        verdict=verdict(report),
        created=report.get("created") or "",
        command=report.get("command") or "",
        warnings=list(report.get("warnings") or []),
        tiles=_tiles(report),
        accuracy=_accuracy(report.get("training")),
        funnel=_funnel(report),
        contaminated=_contaminated(report.get("against") or {}),
        rejected=sorted((corpus.get("rejected_by_reason") or {}).items(), key=lambda pair: (-pair[1], pair[0])),
        groups=list(corpus.get("largest_groups") or []),
        selection=_selection(report.get("selection")),
        profile=_profile(report),
        per_group=_per_group(report.get("selection") or {}),
        statuses=sorted((report.get("statuses") or {}).items(), key=lambda pair: -pair[1]),
        seconds=stage_times(report),
        memory=_memory(report),
        settings=_settings(report),
        versions=sorted((report.get("versions") or {}).items()),
        count=count,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    script, digest = map_script()
    parts = ("head.html", "macros.html", "top.html", "map.html", "statuses.html")
    return template("page.html", *parts, map_script=script, map_script_hash=digest)


def _tiles(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the key numbers as (name, value, what it means)."""
    corpus, selection = report.get("corpus") or {}, report.get("selection") or {}
    arms = {arm["arm"]: arm for arm in (report.get("training") or {}).get("arms") or []}
    tiles: list[tuple[str, str, str]] = []
    if "subset" in arms:
        tested = f"on {count((report.get('training') or {}).get('test_rows'))} test rows"
        tiles.append(("Accuracy", percent(arms["subset"]["accuracy"]), f"of the chosen subset, {tested}"))
    if selection:
        total = corpus.get("rows", selection.get("n"))
        share = percent(selection["k"] / total) if total else ""
        tiles.append(("Chosen", count(selection.get("k")), f"of {count(total)} rows{', ' + share if share else ''}"))
    profile = report.get("profile") or {}
    if near_to := profile.get("coverage"):
        means = f"mean cosine of a distinct row to the nearest chosen one; random rows {near_to['random'][-1]:.2f}"
        tiles.append(("Coverage", f"{near_to['chosen'][-1]:.2f}", means))
    if (spared := profile.get("repeats_of_random")) is not None and round(spared) > 0 and selection:
        held = selection.get("chosen_duplicates") or 0
        tiles.append(
            ("Repeats", count(held), f"among the chosen; as many random rows hold some {count(round(spared))}")
        )
    if corpus.get("duplicate_rows") is not None and corpus.get("rows"):
        share = percent(corpus["duplicate_rows"] / corpus["rows"])
        tiles.append(("Repeated rows", count(corpus["duplicate_rows"]), f"{share} of {count(corpus['rows'])} rows"))
    if against := report.get("against"):
        kinds = ", ".join(f"{kind} {count(number)}" for kind, number in against["kinds"].items())
        tiles.append(("Repeat other sets", count(against["rows"]), f"rows left out: {kinds}"))
    if drop := report.get("drop"):
        kinds = ", ".join(f"{kind} {count(number)}" for kind, number in drop["kinds"].items())
        tiles.append(("Doubtful", count(drop["items"]), f"items dropped: {kinds}"))
    if near := report.get("near"):
        left = f"{count(near['kept'])} of {count(near['items'])} items left{recall_note(near)}"
        note = f"cosine of {near['threshold']:g} or more; {left}"
        tiles.append(("Near copies", count(near["near_collapsed"]), note))
    return tiles


def _accuracy(training: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not training or not training.get("arms"):
        return None
    rows = int(training.get("test_rows") or 0)
    shown = []
    for arm in training["arms"]:
        low, high = wilson(arm["accuracy"], rows)
        bar = Bar(
            label=ARM_NAMES.get(arm["arm"], arm["arm"]),
            value=percent(arm["accuracy"]),
            length=round(100 * arm["accuracy"], 2),
            note=f"{count(arm['n'])} rows",
            kind="main" if arm["arm"] == "subset" else "",
            low=round(100 * low, 2),
            high=round(100 * high, 2),
        )
        cells = [
            count(arm["n"]),
            count(arm.get("duplicates_in_training_set")),
            percent(arm["accuracy"], digits=2),
            f"{percent(low)} to {percent(high)}",
            duration(arm.get("seconds", arm.get("seconds_train"))),
        ]
        shown.append((bar, cells))
    return {"arms": shown, "task": training.get("task", ""), "model": training.get("model", ""), "rows": count(rows)}


def _funnel(report: Mapping[str, Any]) -> tuple[Bar, ...]:
    """Return the bars from what was read to what was chosen; a step without a figure is left out."""
    corpus, selection = report.get("corpus") or {}, report.get("selection") or {}
    embedding = report.get("embedding") or {}
    kept = corpus.get("copies") == "keep"
    steps = [
        ("Rows read", corpus.get("rows_read"), _number_of(corpus.get("files"), "file"), ""),
        ("Rejected", corpus.get("rejected"), "could not be used", "bad"),
        ("Copies added", corpus.get("augmented"), "augmentation", "soft"),
        ("Rows", corpus.get("rows"), "usable, with copies", ""),
        ("Embedded", embedding.get("embedded"), "distinct texts", "soft"),
        (
            "Items",
            corpus.get("items", selection.get("n")),
            "every row its own" if kept else "equal texts collapsed",
            "",
        ),
        ("Repeat other sets", (report.get("against") or {}).get("items"), "items left out", "bad"),
        ("Doubtful", (report.get("drop") or {}).get("items"), "items dropped", "bad"),
        ("Leaders", (report.get("near") or {}).get("kept"), "near copies collapsed", ""),
        ("Candidates", _of_several(selection).get("candidates"), "of all partitions", "soft"),
        ("Chosen", selection.get("k"), "", "main"),
    ]
    known = [(name, float(v), note, kind) for name, v, note, kind in steps if v is not None]
    optional = {"Rejected", "Copies added", "Repeat other sets", "Doubtful", "Candidates"}
    return bars([(name, v, count(v), note, kind) for name, v, note, kind in known if v or name not in optional])


def _of_several(selection: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a selection says where there were several partitions: of one it would be said twice."""
    return selection if (selection.get("partitions") or 1) > 1 else {}


def _selection(selection: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not selection:
        return None
    facts: Pairs = [
        ("Objective", str(selection.get("objective"))),
        ("λ", _plain(selection.get("lam"))),
        ("Items to be represented", count(selection.get("represented"))),
        ("In partitions", _plain(selection.get("represented_in_partitions"))),
        ("Mode", f"{selection.get('mode')}, {_number_of(selection.get('partitions'), 'partition')}"),
        ("Rounds", count(selection.get("rounds"))),
        ("f of the chosen", amount(selection.get("value"))),
        (
            "f of random items" + (", expected" if selection.get("random_is_expected", True) else ", drawn once"),
            amount(selection.get("random_value")),
        ),
        *(_of_partitions(selection) if _of_several(selection) else []),
        ("Picks with negative gain", count(selection.get("negative_gains"))),
        ("Chosen rows that repeat a text", count(selection.get("chosen_duplicates"))),
        *_limit_facts(selection.get("limits") or {}),
        *_aim_facts(selection),
    ]
    certificate = [(_words(name), _plain(value)) for name, value in (selection.get("certificate") or {}).items()]
    gains = selection.get("gains") or []
    step = max(1, -(-len(gains) // 10))
    return {
        "facts": [pair for pair in facts if pair[1] not in ("–", "None")],
        "certificate": certificate,
        "curve": gain_curve(gains),
        "table": [(count(rank + 1), amount(gain)) for rank, gain in [*gains[:-1:step], *gains[-1:]]],
        "groups": [
            (one["group"] or "(none)", count(one["chosen"]), count(one["floor"]), count(one["quota"]))
            for one in (selection.get("limits") or {}).get("groups", [])
            if selection.get("per") is None
        ],
        "sample": [{**row, "rank": row["rank"] + 1} for row in selection.get("sample") or []],
        "k": count(selection.get("k")),
    }


def _aim_facts(selection: Mapping[str, Any]) -> Pairs:
    """Return what the chosen items have of a target and of quality, beside what all items have."""

    def beside(means: Mapping[str, float]) -> str:
        return f"{amount(means['chosen'])}, of all items {amount(means['all'])}"

    facts: Pairs = []
    if target := selection.get("target"):
        facts.append(("Target", f"{count(target['queries'])} queries, weight {amount(target['weight'])}"))
        facts.append(("Greatest similarity to the target", beside(target["greatest"])))
        facts.append(("Mean similarity to the target", beside(target["mean"])))
    if quality := selection.get("quality"):
        facts.append(("Mean quality rank, 0 to 1", beside(quality["rank"])))
        facts.append(("Quality weight", f"{amount(quality['weight'])} of {amount(quality['unit'])} a pick"))
    return [
        *facts,
        *((f"f from {name}", amount(value)) for name, value in (selection.get("value_parts") or {}).items()),
    ]


def _of_partitions(selection: Mapping[str, Any]) -> Pairs:
    """Return what is worth telling where there were several partitions."""
    share = selection.get("share_of_centralized")
    return [
        ("Best partition alone", amount(selection.get("best_local_value"))),
        ("f of centralized greedy", amount(selection.get("centralized_value"))),
        ("Share of it that was reached", "–" if share is None else percent(share, digits=2)),
    ]


def _profile(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is shown of the subset beside the corpus."""
    profile = report.get("profile")
    if not profile:
        return None
    near_to = profile["coverage"]
    step = max(1, -(-len(near_to["k"]) // 8))
    repeats = near_to.get("repeats_of_random") or [None] * len(near_to["k"])
    lines = list(zip(near_to["k"], near_to["chosen"], near_to["random"], repeats, strict=False))
    total, k = (report.get("corpus") or {}).get("rows") or 1, (report.get("selection") or {}).get("k") or 1
    quality = profile.get("quality") or {}
    labels, groups = profile.get("labels") or [], profile.get("groups") or []
    kinds = [
        (title, name, [(one["name"] or "(none)", *_before_after(one, total, k)) for one in lines])
        for title, name, lines in (
            ("Labels", "Label", labels),
            ("Groups", "Group", groups if groups != labels else []),
            ("Quality", "Score", quality.get("intervals") or []),
        )
    ]
    return {
        "curve": coverage_curve(near_to["k"], near_to["chosen"], near_to["random"]),
        "table": [
            (count(k), f"{a:.3f}", f"{b:.3f}", "" if c is None else f"{c:,.0f}")
            for k, a, b, c in [*lines[:-1:step], *lines[-1:]]
        ],
        "repeats": any(repeats),
        "sample": count(near_to["sample"]),
        "kinds": [(title, name, rows) for title, name, rows in kinds if rows],
        "quartiles": [
            (title, [(when, *(shown(one) for one in spread[key])) for when, key in WHEN if spread[key]])
            for title, spread, shown in (
                ("Words a text", profile.get("words"), "{:,.0f}".format),
                (f"Quality{_missing(quality)}", quality, "{:.4g}".format),
            )
            if spread
        ],
        "near_groups": profile.get("near_groups") or [],
    }


def _per_group(selection: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is shown of groups that were chosen from on their own: the largest, and the least well covered."""
    told = selection.get("groups")
    if selection.get("per") is None or not told:
        return None

    def rows(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
        return [
            (
                one["group"] or "(none)",
                *(count(one[name]) for name in ("rows", "near_copies", "chosen")),
                "" if one["cosine"] is None else f"{one['cosine']:.2f}",
            )
            for one in lines
        ]

    total, half = selection["limits"]["n_groups"], told["chosen"]
    about = (
        f"{count(total)} groups of {selection['per']}; the middle half of them have {half[0]:,.0f} to {half[2]:,.0f} "
        f"chosen rows of {told['rows'][0]:,.0f} to {told['rows'][2]:,.0f}."
    )
    tables = [("The largest", rows(told["largest"])), ("The least well covered", rows(told["furthest"]))]
    return {"about": about, "tables": tables if total > len(told["furthest"]) else [("Groups", tables[0][1])]}


def _contaminated(against: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the first rows that repeat another set: row, where the other is, how, and what both have."""
    return [
        (count(one["id"]), f"{os.path.basename(one['file'])}, line {count(one['line'])}", one["kind"], one["evidence"])
        for one in against.get("shown") or []
    ]


def _missing(quality: Mapping[str, Any]) -> str:
    return f" ({count(quality['missing'])} rows have none)" if quality.get("missing") else ""


def _before_after(one: Mapping[str, Any], total: int, k: int) -> tuple[str, str, str, str]:
    before, after = one["before"] / total, one["after"] / k
    return count(one["before"]), percent(before), count(one["after"]), percent(after)


def _limit_facts(limits: Mapping[str, Any]) -> Pairs:
    """Return what limits other than k were kept."""
    facts: Pairs = [
        (name, count(limits[key]))
        for name, key in (("Included", "included"), ("Excluded", "excluded"), ("Groups", "n_groups"))
        if limits.get(key)
    ]
    if "budget" in limits:
        facts.append(("Cost", f"{amount(limits['cost'])} of a budget of {amount(limits['budget'])}"))
    return facts


def stage_times(report: Mapping[str, Any]) -> tuple[tuple[Bar, ...], str]:
    """Return a bar for the seconds of each stage, as taken and as planned, and a sentence on the seconds of all."""
    planned, rows = (report.get("plan") or {}).get("seconds") or {}, []
    seconds = {name: float(one) for name, one in (report.get("seconds") or {}).items() if one is not None}
    earlier, resumed = (report.get(name) or () for name in ("earlier", "resumed"))
    for name, value in seconds.items():
        notes = ((f"planned: {duration(planned.get(name))}", name in planned), ("its last part", name in resumed),
                 ("by an earlier start", name in earlier))  # fmt: skip
        said = "; ".join(note for note, true in notes if true)
        rows.append((STAGES.get(name, _words(name)), value, duration(value), said, ""))
    before = [value for name, value in seconds.items() if name in earlier]
    whole = duration(sum(value for name, value in seconds.items() if name not in earlier))
    if not before:
        return bars(rows), f"{whole} in all stages."
    return bars(rows), f"{whole} in the last start, and {duration(sum(before))} in stages that earlier ones finished."


def _memory(report: Mapping[str, Any]) -> tuple[Bar, ...]:
    """Return the largest process of each stage, and what the plan had said."""
    predicted = ((report.get("plan") or {}).get("stages") or {}) | (report.get("predicted_peaks") or {})
    rows = []
    for name, peak in (report.get("peaks") or {}).items():
        said = f"planned: {show_bytes(predicted[name])}" if name in predicted else ""
        rows.append((STAGES.get(name, _words(name)), float(peak), show_bytes(peak), said, ""))
    return bars(rows)


def _settings(report: Mapping[str, Any]) -> list[tuple[str, Pairs]]:
    stages = []
    for name, fields in (report.get("config") or {}).items():
        if fields:
            stages.append((_words(name), [(field, _plain(value)) for field, value in fields.items()]))
    embedding = {key: value for key, value in (report.get("embedding") or {}).items() if value is not None}
    if embedding:
        stages.append(("Embedding as done", [(key, _plain(value)) for key, value in embedding.items()]))
    return stages


def _number_of(value: int | None, noun: str) -> str:
    return "" if value is None else counted(value, noun)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _plain(value: object) -> str:
    """Write any value of JSON on one line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence):
        return ", ".join(_plain(one) for one in value) or "–"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
