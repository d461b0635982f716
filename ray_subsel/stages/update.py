"""Bring a finished run up to date, a directory an update: ``subsel update``.

    updates/0001/   rows/, rejected.parquet, embeddings/       the new rows, embedded by the run's embedder
                    items.parquet                              what they are copies of
                    withdrawn.parquet, subset.parquet, changes.parquet, selection.parquet
                    map.parquet, manifest.json, report.json, report.html

Nothing of the run, or of an update before, is written to. A killed update is resumed by the same command; before it is
finished no other may begin.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig
from ray_subsel.config.update import UpdateConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.uris import all_without_secrets, inside
from ray_subsel.corpus.id_lists import NamedRows, read_named
from ray_subsel.corpus.ingest_plan import input_fingerprint
from ray_subsel.decisions.table import DECISIONS
from ray_subsel.planning.later_plan import Growing, plan_update
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy, possible
from ray_subsel.report.update_page import render_update
from ray_subsel.runtime.progress import log_line
from ray_subsel.runtime.ray_session import RaySession
from ray_subsel.stages.base import RunContext, run_stage
from ray_subsel.stages.drop_doubtful import DropDoubtfulStage
from ray_subsel.stages.embed import EmbedStage
from ray_subsel.stages.exclude_contaminated import ExcludeContaminatedStage
from ray_subsel.stages.ingest import IngestStage
from ray_subsel.stages.join_new import JoinStage
from ray_subsel.stages.keep_best import KeepBestStage
from ray_subsel.stages.map import MAP
from ray_subsel.stages.near.task import LEADERS
from ray_subsel.stages.nearest import FOLDER as NEAREST
from ray_subsel.stages.plan_once import PLAN, PlanOnce
from ray_subsel.stages.renew_selection import CHANGES, RenewStage, check_updatable
from ray_subsel.stages.times import keep_times, times_of
from ray_subsel.stages.update_chain import FOLDER, Chain, Part, last_update, update_directory
from ray_subsel.stages.update_map import UpdateMapStage
from ray_subsel.stages.write_subset import SUBSET
from ray_subsel.storage.embedding_store import FOLDER as EMBEDDINGS
from ray_subsel.storage.manifest import TIMES, Manifest, locked
from ray_subsel.storage.run_directory import RunDir, Watch
from ray_subsel.streaming.registry import STREAMED

C = TypeVar("C")
LAYOUT = {stage.name: stage.outputs for stage in (IngestStage, EmbedStage, JoinStage, RenewStage, UpdateMapStage)}
REPORT, PAGE = "report.json", "report.html"


@dataclass(frozen=True)
class RunThere:
    """The settings of the run that is brought up to date.

    Attributes
    ----------
    manifest : Manifest
    corpus : CorpusConfig
    embed : EmbedConfig
    select : SelectConfig
    """

    manifest: Manifest
    corpus: CorpusConfig
    embed: EmbedConfig
    select: SelectConfig

    @staticmethod
    def open(run: RunDir) -> RunThere:
        """Read the manifest of a run, and check that its selection can be brought up to date."""
        manifest = Manifest.load(run)
        settings, stage = manifest.about.get("config") or {}, manifest.stages.get("select")
        if stage is None or not stage.done or not settings.get("select"):
            raise InputError(f"{run.path()} must hold a finished selection. Run subsel select or subsel run first.")
        corpus = _config(CorpusConfig, settings["corpus"])
        embed, select = _config(EmbedConfig, settings["embed"]), _config(SelectConfig, settings["select"])
        leaving = (ExcludeContaminatedStage, KeepBestStage, DropDoubtfulStage)
        left_out = next((stage.name for stage in leaving if stage.name in manifest.stages), "")
        check_updatable(corpus, select, tuple(STREAMED), left_out)
        manifest.require(folders=(*IngestStage.outputs, EMBEDDINGS, LEADERS, NEAREST))
        return RunThere(manifest, corpus, embed, select)


def _config(kind: type[C], fields: dict[str, Any]) -> C:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def update(
    config: UpdateConfig,
    runtime: RuntimeConfig,
    cache: CacheConfig,
    *,
    command: str = "",
    policy: Policy = DEFAULT_POLICY,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Bring the run in ``runtime.out`` up to date and return the report.

    Raises
    ------
    InputError
        For whatever is wrong with the input; what was finished stays and is resumed.
    """
    began = time.perf_counter()
    directory = RunDir(runtime.out, watch)
    there = RunThere.open(directory)
    corpus = dataclasses.replace(there.corpus, data=config.data)
    inputs = input_fingerprint(corpus) if config.data else None
    model = None if corpus.vectors is not None else there.embed.embedder_class.identity(there.embed)
    known = there.manifest.stages["embed"].settings.get("model_fingerprint")
    if config.data and model != known:
        way = "Use the model that has embedded DIR, or select anew."
        raise invalid("DIR", "have been embedded by the model that is there now", known, way)
    removed = NamedRows()
    if config.remove is not None:
        removed = read_named("remove", config.remove, corpus.id, there.manifest.stages["corpus"].settings["input"])
    asked = {
        "input": inputs,
        "k": config.k,
        "removed": fingerprint(list(removed.ids)) if removed.ids else None,
        "least_rise": config.least_rise,
    }
    with locked(directory):
        number = _number(directory, asked, there, overwrite=runtime.overwrite)
        before = Chain.open(directory, number - 1)
        after = _after(directory, number)
        k = _k(config, int(before.chosen().size))
        withdrawn = before.named(removed, corpus.id)
        place = update_directory(directory, number)
        manifest = Manifest.open(place, LAYOUT)
        manifest.about = {
            "command": command,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "asked": asked,
            "after": after,
            **{name: manifest.about[name] for name in (PLAN, TIMES) if name in manifest.about},
        }
        manifest.save()
        full = RunConfig(corpus, there.embed, runtime, command=command, cache=cache)
        with RaySession(runtime, [there.embed.embedder_class] if model is not None else []) as session:
            growing = _growing(there, before, k)
            context = RunContext(
                full, manifest, session, possible(policy), PlanOnce(partial(plan_update, there=growing))
            )
            rows = None
            if inputs is not None:
                rows = run_stage(IngestStage(inputs), context)
                d = before.parts[0].items().d
                if corpus.vectors is not None and rows.dimension != d:
                    manifest.discard(IngestStage.name)  # they are of no update of this run
                    raise invalid("data", f"hold vectors of {d} numbers, as DIR does", rows.dimension)
                store = run_stage(EmbedStage(rows, model, directory), context)
                keep, near = corpus.copies == "keep", there.select.near_threshold
                run_stage(JoinStage(before, rows, store, near, keep, there.select.seed, after), context)
            chain = before.with_part(Part(place, number, before.end, rows))
            renew = RenewStage(chain, before, k, withdrawn, corpus, there.select, config, after)
            run_stage(renew, context)
            run_stage(UpdateMapStage(chain), context)
            keep_times(manifest, time.perf_counter() - began, session.seconds)
        return _publish(manifest, number, chain)


