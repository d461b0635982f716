"""Configure a run: one frozen dataclass a stage, checked once, each field its own command-line flag.

A field's ``help`` is its documentation, here and in ``--help``. ``fingerprint_fields`` leaves out what cannot change a
result (paths, numbers of workers), so that a run may be resumed on another machine.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

from ray_subsel.constraints.spec import APPORTIONED, ConstraintSpec
from ray_subsel.core.byte_sizes import parse_bytes
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import finite_number, whole_number
from ray_subsel.core.plugins import OUTSIDE
from ray_subsel.core.types import VECTOR_DTYPES
from ray_subsel.embedders import EMBEDDERS, Embedder, find_embedder
from ray_subsel.embedders.encoder import PRECISIONS
from ray_subsel.embedders.registry import catalogue, users
from ray_subsel.objectives import OBJECTIVES, Objective, find_objective
from ray_subsel.objectives.registry import representing, takers

T = TypeVar("T")

TASKS = ("text", "story-cloze", "classification")
FORMATS = ("auto", "csv", "tsv", "jsonl", "parquet", "text")
STORY_TEXTS = ("context+right", "context", "everything")
ARMS = ("subset", "random", "random-dedup", "full")


def option(
    default: T,
    help: str,  # noqa: A002 - the word that argparse and every reader knows
    *,
    choices: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
    flag: str = "",
    metavar: str = "",
    identity: bool = True,
    later: bool = False,
) -> T:
    """Declare a field: its default, its sentence in ``--help``, and whether it is part of the run's identity.

    ``choices`` are all that there are; ``known`` those of the package, beside which a class may be named. A field that
    came ``later`` is part of the identity where it is not at its default, so that older run directories are resumed.
    """
    shown = metavar or "|".join((*known, OUTSIDE) if known else choices)
    metadata = {"help": help, "choices": choices, "flag": flag, "metavar": shown, "identity": identity, "later": later}
    return dataclasses.field(default=default, metadata=metadata)


def _check_choices(config: Any) -> None:
    for field in dataclasses.fields(config):
        choices = field.metadata.get("choices")
        value = getattr(config, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if choices and one not in choices:
                raise invalid(field.name, f"be one of {', '.join(choices)}", one)


def _check_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise invalid(name, "be above 0", value)


def _check_share(config: Any, *names: str, zero: bool = False) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not ((0 <= value if zero else 0 < value) and value <= 1):
            raise invalid(name, f"lie in {'[' if zero else '('}0, 1]", value)


@dataclass(frozen=True)
class CorpusConfig:
    """What to read and what counts as an item."""

    data: tuple[str, ...] = option((), "files, folders or globs", identity=False)
    task: str = option("text", "what a row is", choices=TASKS)
    format: str = option("auto", "file format; auto goes by the file's ending", choices=FORMATS)
    text: tuple[str, ...] = option(
        (), "column that holds the text; repeat to join several with a space", metavar="COLUMN"
    )
    vectors: str | None = option(None, "column that holds ready vectors; nothing is embedded then", metavar="COLUMN")
    label: str | None = option(None, "column that holds the class", metavar="COLUMN")
    group: str | None = option(None, "column that holds a group", metavar="COLUMN")
    cost: str | None = option(
        None, "column that holds what a row costs, such as its tokens, for --budget; a number above 0", metavar="COLUMN"
    )
    id: str | None = option(
        None, "column that holds your own id; must be unique; kept beside the row id", metavar="COLUMN"
    )
    story_text: str = option("context+right", "which part of a story is embedded", choices=STORY_TEXTS)
    copies: str = option(
        "collapse", "equal texts: one item (collapse) or one each (keep)", choices=("collapse", "keep")
    )
    augment: bool = option(False, "add exact copies, as the paper does: 1 %% of the items, 100 copies of each")
    augment_share: float = option(0.01, "share of the items that --augment copies")
    augment_copies: int = option(100, "copies that --augment adds of each")
    max_rejected: float = option(0.05, "stop when more than this share of the rows cannot be used")
    seed: int = option(0, "seed of everything that is drawn")

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_share(self, "augment_share")
        _check_share(self, "max_rejected", zero=True)
        _check_positive(self, "augment_copies")
        if self.vectors is not None and self.augment:
            raise invalid("augment", "be used with texts", "vectors", "Copies of vectors are rows like any other.")
        if self.task == "classification" and self.label is None:
            raise invalid("label", "name the class column when task is classification", None, "Use --label COLUMN.")
        if self.task != "story-cloze" and not self.text and self.vectors is None and self.format != "text":
            raise invalid("text", "name a column", None, "Use --text COLUMN, --vectors COLUMN, or --task story-cloze.")


@dataclass(frozen=True)
class EmbedConfig:
    """How a text becomes a vector."""

    embedder: str = option("minilm", catalogue(), known=tuple(EMBEDDERS))
    model: str = option(
        "bert-base-uncased", "hub name or local folder of the encoder for --embedder bert", metavar="MODEL"
    )
    batch_size: int = option(64, "texts a forward pass")
    max_length: int = option(256, "tokens after which a text is cut")
    embed_precision: str = option(
        "float32",
        "arithmetic of an encoder: int8 for CPUs, bfloat16 for GPUs and CPUs that multiply in it; vectors change",
        choices=PRECISIONS,
        later=True,
    )
    vectors_dtype: str = option(
        "float32",
        "numbers of the vectors on disk, ready ones too: float16 takes half the space; vectors are rounded",
        choices=VECTOR_DTYPES,
        later=True,
    )
    vector_size: int = option(100, f"dimension of {users('vector_size')} vectors")
    doc2vec_epochs: int = option(20, "passes over the corpus when doc2vec is trained")
    seed: int = option(0, f"seed of {users('seed')}")

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_positive(self, "batch_size", "max_length", "vector_size", "doc2vec_epochs")
        find_embedder(self.embedder)

    @property
    def embedder_class(self) -> type[Embedder]:
        """The class that ``embedder`` names."""
        return find_embedder(self.embedder)


@dataclass(frozen=True)
class SelectConfig:
    """What to choose."""

    k: int | None = option(None, "number of items to choose")
    fraction: float | None = option(None, "share of the rows to choose, in (0, 1]")
    objective: str = option("graph_cut", "what is maximized", known=tuple(OBJECTIVES))
    mode: str = option(
        "greedi",
        "greedi: partitions select, a reducer decides; exact: the centralized greedy's own picks, across partitions",
        choices=("greedi", "exact"),
    )
    partitions: int | None = option(
        None, "number of random partitions; 1 is exact centralized greedy; default: as few as memory allows"
    )
    fan_in: int | None = option(
        None, "partitions that one reducer takes in, more are reduced in a tree; default: as many as memory allows"
    )
    candidates: float = option(2.0, "c: each of m partitions hands ceil(c k / m) candidates to the reducer")
    lam: float | str = option(10.0, "lambda, the redundancy penalty: a number >= 0, or auto (= n/k - 2)")
    represented: int | None = option(
        None,
        f"{representing()}: represent a sample of so many items, the same for all partitions; default: "
        "facility_location represents all items, cluster by cluster, others 4 k and at least 10000",
    )
    represent: str = option(
        "sample",
        "what a partition represents while it chooses candidates for a sample: the sample, or its own items",
        choices=("sample", "own"),
    )
    near: float | None = option(
        None,
        "collapse near copies first: items whose cosine to an earlier one reaches this; 0.9 suits sentence encoders",
    )
    near_within: str | None = option(
        None,
        "with --near: join near copies of one label only; the column that --label or --group names",
        metavar="COLUMN",
        identity=False,  # part of the identity of the stage that collapses them, on which selection depends
    )
    quotas: tuple[str, ...] = option(
        (),
        "at most so many items of a group (--group, else --label): proportional, equal, or LABEL=N, repeated",
        flag="quota",
        metavar="QUOTA",
    )
    floors: tuple[str, ...] = option(
        (), "at least so many items: N of every group, or LABEL=N, repeated", flag="floor", metavar="FLOOR"
    )
    budget: float | None = option(
        None, "what the chosen items may cost together: in --cost COLUMN, else in words of their text"
    )
    include: str | None = option(
        None,
        "rows that must be chosen, ranked first: a text file with an id a line, or a Parquet file with a column id",
        metavar="FILE",
        identity=False,
    )
    exclude: str | None = option(
        None,
        "rows that must not be chosen, nor a copy of them; a file like that of --include",
        metavar="FILE",
        identity=False,
    )
    seed: int = option(0, "seed of the random partitions and of the sample")

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_share(self, "near")
        if self.near_within is not None and self.near is None:
            raise invalid("near_within", "go with near", Verbatim("no --near"), "Give a cosine, say --near 0.9.")
        if self.k is not None and self.fraction is not None:
            raise invalid("k, fraction", "be given, exactly one of them", "both", "Use --k N or --fraction F.")
        if self.k is None and self.fraction is None and self.budget is None:
            raise invalid(
                "k, fraction", "be given, exactly one of them", "neither", "Use --k N, --fraction F or --budget X."
            )
        self._check_objective()
        self._check_limits()
        if self.k is not None:
            whole_number(self.k, "k", "be at least 1", least=1)
        if self.fraction is not None:
            way = "Use --k for a number of items."
            finite_number(self.fraction, "fraction", "lie in (0, 1]", way, above=0.0, most=1.0)
        if isinstance(self.lam, str):
            if self.lam != "auto":
                raise invalid("lam", "be a number >= 0 or auto", self.lam)
        else:
            finite_number(self.lam, "lam", "be a number >= 0 or auto", least=0.0)
        if self.partitions is not None and self.partitions < 1:
            raise invalid("partitions", "be at least 1", self.partitions)
        if self.fan_in is not None and self.fan_in < 2:
            raise invalid("fan_in", "be at least 2", self.fan_in)
        finite_number(self.candidates, "candidates", "be at least 1", least=1.0)

    @property
    def grouped(self) -> bool:
        """Whether groups matter."""
        return bool(self.quotas or self.floors)

    @property
    def limited(self) -> bool:
        """Whether anything but k limits what may be chosen."""
        return self.grouped or self.budget is not None or self.include is not None or self.exclude is not None

    @property
    def objective_class(self) -> type[Objective[Any]]:
        """The class that ``objective`` names."""
        return find_objective(self.objective)

    @property
    def by_clusters(self) -> bool:
        """Whether all items are represented, cluster by cluster, and not a sample of them."""
        return self.objective_class.clustered and self.represented is None and self.represent == "sample"

    def objective_of(self, n: int, k: int) -> Objective[Any]:
        """Return the objective with its options, for k of n items."""
        found = self.objective_class
        return found.of_options({name: getattr(self, name) for name in found.options}, n=n, k=k)

    def _check_objective(self) -> None:
        found = self.objective_class
        if self.lam != 10.0 and "lam" not in found.options:
            raise invalid(
                "lam", f"be left out unless objective is {takers('lam')}", self.lam, "Others have no penalty."
            )
        if self.lam == "auto" and self.k is None and self.fraction is None:
            raise invalid("lam", "be a number where a budget decides how many are chosen", self.lam, "Give --k too.")
        if self.represented is not None and not found.needs_reference:
            raise invalid("represented", f"go with {representing()}", self.objective, "Others represent nothing.")
        if self.represent != "sample" and not found.needs_reference:
            raise invalid("represent", f"go with {representing()}", self.objective)
        if self.represented is not None and self.represented < 1:
            raise invalid("represented", "be at least 1", self.represented)
        if self.mode == "exact" and not found.exact_over_partitions:
            exact = " or ".join(name for name, known in OBJECTIVES.items() if known.exact_over_partitions)
            raise invalid("mode", f"be greedi unless objective is {exact}", self.mode, "Leave --mode out.")

    def _check_limits(self) -> None:
        ConstraintSpec.parse(self.quotas, self.floors, self.budget)
        if self.budget is not None:
            finite_number(self.budget, "budget", "be a finite number above 0", above=0.0)
        if self.floors and self.budget is not None:
            raise invalid("floor", "not be combined with a budget", "both", "Use --quota, or leave one out.")
        if set(self.quotas) & set(APPORTIONED) and self.k is None and self.fraction is None:
            raise invalid(
                "quota", "be LABEL=N where a budget decides how many are chosen", self.quotas[0], "Or give --k."
            )
        if self.mode == "exact" and self.limited:
            way = "Use --mode greedi, with --partitions 1 for one exact greedy."
            raise invalid("mode", "be greedi with quotas, floors, a budget, include or exclude", self.mode, way)


@dataclass(frozen=True)
class TrainConfig:
    """What to fine-tune, on what, and how. Defaults are the paper's."""

    test: tuple[str, ...] = option((), "labelled file to measure accuracy on", metavar="FILE", identity=False)
    arms: tuple[str, ...] = option(("subset", "random"), "training sets to compare", choices=ARMS, flag="arm")
    train_model: str | None = option(
        None, "encoder to fine-tune: minilm, a hub name or a folder; default: the embedder", metavar="MODEL"
    )
    epochs: int = option(5, "passes over the training set")
    lr: float = option(2e-5, "AdamW's peak learning rate; 1e-4 serves minilm")
    train_batch_size: int = option(16, "examples a step over all workers")
    weight_decay: float = option(0.01, "AdamW's weight decay")
    warmup: float = option(0.0, "share of the steps over which the learning rate rises")
    schedule: str = option("linear", "learning rate after the warmup", choices=("linear", "constant"))
    train_max_length: int = option(128, "tokens after which a training text is cut")
    precision: str = option(
        "auto", "auto takes bf16 where the hardware is faster with it", choices=("auto", "fp32", "bf16")
    )
    checkpoint_every: int = option(1, "epochs between checkpoints; 0 keeps the last only")
    train_seed: int = option(0, "seed of initial head, order of batches and random arms")

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_positive(self, "epochs", "lr", "train_batch_size", "train_max_length")
        _check_share(self, "warmup", zero=True)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise invalid("weight_decay", "be at least 0", self.weight_decay)
        if self.checkpoint_every < 0:
            raise invalid("checkpoint_every", "be at least 0", self.checkpoint_every)


