"""Where a corpus is embedded: small ones in this process, whatever embeds them; a limit and a large one leave it."""

import dataclasses

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig
from ray_subsel.embedders import BertEmbedder
from ray_subsel.planning import embedding_plan
from ray_subsel.planning.embedding_plan import MOST_THREADS, EmbeddingPlan, plan_embedding
from ray_subsel.planning.machine import Machine
from ray_subsel.planning.policy import DEFAULT_POLICY, ON_RAY

GIB = 1 << 30
TWO = Machine(cpus=2, nodes=1, available=20 * GIB, limit=None)
VECTORS = CorpusConfig(data=("x.parquet",), vectors="v")
TEXTS = CorpusConfig(data=("x.csv",), text=("text",))


def planned(n, embed, machine=TWO, *, d=384, corpus=TEXTS, **changes):
    return plan_embedding(corpus, embed, machine, n=n, d=d, **changes)


@pytest.fixture
def two_cpus(monkeypatch):
    monkeypatch.setattr(embedding_plan, "usable_cpus", lambda: 2)


class Encoder(BertEmbedder):
    """Takes 0.01 s for a text and 500 MB."""

    name = "encoder"

    @classmethod
    def seconds(cls, settings, texts):
        return 0.01 * texts

    @classmethod
    def memory_bytes(cls, settings):
        return 500e6


class OnTwoGpus(Encoder):
    """The same on a machine with two GPUs."""

    name = "two"

    @classmethod
    def gpus_here(cls):
        return 2


@pytest.fixture
def encoder():
    return EmbedConfig(embedder=f"{__name__}:Encoder")


def test_ready_vectors_are_normalised_here_up_to_a_size():
    assert planned(50_000, EmbedConfig(), corpus=VECTORS) == EmbeddingPlan(True, 1, 0)
    assert planned(1_000_000, EmbedConfig(), corpus=VECTORS) == EmbeddingPlan(False, 1, 0)


@pytest.mark.parametrize(
    ("name", "n", "here"), [("tfidf", 50_000, True), ("doc2vec", 10_000, True), ("doc2vec", 50_000, False)]
)
def test_embedders_of_one_thread_by_the_seconds_they_take(name, n, here):
    """What ends before workers have started and halved the work."""
    plan = planned(n, EmbedConfig(embedder=name), d=100)
    assert (plan.in_process, plan.threads) == (here, 1)


@pytest.mark.usefixtures("two_cpus")
def test_an_encoder_uses_the_cpus_of_this_process(encoder):
    assert planned(4_000, encoder) == EmbeddingPlan(True, 2, 500_000_000)
    assert planned(50_000, encoder).in_process
    assert planned(80_000, encoder) == EmbeddingPlan(False, 1, 0)  # above 300 s
    assert planned(4_000, encoder, workers=1).threads == 1
    assert planned(40_000, encoder, workers=64).threads == MOST_THREADS
    cluster = dataclasses.replace(TWO, cpus=64, nodes=32)
    assert planned(4_000, encoder, cluster).in_process  # 20 s
    assert not planned(10_000, encoder, cluster).in_process


@pytest.mark.usefixtures("two_cpus")
def test_gpus_of_this_machine_are_used_and_others_are_left_to_workers(encoder):
    two = EmbedConfig(embedder=f"{__name__}:OnTwoGpus")
    found = [planned(4_000, two, num_gpus=asked) for asked in (None, 0.0, 0.5, 2.0)]
    assert [(plan.threads, plan.gpus) for plan in found] == [(1, 1.0), (2, 0.0), (1, 0.5), (1, 2.0)]
    assert all(plan.in_process for plan in found)
    assert not planned(4_000, two, num_gpus=3.0).in_process
    for embedder, corpus in ((encoder, TEXTS), (EmbedConfig(embedder="tfidf"), TEXTS), (two, VECTORS)):
        assert planned(100, embedder, corpus=corpus, num_gpus=0.0).in_process
        assert not planned(100, embedder, corpus=corpus, num_gpus=1.0).in_process


@pytest.mark.usefixtures("two_cpus")
def test_a_memory_limit_is_kept_with_the_model_in_this_process(encoder):
    assert planned(100, encoder, dataclasses.replace(TWO, limit=2 * GIB)).in_process
    assert not planned(100, encoder, dataclasses.replace(TWO, limit=GIB // 2)).in_process


def test_a_policy_may_leave_all_to_workers(encoder):
    assert not planned(1, encoder, policy=ON_RAY).in_process
    assert not planned(1, EmbedConfig(embedder="tfidf"), policy=ON_RAY).in_process
    assert DEFAULT_POLICY.embeds_here(20.0, 0.0)
    assert not DEFAULT_POLICY.embeds_here(21.0, 0.5)
    assert not DEFAULT_POLICY.embeds_here(301.0, 400.0)