def _growing(there: RunThere, before: Chain, k: int) -> Growing:
    """Return what an update of a run works on."""
    items, chosen, near = before.parts[0].items(), int(before.chosen().size), there.select.near_threshold
    n = items.n + sum(part.rows.n_rows for part in before.parts[1:] if part.rows is not None)
    return Growing(n, items.d, chosen, k, before.end, near is not None)


def _number(run: RunDir, asked: dict[str, Any], there: RunThere, *, overwrite: bool) -> int:
    """Return the number of the update: that of the last one where it was told the same, else the next."""
    last = last_update(run)
    if not last:
        return 1
    manifest = Manifest.load(update_directory(run, last), LAYOUT)
    if manifest.about.get("asked") == asked:
        return last
    stages = manifest.stages
    if RenewStage.name not in stages or not stages[RenewStage.name].done:
        if (manifest.about.get("asked") or {}).get("input") == asked["input"]:
            manifest.discard(RenewStage.name)  # another k or other rows to withdraw: what is embedded stays
            return last
        if not overwrite and any(stage.done for stage in stages.values()):
            raise InputError(
                f"data must be that of update {last:04d} in {run.path()}, which is not finished: "
                f"{manifest.about.get('command')}. Run that again, or use --overwrite to drop it."
            )
        run.delete(f"{FOLDER}/{last:04d}")
        return last
    inputs = {0: there.manifest.stages["corpus"].settings["input"]}
    for number in range(1, last + 1):
        about = Manifest.load(update_directory(run, number)).about
        inputs[number] = about["asked"]["input"]
    for number, old in inputs.items():
        if asked["input"] is not None and old == asked["input"]:
            where = f"update {number:04d}" if number else "the run"
            raise invalid("data", "hold rows that DIR does not have yet", f"those of {where}", "Leave them out.")
    return last + 1


