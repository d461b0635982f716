r"""Multiply by int8 weights: y_t = s_t Q(x_t / s_t) W_8' + b, a scale for each token t and each row of W.

With s_t = max_c |x_tc|, so that a token with large states takes nothing from the others, 8-bit activations that are
rounded as they come, and weights rounded once to round(63 W_oc / max_c |W_oc|). Nothing is calibrated: the same
weights give the same network. MiniLM is 1.1 to 1.2 times as fast as in float32 on AVX2 without VNNI (the products alone
1.8 times), and 1.8 to 2.1 times with AVX-512 VNNI, as bfloat16 is where the processor multiplies in it.
Source: Dettmers et al., "LLM.int8()", NeurIPS 2022 (vector-wise quantization).
"""

from __future__ import annotations

from typing import Any

import torch

ENGINES = ("onednn", "x86", "fbgemm", "qnnpack")
"""Libraries of torch that multiply int8, the fastest first (measured on AVX2)."""
LEVELS = 63
"""Of a weight: AVX2 adds two products of 8 bits in 16, which must hold 2 * 255 * 63; with 127 sums overflow unseen."""


class Int8Linear(torch.nn.Module):
    """A linear layer with int8 weights, for the CPU.

    Parameters
    ----------
    layer : torch.nn.Linear
    """

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        scales = (weight.abs().amax(dim=1) / LEVELS).clamp_min(torch.finfo(torch.float32).tiny).double()
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias: torch.Tensor | None = layer.bias  # which torch declares as never None
        self.bias = torch.zeros(len(scales)) if bias is None else bias.detach().float()
        self._packed: Any = torch.ops.quantized.linear_prepack(rounded, None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product, float32 of shape (..., out)."""
        largest = x.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        product = torch.ops.quantized.linear_dynamic(x / largest, self._packed, False)
        return torch.addcmul(self.bias, product, largest)


def quantize_linears(network: torch.nn.Module) -> None:
    """Replace every linear layer of an encoder, in place; embeddings, norms and attention stay float32."""
    torch.backends.quantized.engine = next(e for e in ENGINES if e in torch.backends.quantized.supported_engines)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, Int8Linear(child))
