"""Plan where a corpus is embedded: in this process where work / threads <= start + work / CPUs, else by workers.

Seconds are rough, of one CPU's thread, as an embedder's class tells them (``Embedder.seconds``).
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_subsel.config import CorpusConfig, EmbedConfig
from ray_subsel.embedders import Embedder
from ray_subsel.planning.machine import Machine, usable_cpus
from ray_subsel.planning.memory_model import BASE, PUBLISHER
from ray_subsel.planning.policy import DEFAULT_POLICY, Policy

MOST_THREADS = 16
"""Beyond these the threads of one process wait for its interpreter."""


@dataclass(frozen=True)
class EmbeddingPlan:
    """Where a corpus is embedded.

    Attributes
    ----------
    in_process : bool
    threads : int
        Of the embedder in this process; a worker has one.
    gpus : float
        Above 0 where this process embeds on a GPU.
    held_bytes : int
        What this process goes on holding in the stages that follow, libraries mostly; 0 where workers embed.
    """

    in_process: bool
    threads: int
    held_bytes: int
    gpus: float = 0.0


def plan_embedding(
    corpus: CorpusConfig,
    embed: EmbedConfig,
    machine: Machine,
    *,
    n: int,
    d: int,
    unknown: int | None = None,
    workers: int | None = None,
    num_gpus: float | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> EmbeddingPlan:
    """Plan where a corpus is embedded.

    Parameters
    ----------
    machine : Machine
        What there is to run on, workers on other machines counted.
    n, d : int
        Rows and dimension.
    unknown : int, optional
        Texts among them whose embedding is not kept from an earlier run; by default all.
    workers : int, optional
        How many were asked for: in this process as many threads.
    num_gpus : float, optional
        GPUs that were asked for; workers are, where this process cannot use any. By default one, where there is one.
    policy : Policy
    """
    small = policy.is_small(n, d)
    if corpus.vectors is not None:
        return EmbeddingPlan(small and not num_gpus, 1, 0)
    kind = embed.embedder_class
    if unknown == 0 and small:
        return EmbeddingPlan(True, 1, 0)
    threads = threads_here(kind, workers)
    work, held = kind.seconds(embed, n if unknown is None else unknown), int(kind.memory_bytes(embed))
    # A limit is one of every process, and what a worker holds is gone when it ends.
    fits = machine.limit is None or BASE + PUBLISHER + held <= machine.limit
    here = small and fits and policy.embeds_here(work / threads, work / (workers or machine.cpus))
    found = kind.gpus_here() if here and num_gpus != 0 else 0
    if not here or (num_gpus or 0) > found:
        return EmbeddingPlan(False, 1, 0)
    gpus = min(1.0, found) if num_gpus is None else num_gpus
    return EmbeddingPlan(True, 1 if gpus else threads, held, gpus)


def threads_here(kind: type[Embedder], workers: int | None = None) -> int:
    """Return how many threads an embedder takes in this process: as many as were asked for, else one a CPU."""
    return min(MOST_THREADS, usable_cpus() if workers is None else workers) if kind.threaded else 1
