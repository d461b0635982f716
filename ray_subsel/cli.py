"""Run ``subsel``, the command line. Every flag is a field of a configuration, with that field's help and default.

Exit status: 0 done; 2 unusable input or settings, one line on standard error; 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import typing
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from ray_subsel.config import CorpusConfig, EmbedConfig, RunConfig, RuntimeConfig, SelectConfig, TrainConfig
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.embedders import EMBEDDERS
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy
from ray_subsel.storage.run_directory import Watch

C = TypeVar("C")

EXAMPLES = """examples:
  subsel run stories.csv --test test.csv --task story-cloze --fraction 0.1 --out runs/stories
  subsel select corpus.jsonl --text body --k 10000 --out runs/body
  subsel select corpus.jsonl --text body --near 0.9 --objective facility_location --fraction 0.05 --out runs/near
  subsel select corpus.jsonl --text body --group source --quota proportional --include keep.txt --k 900 --out runs/g
  subsel select 'vectors/*.parquet' --vectors embedding --fraction 0.05 --partitions 16 --out runs/vectors
  subsel plan 'vectors/*.parquet' --vectors embedding --fraction 0.05 --memory-limit 3GiB
  subsel embed corpus.jsonl --text body --out runs/body
  subsel finetune runs/stories --test test.csv --arm full
  subsel report runs/stories
  subsel experiment story-cloze stories.csv --test test.csv --study claim --seeds 10 --out runs/claim

The same command again resumes a run that was stopped. Results are in DIR: selection.parquet (rank, id, gain, ...),
subset.parquet (the rows), report.html, report.json."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help tells more)")


