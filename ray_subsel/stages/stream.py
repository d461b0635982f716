"""Select rows while they arrive: ``subsel stream``.

A directory has ``events.jsonl`` (what was accepted and evicted, in order), ``rejected.jsonl``, ``state.npz`` and, at
the end, ``selection.jsonl`` (the kept rows in greedy order) and ``report.json``. The state is one file, written whole:
the selector, how far the input was read, and how long the two logs are. A run that goes on cuts the logs to that
length, reads on from there and decides as before; so each event is in ``events.jsonl`` once. Standard output cannot be
cut: what was written to it behind the last checkpoint comes again, under the same numbers.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, fingerprint_fields
from ray_subsel.config.stream import StreamConfig
from ray_subsel.constraints.spec import parse_counts
from ray_subsel.core.errors import invalid
from ray_subsel.core.numeric import as_number
from ray_subsel.core.types import Float32s, Float64s
from ray_subsel.core.uris import all_without_secrets
from ray_subsel.corpus.batches import Reject
from ray_subsel.corpus.columns import originals_of
from ray_subsel.corpus.resolve import is_open
from ray_subsel.corpus.values import to_json
from ray_subsel.embedders.base import Embedder
from ray_subsel.embedders.registry import build_embedder
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, Objective
from ray_subsel.runtime.progress import log_line
from ray_subsel.stages.stream_input import Arrival, Position, StreamInput
from ray_subsel.stages.stream_log import LineLog
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.streaming import StreamSelector
from ray_subsel.streaming.rules import Rule, Swap, ThreeSieves
from ray_subsel.streaming.saved import read_state, state_bytes

STATE, EVENTS, REJECTED, SELECTION, REPORT = (
    "state.npz", "events.jsonl", "rejected.jsonl", "selection.jsonl", "report.json",
)  # fmt: skip
Write = Callable[[bytes], None]


@dataclass
class Progress:
    """What a state holds beside the selector.

    Attributes
    ----------
    position : Position
    events, events_bytes, rejected_bytes : int
        Events so far, and lengths of the logs.
    reasons : dict
        Rejected rows by reason.
    rows : dict
        The kept rows, as they arrived, by id.
    """

    position: Position = field(default_factory=Position)
    events: int = 0
    events_bytes: int = 0
    rejected_bytes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rows: dict[int, Any] = field(default_factory=dict)


@dataclass
class StreamRun:
    """One stream into one directory.

    Attributes
    ----------
    corpus, embed, stream, runtime : configurations
    stdin : binary stream
    write : callable
        Takes the events for standard output.
    watch : callable or None
        Told of the state's file: :class:`ray_subsel.storage.run_directory.RunDir`.
    """

    corpus: CorpusConfig
    embed: EmbedConfig
    stream: StreamConfig
    runtime: RuntimeConfig
    stdin: BinaryIO
    write: Write
    watch: Callable[[str, str], None] | None = None
    embedder: Embedder | None = None

    def run(self) -> dict[str, Any]:
        """Read to the end of the input, and return what the report says."""
        run = RunDir(self.runtime.out, self.watch)
        if "://" in self.runtime.out:
            raise invalid("out", "be a local directory: its logs grow line by line", self.runtime.out)
        self._check()
        selector, progress = self._begin(run)
        source = StreamInput(self.corpus, self.stream.follow, self.stream.idle, self.stream.batch_rows, self.stdin)
        if self.corpus.vectors is not None:
            source.dimension = selector.d
        else:
            self.embedder = build_embedder(self.embed)
        events = LineLog(str(run.local_path(EVENTS)), progress.events_bytes)
        rejected = LineLog(str(run.local_path(REJECTED)), progress.rejected_bytes)
        since = 0
        try:
            for arrival in source.behind(progress.position):
                before = progress.position
                self._take(arrival, selector, progress, events, rejected)
                since += arrival.after.rows - before.rows
                if since >= self.stream.checkpoint_every or before.current != arrival.after.current:
                    self._checkpoint(run, selector, progress, events, rejected)
                    since = 0
            self._checkpoint(run, selector, progress, events, rejected)
        finally:
            events.close()
            rejected.close()
        return self._finish(run, selector, progress, sorted(source.ignored))

    def _check(self) -> None:
        """Raise InputError for settings that a stream cannot have."""
        if self.corpus.task != "text":
            raise invalid("task", "be text in a stream", self.corpus.task)
        if is_open(self.corpus) or self.corpus.template is not None:
            raise invalid("text", "name a column", None, "Use --text COLUMN or --vectors COLUMN.")
        if self.stream.follow is None and self.corpus.format not in ("auto", "jsonl"):
            raise invalid("format", "be jsonl on standard input", self.corpus.format, "Use --follow FOLDER for files.")
        if self.stream.quotas and self.corpus.group is None:
            raise invalid("group", "name a column where quotas are given", None, "Use --group COLUMN.")
        if self.corpus.vectors is None and self.embed.embedder_class.state_file:
            way = "Use minilm or bert, or --vectors COLUMN."
            raise invalid("embedder", "need no corpus to be fitted to, in a stream", self.embed.embedder, way)

    def _settings(self) -> dict[str, Any]:
        """Return what decides the result, ready for JSON."""
        parts: Iterable[Any] = (self.corpus, self.stream) if self.corpus.vectors else (
            self.corpus, self.stream, self.embed,
        )  # fmt: skip
        return json.loads(json.dumps({type(part).__name__: fingerprint_fields(part) for part in parts}))  # type: ignore[no-any-return]

    def _begin(self, run: RunDir) -> tuple[StreamSelector, Progress]:
        """Return a new selector, or that of the directory."""
        run.filesystem.create_dir(run.path(), recursive=True)
        run.sweep()
        if self.runtime.overwrite or not run.exists(STATE):
            if not self.runtime.overwrite and set(run.names()) - {EVENTS, REJECTED}:
                raise invalid("out", "be empty or hold a stream", self.runtime.out, "Give another --out.")
            for name in (STATE, SELECTION, REPORT):
                run.delete(name)
            return self._selector(), Progress()
        settings, arrays = read_state(run.read_bytes(STATE))
        self._same(settings["config"])
        about = settings["progress"]
        position = Position(**{**about.pop("position"), "done": tuple(about["done"])})
        about.pop("done")
        rows = {int(item): row for item, row in about.pop("rows")}
        progress = Progress(position, rows=rows, **about)
        log_line(f"goes on behind row {position.rows:,}, {progress.events:,} events")
        return StreamSelector.from_bytes(arrays["selector"].tobytes()), progress

    def _same(self, old: dict[str, Any]) -> None:
        """Raise InputError where the directory's settings are others."""
        new = self._settings()
        for part in {**old, **new}:
            for name in {**old.get(part, {}), **new.get(part, {})}:
                before, now = old.get(part, {}).get(name), new.get(part, {}).get(name)
                if before != now:
                    raise invalid(
                        name, f"be {before} as in {self.runtime.out}", now, "Give another --out, or --overwrite."
                    )

    def _selector(self) -> StreamSelector:
        config = self.stream
        assert config.k is not None
        objectives: dict[str, Objective[Any]] = {
            GraphCut.name: GraphCut(config.lam),
            LogDeterminant.name: LogDeterminant(ridge=config.ridge),
            FacilityLocation.name: FacilityLocation(),
        }
        rule: Rule = Swap(config.least_rise)
        if config.rule == ThreeSieves.name:
            rule = ThreeSieves(config.epsilon, config.refusals)
        return StreamSelector(
            config.k, objectives[config.objective], rule=rule, near=config.near,
            quotas=parse_counts(config.quotas, "quota"), sample=config.sample, seed=config.seed,
        )  # fmt: skip

    def _take(
        self, arrival: Arrival, selector: StreamSelector, progress: Progress, events: LineLog, rejected: LineLog
    ) -> None:
        """Decide about some rows, and write what was decided."""
        table, rejects = self._usable(arrival)
        if table.num_rows:
            ids = table.column("id").to_numpy()
            more: dict[str, Any] = {}
            if self.stream.quotas:
                more["groups"] = table.column("group").to_pylist()
            if self.stream.utility is not None:
                more["utility"] = _numbers(table, self.stream.utility)
            decided = selector.partial_fit(self._vectors(table), ids=ids, **more)
            if decided.accepted.size:
                self._write(decided, table, ids, progress, events)
        if rejects:
            rejected.write([{"row": one.row, "reason": one.reason, "detail": one.detail} for one in rejects])
            for one in rejects:
                progress.reasons[one.reason] = progress.reasons.get(one.reason, 0) + 1
        progress.position = arrival.after

    def _write(self, decided: Any, table: pa.Table, ids: Any, progress: Progress, events: LineLog) -> None:
        place = {int(item): at for at, item in enumerate(ids.tolist())}
        rows = originals_of(table.take(pa.array([place[item] for item in decided.accepted.tolist()], pa.int64())))
        lines: list[dict[str, Any]] = []
        for found, item, gone in zip(rows, decided.accepted.tolist(), decided.replaced.tolist(), strict=True):
            row = {name: _plain(value) for name, value in found.items() if name != self.corpus.vectors}
            progress.rows[item] = row
            if gone >= 0:
                out = int(decided.evicted[gone])
                lines.append({"n": progress.events, "event": "evicted", "row": out, "by": item})
                progress.events += 1
                del progress.rows[out]
            lines.append({"n": progress.events, "event": "accepted", "row": item, "data": row})
            progress.events += 1
        self.write(events.write(lines))

    def _usable(self, arrival: Arrival) -> tuple[pa.Table, list[Reject]]:
        """Return the rows whose utility is a number, and the rest."""
        table, name = arrival.table, self.stream.utility
        if name is None or not table.num_rows:
            return table, arrival.rejects
        good = np.isfinite(_numbers(table, name))
        lines, rows = table.column("line").to_pylist(), table.column("id").to_pylist()
        bad = [Reject(lines[at], rows[at], "utility that is no number") for at in np.flatnonzero(~good).tolist()]
        return table.filter(pa.array(good)), sorted([*arrival.rejects, *bad], key=lambda one: one.row)

    def _vectors(self, table: pa.Table) -> Float32s:
        if self.embedder is not None:
            return self.embedder.embed(table.column("text").to_pylist())
        column = table.column("vector").combine_chunks()
        flat = np.asarray(column.flatten(), dtype=np.float32)
        return flat.reshape(table.num_rows, -1)

    def _checkpoint(
        self, run: RunDir, selector: StreamSelector, progress: Progress, events: LineLog, rejected: LineLog
    ) -> None:
        events.sync()
        rejected.sync()
        progress.events_bytes, progress.rejected_bytes = events.size, rejected.size
        about = dataclasses.asdict(progress)
        about["rows"] = [[item, row] for item, row in progress.rows.items()]
        about["done"] = about["position"].pop("done")
        content = np.frombuffer(selector.to_bytes(), dtype=np.uint8)
        run.write_bytes(STATE, state_bytes({"config": self._settings(), "progress": about}, {"selector": content}))

    def _finish(
        self, run: RunDir, selector: StreamSelector, progress: Progress, ignored: list[str]
    ) -> dict[str, Any]:  # fmt: skip
        """Write the kept rows and the report."""
        chosen = selector.selection()
        lines = [
            {"rank": rank, "row": int(item), "gain": float(gain), "data": progress.rows[int(item)]}
            for rank, (item, gain) in enumerate(zip(chosen.ids, chosen.gains, strict=True))
        ]
        run.write_bytes(SELECTION, "".join(to_json(line) + "\n" for line in lines).encode())
        report = {
            "rows": progress.position.rows,
            "rejected": progress.reasons,
            "files": list(progress.position.done),
            "files_ignored": ignored,
            "kept": len(chosen),
            "events": progress.events,
            "refused_near": chosen.refused_near,
            "objective": selector.objective.name,
            "value": chosen.value,
            "settings": self._settings(),
        }
        report = dict(all_without_secrets(report))
        run.write_json(REPORT, report)
        return report


