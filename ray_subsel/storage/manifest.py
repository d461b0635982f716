"""Keep ``manifest.json``: what a run directory holds, of which settings and input, and how far it got.

Every stage has a fingerprint of its settings, its input and the fingerprint of the stage before. A stage with the same
fingerprint is resumed or, when it is done, taken as it is; a stage with another one is never mixed with: the run stops
and says what differs, or, with ``overwrite``, replaces that stage and those after it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.hashing import fingerprint
from ray_subsel.core.system_errors import unusable
from ray_subsel.core.uris import all_without_secrets
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.storage.sealing import Seals, changed, seals_of

NAME = "manifest.json"
SCHEMA = 1

TIMES = "times"
"""Where ``about`` keeps which stages the last start that finished any has finished, and its other seconds by name."""
REPORTS = ("report.json", "report.html", "README.md")
_READ_ONLY: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class StageEntry:
    """The state of one stage.

    Attributes
    ----------
    settings : dict
        What decides its result: fields of its configuration and fingerprints of its input.
    done : bool
    seconds : float
        Wall time of the start that finished it.
    facts : dict
        What the report says of it.
    free : bool
        Its run failed and left nothing that took long: other settings may replace it unasked.
    outputs : dict
        Bytes and hash of each file that it wrote (:mod:`ray_subsel.storage.sealing`); empty until it is sealed, and in
        directories of versions before.
    resumed : bool
        A start before the one that finished it had begun it; how long that one worked on it is not known.
    """

    settings: dict[str, Any]
    done: bool = False
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    free: bool = False
    outputs: Seals = field(default_factory=dict)
    resumed: bool = False

    @property
    def fingerprint(self) -> str:
        """A hash of the settings."""
        return fingerprint(self.settings)


class Manifest:
    """The manifest of one run directory, written after every change.

    Attributes
    ----------
    run : RunDir
    about : dict
        The last command, settings and versions.
    stages : dict of str to StageEntry
    layout : mapping of str to tuple of str
        What each stage writes, in the order of the stages. Without it the manifest can be read only.
    finished : list of str
        The stages that were finished since the manifest was opened, in their order.
    """

    def __init__(
        self, run: RunDir, about: dict[str, Any], stages: dict[str, StageEntry], layout: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.run = run
        self.about = about
        self.stages = stages
        self.layout = layout
        self.finished: list[str] = []
        self._begun: set[str] = set()

    @staticmethod
    def open(run: RunDir, layout: Mapping[str, tuple[str, ...]] = _READ_ONLY) -> Manifest:
        """Read the manifest, or begin one in a directory that is empty or not there yet.

        Raises
        ------
        InputError
            Where the directory holds other things: they are not ours to mix with, let alone to delete.
        """
        if _is_there(run):
            content = run.read_json(NAME)
            if not isinstance(content, dict) or content.get("schema") != SCHEMA:
                found = content.get("schema") if isinstance(content, dict) else type(content).__name__
                raise invalid(f"schema of {run.path(NAME)}", f"be {SCHEMA}", found, "Use another --out.")
            stages = {name: StageEntry(**stage) for name, stage in content["stages"].items()}
            return Manifest(run, content["about"], stages, layout)
        if run.exists("") and (found := [name for name in run.names() if not name.startswith(".")]):
            raise invalid(
                "out", "be empty, new, or the directory of a run", f"{run.path()} with {found[0]}", "Use another --out."
            )
        return Manifest(run, {}, {}, layout)

    @staticmethod
    def load(run: RunDir, layout: Mapping[str, tuple[str, ...]] = _READ_ONLY) -> Manifest:
        """Read the manifest of a run that must be there."""
        if not _is_there(run, "directory", "Make one with subsel run, embed or select."):
            way = "Make one with subsel run, embed or select."
            raise invalid("directory", "hold a run (a manifest.json)", run.path(), way)
        return Manifest.open(run, layout)

    def save(self) -> None:
        """Write ``manifest.json``."""
        stages = {
            name: {"settings": s.settings, "done": s.done, "seconds": s.seconds, "facts": s.facts, "outputs": s.outputs}
            | {name: True for name in ("free", "resumed") if getattr(s, name)}
            for name, s in self.stages.items()
        }
        self.run.write_json(NAME, all_without_secrets({"schema": SCHEMA, "about": self.about, "stages": stages}))

    def enter(self, name: str, settings: dict[str, Any], *, overwrite: bool) -> StageEntry:
        """Return the stage as it stands, after making sure that what is on disk belongs to these settings."""
        stage = self.stages.get(name)
        if stage is not None and stage.settings == settings:
            self.stages[name] = dataclasses.replace(stage, free=False)
            return self.stages[name]
        if stage is not None:
            if not (overwrite or stage.free):
                raise InputError(
                    f"out must be this run's own directory; {self.run.path()} holds a run of other settings "
                    f"({_difference(name, stage.settings, settings)}). Use another --out, or --overwrite to replace "
                    f"{', '.join(self._from(name))} there."
                )
            self.discard(name)
        for output in self.layout[name]:
            self.run.delete(output)  # what nothing claims is left of a run that was killed while it was replaced
        self.stages[name] = StageEntry(settings)
        self._begun.add(name)
        self.save()
        return self.stages[name]

    def finish(self, name: str, *, seconds: float, facts: dict[str, Any]) -> StageEntry:
        """Mark a stage as done."""
        resumed = name not in self._begun
        self.stages[name] = StageEntry(self.stages[name].settings, True, round(seconds, 3), facts, resumed=resumed)
        self.finished.append(name)
        self.about[TIMES] = {"stages": list(self.finished), "seconds": {}}
        self.save()
        return self.stages[name]

    def release(self, names: Iterable[str]) -> None:
        """Let other settings replace these stages: a run that failed stands in nobody's way."""
        for name in names:
            self.stages[name] = dataclasses.replace(self.stages[name], free=True)
        self.save()

    def seal(self) -> None:
        """Keep what identifies the files of each stage that is done, unless that is known."""
        for name, stage in self.stages.items():
            if stage.done and not stage.outputs and (seals := seals_of(self.run, self.layout[name])):
                self.stages[name] = dataclasses.replace(stage, outputs=seals)
                self.save()

    def unseal(self, name: str) -> None:
        """Forget what identifies the files of a stage, before another writes them in another order."""
        if self.stages[name].outputs:
            self.stages[name] = dataclasses.replace(self.stages[name], outputs={})
            self.save()

    def changed(self, name: str) -> dict[str, str]:
        """Return the files of a stage that are not what it wrote, each with what is wrong."""
        return changed(self.run, self.stages[name].outputs)

    def require(self, *, folders: Sequence[str] = ()) -> None:
        """Raise InputError where a file of the directory itself, or of some folders, is not what the run wrote."""
        for stage in self.stages.values():
            asked = {name: seal for name, seal in stage.outputs.items() if name.partition("/")[0] in (name, *folders)}
            for name, wrong in changed(self.run, asked).items():
                again = self.about.get("command") or "the same command"
                raise InputError(f"{self.run.path(name)} {wrong}. Run this again, which makes it anew: {again}")

    def discard(self, name: str) -> None:
        """Delete what a stage and those after it wrote."""
        for later in self._from(name):
            self.stages.pop(later, None)
        self.save()  # first the claim, then the files: a kill in between leaves files that nothing claims
        for later in self._from(name):
            for output in self.layout[later]:
                self.run.delete(output)
        for output in REPORTS:
            self.run.delete(output)

    def leave_out(self, name: str) -> None:
        """Forget a stage that the run goes without, and delete what it wrote; the stages after it stay."""
        if name not in self.stages:
            return
        self.stages.pop(name)
        self.save()
        for output in self.layout[name]:
            self.run.delete(output)

    def _from(self, name: str) -> list[str]:
        names = list(self.layout)
        return names[names.index(name) :]