def _parse_lam(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number >= 0 or auto; got {text!r}") from None


def _flag(field: dataclasses.Field[Any]) -> str:
    return "--" + (field.metadata["flag"] or field.name).replace("_", "-")


def _add_flags(parser: argparse.ArgumentParser, config: type, *, title: str, skip: Sequence[str] = ()) -> None:
    """Add one flag a field; a flag that another stage has too (``--seed``) is one flag for both."""
    group = parser.add_argument_group(title)
    types = typing.get_type_hints(config)
    taken = parser._option_string_actions
    for field in dataclasses.fields(config):
        if field.name in skip or _flag(field) in taken:
            continue
        about = field.metadata["help"]
        default = field.default
        if default not in (None, (), "", False):
            shown = " ".join(default) if isinstance(default, tuple) else default
            about += f" (default: {shown})"
        settings: dict[str, Any] = {"dest": field.name, "help": about, "default": argparse.SUPPRESS}
        kind = types[field.name]
        if kind is bool:
            settings["action"] = "store_true"
        elif field.name == "lam":
            settings |= {"type": _parse_lam, "metavar": "L"}
        else:
            inner = [one for one in typing.get_args(kind) if one not in (type(None), Ellipsis)]
            base = inner[0] if inner else kind
            settings["type"] = base
            settings["metavar"] = field.metadata["metavar"] or {int: "N", float: "X", str: "NAME"}[base]
            if typing.get_origin(kind) is tuple:
                settings["action"] = "append"
        group.add_argument(_flag(field), **settings)


def _build(config: type[C], given: dict[str, Any], **more: Any) -> C:
    """Build a configuration from the flags that were given."""
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if name in names}
    return config(**{**values, **more})


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = _Parser(
        prog="subsel",
        description="Choose a small subset of a large, redundant text corpus that trains a model as well as the whole.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from ray_subsel import __version__

    parser.add_argument("--version", action="version", version=f"subsel {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    stages: dict[str, tuple[str, Sequence[tuple[type, str]]]] = {
        "run": (
            "the whole way: read, embed, select and, with --test, fine-tune and compare",
            [
                (CorpusConfig, "corpus"),
                (EmbedConfig, "embedding"),
                (SelectConfig, "selection"),
                (TrainConfig, "training"),
            ],
        ),
        "embed": ("read a corpus and embed it", [(CorpusConfig, "corpus"), (EmbedConfig, "embedding")]),
        "select": (
            "read, embed and select, without training",
            [(CorpusConfig, "corpus"), (EmbedConfig, "embedding"), (SelectConfig, "selection")],
        ),
    }
    for name, (about, configs) in stages.items():
        command = commands.add_parser(name, help=about, description=about.capitalize() + ".")
        command.add_argument("data", nargs="+", metavar="DATA", help="files, folders or globs; quote a glob")
        _add_flags(command, RuntimeConfig, title="where", skip=() if name == "run" else ("train_workers",))
        for config, title in configs:
            _add_flags(command, config, title=title, skip=("data",))
    plan = commands.add_parser(
        "plan",
        help="tell what a selection would take, and whether it fits into memory; nothing is written",
        description="Tell partitions, rounds, memory and time of a selection, or how to make it fit. Reads what "
        "it must to count rows.",
    )
    plan.add_argument("data", nargs="+", metavar="DATA", help="files, folders or globs; quote a glob")
    idle = tuple(field.name for field in dataclasses.fields(RuntimeConfig) if field.name != "memory_limit")
    _add_flags(plan, RuntimeConfig, title="where", skip=idle)
    for config, title in stages["select"][1]:
        _add_flags(plan, config, title=title, skip=("data",))
    tune = commands.add_parser(
        "finetune",
        help="fine-tune on the subset that a run has selected, and on others beside it",
        description="Fine-tune on what DIR has selected. Where no flag says otherwise, the settings are those of the "
        "training that DIR has had. Arms that are done are not trained again.",
    )
    tune.add_argument("out", metavar="DIR", help="directory of a run that has selected")
    _add_flags(tune, RuntimeConfig, title="where", skip=("out", "workers"))
    _add_flags(tune, TrainConfig, title="training")
    report = commands.add_parser("report", help="write the report of a run, or of an experiment, again")
    report.add_argument(
        "out", metavar="DIR", help="directory of a run; or of an experiment: its results.json is enough"
    )
    _add_experiment(commands)
    return parser


def _add_experiment(commands: Any) -> None:
    from ray_subsel.experiments.studies import StudyConfig

    about = "compare ways to choose over seeds, by fine-tuning or by a fast probe; finished cells are kept"
    command = commands.add_parser("experiment", help=about, description=about.capitalize() + ".")
    command.add_argument(
        "data",
        nargs="+",
        metavar="DATA",
        help="files to train on; story-cloze before them stands for --task story-cloze",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="directory of the experiment")
    command.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads of the encoder (default: 1)")
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="Ray tasks at a time, each a draw of the probe or one fine-tuning; default: no Ray, or with --address as "
        "many as there are CPUs. Seconds are then taken beside other tasks",
    )
    command.add_argument(
        "--address",
        metavar="ADDRESS",
        help="Ray: local, auto (the cluster of a submitted job, else local), or an address; nodes must see DIR",
    )
    _add_flags(command, StudyConfig, title="study")
    # a study makes its own copies, draws its own seeds and compares its own methods
    _add_flags(
        command,
        CorpusConfig,
        title="corpus",
        skip=("data", "vectors", "group", "id", "copies", "augment", "augment_share", "augment_copies", "seed"),
    )
    _add_flags(command, EmbedConfig, title="embedding", skip=("seed", "vectors_dtype"))
    _add_flags(command, TrainConfig, title="training", skip=("arms", "train_seed"))


def _experiment(given: dict[str, Any]) -> str:
    from ray_subsel.experiments.experiment import ExperimentConfig, run
    from ray_subsel.experiments.studies import StudyConfig

    if given["data"][0] == "story-cloze":
        if given.setdefault("task", "story-cloze") != "story-cloze":
            raise InputError(f"task must be story-cloze after the word story-cloze; got {given['task']}.")
        given["data"] = given["data"][1:]
    config = ExperimentConfig(
        corpus=_build(CorpusConfig, given),
        embed=_build(EmbedConfig, given),
        train=_build(TrainConfig, given),
        study=_build(StudyConfig, given),
        out=given["out"],
        threads=given["threads"],
        workers=given["workers"],
        address=given["address"],
    )
    return run(config)


