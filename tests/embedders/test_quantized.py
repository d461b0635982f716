from __future__ import annotations

import copy

import pytest
import torch

from ray_subsel.embedders.quantized import Int8Linear, quantize_linears


@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_near_the_exact_one_for_every_token(bias: bool) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 32, bias=bias)
    network = torch.nn.Sequential(copy.deepcopy(layer))
    quantize_linears(network)
    assert isinstance(network[0], Int8Linear)
    x = torch.randn(2, 5, 64)
    x[0, 0] *= 1000  # a token with large states takes nothing from the others
    x[1, 4] = 0
    with torch.inference_mode():
        exact, found = layer(x), network(x)
    assert found.shape == exact.shape
    offset = 0 if layer.bias is None else layer.bias.detach()
    wrong = (found - exact).norm(dim=-1)
    assert (wrong <= 0.03 * (exact - offset).norm(dim=-1) + 1e-6).all()


def test_layers_inside_layers_are_found_and_others_left() -> None:
    network = torch.nn.ModuleDict(
        {"inner": torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)), "words": torch.nn.Embedding(3, 4)}
    )
    quantize_linears(network)
    assert [type(module).__name__ for module in network.modules()] == [
        "ModuleDict",
        "Sequential",
        "Int8Linear",
        "LayerNorm",
        "Embedding",
    ]
