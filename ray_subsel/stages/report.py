"""Publish a run: report.json and report.html from its manifest."""

from __future__ import annotations

from typing import Any

from ray_subsel.core.errors import InputError
from ray_subsel.core.uris import all_without_secrets
from ray_subsel.objectives import OBJECTIVES
from ray_subsel.report import render_html
from ray_subsel.report.card import CARD, render_card
from ray_subsel.stages.map import MAP
from ray_subsel.stages.plan_once import PLAN
from ray_subsel.stages.times import times_of
from ray_subsel.stages.write_subset import SUBSET
from ray_subsel.storage.manifest import Manifest

SCHEMA = 1
SCALE = ("share_of_centralized", "rounds", "candidates", "predicted_peak_bytes", "peak_bytes")
"""What the report says of scale at its top."""


def publish(manifest: Manifest) -> dict[str, Any]:
    """Write report.json and report.html from the manifest, and return the report."""
    stages = manifest.stages
    facts = {name: stage.facts if stage.done else None for name, stage in stages.items()}
    if not facts.get("corpus"):
        raise InputError(f"{manifest.run.path()} must hold a finished stage to report; run the same command again.")
    selection = facts.get("select")
    corpus = dict(facts.get("corpus") or {})
    embedding = facts.get("embed")
    if embedding:
        corpus["items"] = embedding["items"]
        corpus["duplicate_rows"] = corpus["rows"] - embedding["embedded"]
        corpus["copies"] = stages["corpus"].settings["copies"]
    if selection:
        corpus["largest_groups"] = selection["largest_groups"]
    peaks = {name: stage.facts["peak_bytes"] for name, stage in stages.items() if stage.facts.get("peak_bytes")}
    report = {
        "schema": SCHEMA,
        "command": manifest.about.get("command", ""),
        "created": manifest.about.get("created", ""),
        "versions": manifest.about.get("versions", {}),
        "config": manifest.about.get("config", {}),
        "recipe": manifest.about.get("recipe"),
        "value": selection["value"] if selection else None,
        "lift_over_random": selection["lift_over_random"] if selection else None,
        **{name: selection.get(name) if selection else None for name in SCALE},
        "peak_bytes": max(peaks.values(), default=None),
        "peaks": peaks,
        "predicted_peaks": selection.get("predicted_peaks") if selection else None,
        **times_of(manifest),
        "plan": manifest.about.get(PLAN),
        "corpus": corpus,
        "embedding": embedding,
        "against": facts.get("against"),
        "best": facts.get("best"),
        "drop": facts.get("drop"),
        "near": facts.get("near"),
        "selection": selection,
        "profile": facts.get("profile"),
        "statuses": (facts.get("decide") or {}).get("statuses"),
        "training": facts.get("train"),
        "warnings": [warning for fact in facts.values() for warning in (fact or {}).get("warnings", [])],
    }
    report = dict(all_without_secrets(report))
    manifest.run.write_json("report.json", report)
    labels = {name: objective.label or name for name, objective in OBJECTIVES.items()}
    manifest.run.write_bytes("report.html", render_html(report, labels, _points(manifest)).encode())
    if selection and manifest.run.exists(SUBSET):
        manifest.run.write_bytes(CARD, render_card(report, manifest.run.sha256(SUBSET)).encode())
    return report


def _points(manifest: Manifest) -> dict[str, Any] | None:
    """Return the columns of the map, where this run has drawn one."""
    stage = manifest.stages.get("map")
    if stage is None or not stage.done or not manifest.run.exists(MAP):
        return None
    found: dict[str, Any] = manifest.run.read_table(MAP).to_pydict()
    return found