def _k(config: UpdateConfig, before: int) -> int:
    """Return how many rows to have chosen."""
    if config.k is not None and config.k < before:
        way = "Take the first rows of selection.parquet, or select anew."
        raise invalid("k", f"be at least the {before} rows that are chosen", config.k, way)
    return config.k or before


def _after(run: RunDir, number: int) -> str:
    """Return the fingerprint of the selection before an update, once each update is known to be of the one before."""
    found = Manifest.load(run).stages["select"].fingerprint
    for one in range(1, number):
        manifest = Manifest.load(update_directory(run, one))
        if manifest.about.get("after") != found:
            raise InputError(
                f"{update_directory(run, one).path()} must be of the selection in {run.path()}; that was made anew "
                f"since. Delete {run.path(FOLDER)} and update again."
            )
        manifest.require(folders=(*IngestStage.outputs, EMBEDDINGS))
        found = manifest.stages[RenewStage.name].fingerprint
    there = update_directory(run, number)
    if there.exists("manifest.json") and Manifest.load(there).about.get("after") != found:
        raise InputError(
            f"{there.path()} must be of the selection in {run.path()}; that was made anew since. "
            f"Delete {run.path(FOLDER)} and update again."
        )
    return found


def _publish(manifest: Manifest, number: int, chain: Chain) -> dict[str, Any]:
    """Write the report of an update and its page, and return the report."""
    stages = manifest.stages
    report: dict[str, Any] = {
        "update": number,
        "command": manifest.about["command"],
        "created": manifest.about["created"],
        **times_of(manifest),
        "plan": manifest.about.get(PLAN),
        **{name: stages[name].facts if name in stages else None for name in LAYOUT},
    }
    report = dict(all_without_secrets(report))
    manifest.run.write_json(REPORT, report)
    shown = report["renew"]["changes"]
    texts = chain.texts(np.array([one["id"] for one in shown], dtype=np.int64)) if shown else []
    changes = [one | {"text": text} for one, text in zip(shown, texts, strict=True)]
    page = report | {"renew": report["renew"] | {"changes": changes}}
    manifest.run.write_bytes(PAGE, render_update(page, manifest.run.read_table(MAP).to_pydict()).encode())
    for warning in report["renew"]["warnings"]:
        log_line(f"warning   {warning}")
    return report


def summary(report: dict[str, Any], out: str) -> str:
    """Return a few lines on an update."""
    corpus, embed, join, renew = (report[name] for name in ("corpus", "embed", "join", "renew"))
    lines = [f"update    {report['update']:04d} of {out}"]
    if corpus is not None:
        lines.append(
            f"new       {corpus['rows']:,} rows, {corpus['rejected']:,} rejected, {embed['embedded']:,} embedded, "
            f"{join['joined_old']:,} joined old items and {join['joined_new']:,} each other"
        )
    if renew["items_withdrawn"] or renew["withdrawn_before"]:
        lines.append(
            f"withdrawn {renew['rows_withdrawn']:,} rows of {renew['items_withdrawn']:,} items; "
            f"{renew['withdrawn_before']:,} items were before"
        )
    lines.append(
        f"chosen    {renew['chosen']:,} of {renew['items']:,} items, {renew['left']:,} left and {renew['came']:,} "
        f"came; f = {renew['value']:,.1f}"
    )
    place = inside(out, f"{FOLDER}/{report['update']:04d}")
    lines.append(f"rows      {inside(place, SUBSET)}; why: {inside(place, DECISIONS)}")
    lines.append(f"changes   {inside(place, CHANGES)}")
    return "\n".join([*lines, f"report    {inside(place, PAGE)}"])
