"""``subsel experiment``: compare ways to choose over seeds."""

from __future__ import annotations

from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CacheConfig, CorpusConfig, EmbedConfig, TrainConfig
from ray_subsel.config.options import flag_whole
from ray_subsel.core.errors import InputError


def _add(commands: Any) -> None:
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
    command.add_argument(
        "--threads", type=flag_whole, default=1, metavar="N", help="CPU threads of the encoder (default: 1)"
    )
    command.add_argument(
        "--workers",
        type=flag_whole,
        metavar="N",
        help="Ray tasks at a time, each a draw of the probe or one fine-tuning; default: no Ray, or with --address as "
        "many as there are CPUs. Seconds are then taken beside other tasks",
    )
    command.add_argument(
        "--address",
        metavar="ADDRESS",
        help="Ray: local, auto (the cluster of a submitted job, else local), or an address; nodes must see DIR",
    )
    add_flags(command, StudyConfig, title="study")
    # a study makes its own copies, draws its own seeds and compares its own methods
    add_flags(
        command,
        CorpusConfig,
        title="corpus",
        skip=("data", "vectors", "group", "id", "copies", "augment", "augment_share", "augment_copies", "seed"),
    )
    add_flags(command, CacheConfig, title="embeddings that are kept")
    add_flags(command, EmbedConfig, title="embedding", skip=("seed", "vectors_dtype"))
    add_flags(command, TrainConfig, title="training", skip=("arms", "train_seed"))


def _run(call: Invocation) -> Answer:
    from ray_subsel.experiments.experiment import SUMMARY, ExperimentConfig, run
    from ray_subsel.experiments.studies import StudyConfig
    from ray_subsel.storage.run_directory import RunDir

    given = call.given
    if given["data"][0] == "story-cloze":
        if given.setdefault("task", "story-cloze") != "story-cloze":
            raise InputError(f"task must be story-cloze after the word story-cloze; got {given['task']}.")
        given["data"] = given["data"][1:]
    config = ExperimentConfig(
        corpus=build(CorpusConfig, given),
        embed=build(EmbedConfig, given),
        train=build(TrainConfig, given),
        study=build(StudyConfig, given),
        out=given["out"],
        threads=given["threads"],
        workers=given["workers"],
        address=given["address"],
        cache=build(CacheConfig, given),
    )
    text = run(config)
    return Answer(text, RunDir(config.out).read_json(SUMMARY))


EXPERIMENT = Command("experiment", _add, _run)