def _numbers(table: pa.Table, name: str) -> Float64s:
    """Return an original column as numbers, NaN where a value is none."""
    return np.array([_number(found.get(name)) for found in originals_of(table, [name])])


def _number(value: Any) -> float:
    """Return a number that may be written as text, as it is in CSV or beside texts in one column; NaN for others."""
    try:
        return float(value) if isinstance(value, str) else float("nan" if as_number(value) is None else value)
    except ValueError:
        return math.nan


def _plain(value: Any) -> Any:
    """Return a value of a row as JSON has it: NaN and infinity are null, what JSON does not know is text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else to_json(value)


def summary(report: dict[str, Any], out: str) -> str:
    """Return a few lines on a stream."""
    rejected = sum(report["rejected"].values())
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report["rejected"].items()))
    lines = [
        f"read      {report['rows']:,} rows, {rejected:,} rejected" + (f": {reasons}" if reasons else ""),
        f"kept      {report['kept']:,} rows after {report['events']:,} events, f = {report['value']:,.1f}; "
        f"{report['refused_near']:,} refused as near copies",
    ]
    if report["files_ignored"]:
        lines.append(
            f"ignored   {len(report['files_ignored']):,} files of no known format: {report['files_ignored'][0]}"
        )
    return "\n".join([*lines, f"results   {out}/{SELECTION}, {EVENTS}"])