@dataclass(frozen=True)
class RuntimeConfig:
    """Where it runs and where results go. Nothing here changes a result."""

    out: str = option("", "directory of the run: a local path or a URI", metavar="DIR", identity=False)
    overwrite: bool = option(False, "replace results of stages whose settings or input changed", identity=False)
    address: str = option(
        "auto",
        "Ray: local, auto (the cluster of a submitted job, else local), or an address",
        metavar="ADDRESS",
        identity=False,
    )
    workers: int | None = option(
        None, "actors that embed, of small data threads; default: one a GPU, or one a CPU", identity=False
    )
    num_gpus: float | None = option(
        None, "GPUs an actor; default: 1 where the cluster has GPUs, else 0", identity=False
    )
    memory_limit: str | None = option(
        None, "what one process may use, such as 3GiB; default: what is available", metavar="BYTES", identity=False
    )
    train_workers: int = option(0, "Ray Train workers; 0 trains in one process", identity=False)

    def __post_init__(self) -> None:
        if not self.out:
            raise invalid("out", "name a directory", self.out, "Use --out DIR.")
        if self.workers is not None and self.workers < 1:
            raise invalid("workers", "be at least 1", self.workers)
        if self.num_gpus is not None and not (math.isfinite(self.num_gpus) and self.num_gpus >= 0):
            raise invalid("num_gpus", "be at least 0", self.num_gpus)
        if self.memory_limit is not None:
            parse_bytes(self.memory_limit)
        if self.train_workers < 0:
            raise invalid("train_workers", "be at least 0", self.train_workers)


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is told. Stages whose configuration is None are not run."""

    corpus: CorpusConfig
    embed: EmbedConfig
    runtime: RuntimeConfig
    select: SelectConfig | None = None
    train: TrainConfig | None = None
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the settings of all stages, ready for JSON."""
        stages: dict[str, Any] = {
            "corpus": self.corpus,
            "embed": self.embed,
            "select": self.select,
            "train": self.train,
        }
        return {name: None if stage is None else _plain(dataclasses.asdict(stage)) for name, stage in stages.items()}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def fingerprint_fields(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration that decide its result, ready for JSON."""
    deciding = [field for field in dataclasses.fields(config) if field.metadata.get("identity", True)]
    values = {field.name: getattr(config, field.name) for field in deciding}
    return _plain(
        {f.name: values[f.name] for f in deciding if not f.metadata.get("later") or values[f.name] != f.default}
    )
