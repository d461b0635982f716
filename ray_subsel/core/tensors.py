"""Read torch tensors as numpy arrays. Torch is not imported here: a tensor brings its own methods."""

from __future__ import annotations

import sys
from typing import Any

_OF_NUMPY = ("torch.float16", "torch.float32", "torch.float64")


def is_tensor(X: object) -> bool:
    """Tell a torch tensor from everything else without importing torch."""
    return type(X).__module__.partition(".")[0] == "torch"


def as_array(X: Any) -> Any:
    """Return a dense tensor as a numpy array, and anything else as it is.

    It is the tensor's own memory where that is the machine's and numpy has the type; bfloat16 and other floats become
    float32, which holds them exactly.
    """
    if not is_tensor(X) or str(X.layout) != "torch.strided":
        return X
    if X.is_floating_point() and str(X.dtype) not in _OF_NUMPY:
        X = X.float()
    return X.numpy(force=True)


def library() -> Any:
    """Return torch, which whoever made a tensor has imported."""
    return sys.modules["torch"]


def products_are_rough() -> bool:
    """Tell whether torch was told to multiply float32 in less than float32 (TF32, bfloat16): no bound holds then."""
    return str(library().get_float32_matmul_precision()) != "highest"
