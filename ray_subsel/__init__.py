"""Small training subsets by submodular maximization, on one machine or a Ray cluster.

Texts go in, the texts to train on come out, in rank order:

>>> from ray_subsel import select_texts
>>> texts = ["a red bird", "a blue bird", "a red bird", "the train is late", "the train was late again"]
>>> select_texts(texts, 2, embedder="tfidf")
['a red bird', 'the train is late']

A data frame (pandas, polars), a ``datasets.Dataset``, a ``pyarrow.Table`` or a Ray Dataset gives the same kind back.

- :func:`select_texts`: choose among texts.
- :func:`embed`: texts to unit vectors.
- :func:`select`: choose among vectors of your own.
- :class:`StreamSelector`: choose from a stream, in one pass.
- :class:`ActiveLoop`: choose what to label next.
- :class:`SubsetSelector`: the same for scikit-learn.

The command line, ``subsel``, does it for files of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_subsel.core.errors import InputError
from ray_subsel.selection.active import ActiveLoop
from ray_subsel.selection.api import select
from ray_subsel.selection.result import Selection
from ray_subsel.streaming.selector import StreamSelector

if TYPE_CHECKING:
    from ray_subsel.api.embed_texts import embed
    from ray_subsel.api.select_texts import select_texts
    from ray_subsel.api.subset_selector import SubsetSelector

__version__ = "0.1.0"

__all__ = [
    "ActiveLoop",
    "InputError",
    "Selection",
    "StreamSelector",
    "SubsetSelector",
    "__version__",
    "embed",
    "select",
    "select_texts",
]

_LATER = {
    "SubsetSelector": "ray_subsel.api.subset_selector",
    "embed": "ray_subsel.api.embed_texts",
    "select_texts": "ray_subsel.api.select_texts",
}
"""What is imported when it is first asked for, since it takes others along: pyarrow, scikit-learn."""


def __getattr__(name: str) -> Any:
    """Import what is not needed for vectors alone."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
