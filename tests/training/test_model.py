from __future__ import annotations

from typing import Any

import pytest
import torch

from ray_subsel.config import TrainConfig
from ray_subsel.training.model import learning_rate, load_trainable, make_optimizer, resolve_precision


def test_linear_schedule_rises_then_falls_to_zero() -> None:
    config = TrainConfig(lr=1.0, warmup=0.2)
    rates = [learning_rate(config, step, 10) for step in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_constant_schedule_stays() -> None:
    assert {learning_rate(TrainConfig(lr=0.5, schedule="constant"), step, 10) for step in range(10)} == {0.5}


@pytest.mark.parametrize(("task", "classes", "head"), [("story-cloze", ("1", "2"), 1), ("classification", "abc", 3)])
def test_heads_are_seeded(task: str, classes: tuple[str, ...], head: int, tiny_bert: str) -> None:
    one, same, other = (
        load_trainable(task, tiny_bert, classes, TrainConfig(train_seed=seed), "cpu").network for seed in (3, 3, 4)
    )
    assert one.classifier.weight.shape == (head, 32)
    assert one.classifier.weight.equal(same.classifier.weight)
    assert not one.classifier.weight.equal(other.classifier.weight)
    embeddings = one.bert.embeddings.word_embeddings.weight
    assert embeddings.equal(other.bert.embeddings.word_embeddings.weight)


def test_norms_and_biases_do_not_decay(tiny_bert: str) -> None:
    network = load_trainable("classification", tiny_bert, "ab", TrainConfig(), "cpu").network
    decaying, others = make_optimizer(network, TrainConfig(weight_decay=0.3)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim >= 2 for p in decaying["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"amx_bf16": True}, "bf16"), ({"avx512_bf16": True}, "bf16"), ({"avx512_f": True}, "fp32"), ({}, "fp32")],
)
def test_auto_precision_on_cpus_goes_by_what_multiplies_in_bfloat16(
    capabilities: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("fp32", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"
