"""Choose by the experiment's own encoder, or by another embedder whose vectors only choose.

The learner, a probe on the experiment's encoder or a fine-tuned model, stays the same, so that cells which differ in
the chooser alone differ in the rows they train on and in nothing else.
"""

from __future__ import annotations

from pathlib import Path

from ray_subsel.core.errors import InputError, invalid
from ray_subsel.embedders import EMBEDDERS, model_fingerprint

OWN = "encoder"
"""The experiment's own encoder."""
TRAINED = tuple(name for name, embedder in EMBEDDERS.items() if embedder.state_file)
"""Embedders that are trained on each sample."""
NEAR = 0.9
"""Cosine from which rows count as near copies."""
NEAR_OF = {"tfidf": 0.6}
"""Where cosines are on another scale. On Story Cloze no two stories reach 0.9 by MiniLM, or 0.6 by TF-IDF in 100
dimensions, and most noisy copies do. No threshold parts Doc2Vec's copies (cosine 0.82 in the median) from other
stories (the nearest has 0.81): it keeps 0.9."""


def coordinate(name: str, encoder: str) -> str:
    """Return what stands for a chooser in a cell.

    Parameters
    ----------
    name : str
        ``encoder``, ``doc2vec``, ``tfidf``, or another encoder: ``minilm``, a folder, a hub name.
    encoder : str
        The experiment's own.

    Returns
    -------
    str
        An encoder is its name without folders and, after @, the fingerprint of its weights: the same on every
        machine, and of no other model. The experiment's own is ``encoder``, by whatever name it is given.

    Raises
    ------
    InputError
        For a name that is none.
    """
    if name in (OWN, *TRAINED):
        return name
    try:
        identity = model_fingerprint(name)
    except InputError as error:
        known = ", ".join((OWN, *TRAINED))
        raise invalid("chooser", f"be one of {known}, or name an encoder", name, f"({error})") from error
    return OWN if identity == model_fingerprint(encoder) else f"{model_label(name)}@{identity}"


def model_label(name: str) -> str:
    """Return a model's name without folders."""
    return Path(name).name or name


def chooser_label(chooser: str) -> str:
    """Return what people read for a cell's chooser."""
    return chooser.partition("@")[0]


def near_threshold(chooser: str) -> float:
    """Return the cosine from which rows count as near copies to a chooser."""
    return NEAR_OF.get(chooser, NEAR)