def _finetune_config(given: dict[str, Any], command: str) -> RunConfig:
    """Return the run's own settings, those of its training changed by the flags given."""
    from ray_subsel.storage.manifest import Manifest
    from ray_subsel.storage.run_directory import RunDir

    manifest = Manifest.load(RunDir(given["out"]))
    settings = manifest.about.get("config", {})
    select = manifest.stages.get("select")
    if select is None or not select.done or not settings.get("select"):
        raise InputError(f"{given['out']} must hold a finished selection. Run subsel select or subsel run first.")
    embed, train = settings["embed"], _build(TrainConfig, {**(settings.get("train") or {}), **given})
    if embed["embedder"] not in EMBEDDERS:  # a file must not decide which module is imported
        if train.train_model is None:
            way = "Use --train-model NAME."
            raise invalid("train_model", f"be given where {embed['embedder']} has embedded", None, way)
        embed = {**embed, "embedder": EmbedConfig.embedder}
    return RunConfig(
        corpus=_build(CorpusConfig, settings["corpus"]),
        embed=_build(EmbedConfig, embed),
        train=train,
        runtime=_build(RuntimeConfig, given),
        command=command,
    )


def _run_config(name: str, given: dict[str, Any], command: str) -> RunConfig:

    train_flags = {field.name for field in dataclasses.fields(TrainConfig)}
    wants_training = name == "run" and "test" in given
    if name == "run" and not wants_training and (idle := sorted(train_flags & given.keys())):
        raise InputError(f"{', '.join(idle)} must come with --test FILE: nothing is trained without it.")
    return RunConfig(
        corpus=_build(CorpusConfig, given),
        embed=_build(EmbedConfig, given),
        select=None if name == "embed" else _build(SelectConfig, given),
        train=_build(TrainConfig, given) if wants_training else None,
        runtime=_build(RuntimeConfig, given),
        command=command,
    )


def _execute(arguments: Sequence[str], policy: Policy, watch: Watch | None) -> str:
    from ray_subsel.report.terminal import summary_text

    given = vars(make_parser().parse_args(arguments))
    name = given.pop("command")
    command = shlex.join(["subsel", *arguments])
    if name == "report":
        from ray_subsel.experiments.experiment import is_experiment, write_summary
        from ray_subsel.stages.report import publish
        from ray_subsel.storage.manifest import Manifest
        from ray_subsel.storage.run_directory import RunDir

        if is_experiment(given["out"]):
            return write_summary(given["out"])
        return summary_text(publish(Manifest.load(RunDir(given["out"]))), given["out"])
    given["data"] = given.get("data", [])
    if name == "plan":
        from ray_subsel.planning.machine import machine_of
        from ray_subsel.planning.run_plan import plan_run

        settings = (_build(CorpusConfig, given), _build(EmbedConfig, given), _build(SelectConfig, given))
        return plan_run(*settings, machine_of(None, given.get("memory_limit")), policy=policy).text()
    if name == "experiment":
        return _experiment(given)
    config = _finetune_config(given, command) if name == "finetune" else _run_config(name, given, command)
    from ray_subsel import pipeline

    work = pipeline.finetune if name == "finetune" else pipeline.run
    report = work(config, policy=policy, watch=watch)
    return summary_text(report, given["out"])


def main(arguments: Sequence[str] | None = None, *, policy: Policy = DEFAULT_POLICY, watch: Watch | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    policy : Policy
        Sizes up to which work is done in this process, among others.
    watch : callable, optional
        Told of the files that are read and written: :class:`ray_subsel.storage.run_directory.RunDir`.
    """
    try:
        sys.stdout.write(_execute(sys.argv[1:] if arguments is None else list(arguments), policy, watch) + "\n")
    except KeyboardInterrupt:
        sys.stderr.write("subsel: interrupted; the same command again goes on from here\n")
        return 130
    except Exception as error:
        from ray_subsel.runtime.ray_session import input_error_in

        known = input_error_in(error)
        if known is None:
            raise
        sys.stderr.write(f"subsel: error: {known}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