def _is_there(run: RunDir, parameter: str = "out", way: str = "Use another --out.") -> bool:
    """Tell whether there is a manifest, in a directory that may be used."""
    try:
        if run.is_file(""):
            raise invalid(parameter, "be a directory", run.path(), way)
        return run.exists(NAME)
    except OSError as error:
        what = f"{parameter} {run.path()} could not be used as a directory"
        raise unusable(what, error, way.rstrip(".")) from error


def _difference(stage: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Say which settings differ, at most three of them."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    shown = [f"{stage}.{key}: {_short(old.get(key))} there, {_short(new.get(key))} here" for key in keys[:3]]
    return "; ".join(shown)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@contextlib.contextmanager
def locked(run: RunDir) -> Iterator[None]:
    """Hold a local run directory for one process at a time, and delete what one that was killed left half-written.

    The system lets go of it when the process dies. Object stores have no such lock: there two runs of one directory are
    the user's to avoid.
    """
    path = run.local_path(".lock")
    if path is None:
        run.sweep()
        yield
        return
    import fcntl

    try:
        os.makedirs(run.path(), exist_ok=True)
        handle = open(path, "w")  # noqa: SIM115 - held until the block ends
    except OSError as error:
        raise invalid("out", "be a directory that can be written", run.path(), f"({error})") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{run.path()} is in use by another run of this program; wait for it or stop it."
            ) from error
        run.sweep()
        yield
