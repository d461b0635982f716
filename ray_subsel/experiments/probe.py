"""Fit the probe: logistic regression on frozen features, in place of fine-tuning.

Story cloze: with unit vectors c of the context and e of an ending, phi(c, e) = [e, c * e, |c - e|] in R^{3d}
(c alone is the same for both endings), and an example is phi(c, e1) - phi(c, e2) with the sign of the right ending;
no intercept, so that exchanging the endings exchanges the answer. Classification: the text's vector itself.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.core.errors import invalid
from ray_subsel.embedders.base import EmbedsTexts, Float32s

STORY_C = 1.0
CLASS_C = 100.0
"""Chosen by cross-validation inside training sets (Story Cloze's 1,871 stories; 77 intents), with MiniLM."""
MAX_ITER = 1000


@dataclass(frozen=True)
class ProbeResult:
    """What a probe gave: ``accuracy`` = ``correct / n_test``, the seconds of the fit, which test rows were right."""

    accuracy: float
    correct: int
    n_test: int
    seconds_train: float
    right: NDArray[np.bool_]


def penalty(task: str) -> float:
    """Return p C, C being scikit-learn's inverse of the penalty and p the number of features."""
    return STORY_C if task == "story-cloze" else CLASS_C


def features(table: pa.Table, task: str, embedder: EmbedsTexts) -> Float32s:
    """Return the features of a table's rows: float32 of shape (n, 3 d) for stories, (n, d) for texts."""
    if task == "classification":
        return embedder.embed(table["text"].to_pylist())
    context, first, second = (embedder.embed(table[name].to_pylist()) for name in ("context", "ending1", "ending2"))
    return np.hstack([first - second, context * (first - second), np.abs(context - first) - np.abs(context - second)])


def probe(
    X: Float32s,
    labels: NDArray[np.str_],
    X_test: Float32s,
    labels_test: NDArray[np.str_],
    task: str,
    *,
    constant: bool = False,
) -> ProbeResult:
    """Fit on (X, labels), measure on the test set.

    Parameters
    ----------
    X, X_test : float arrays of shapes (n, p) and (m, p)
        As :func:`features` returns them.
    labels, labels_test : str arrays
        Classes, or which ending is right: "1" or "2". Test rows of a class that training lacks count as wrong.
    task : str
    constant : bool
        Let what has seen one class answer that one, rather than refuse it.

    Raises
    ------
    InputError
        When a classification's training rows are of one class, unless ``constant``.

    Notes
    -----
    L2 penalty with C = 1 / p for stories, 100 / p for classes, on p features scaled to a mean square of 1 over the
    training rows; lbfgs. Deterministic.
    """
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    if task == "story-cloze":
        # both orders of each example: a subset in which one order happens to be alone can be fitted too
        X, labels = np.vstack([X, -X]), np.concatenate([labels, np.where(labels == "1", "2", "1")])
    elif np.unique(labels).size < 2:
        if not constant:
            raise invalid("label", "take at least two values in the rows to train on", labels[0], "Choose more rows.")
        return _result(labels_test == labels[0], time.perf_counter() - began)
    scale = 1.0 / max(float(np.sqrt(np.mean(np.square(X, dtype=np.float64)))), 1e-12)
    # C counts per example: p features of mean square 1 give scores of variance p |w|^2
    model = LogisticRegression(
        C=penalty(task) / X.shape[1], fit_intercept=task != "story-cloze", max_iter=MAX_ITER, tol=1e-3
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that lbfgs stopped at MAX_ITER changes no digit that is reported
        model.fit(X * scale, labels)
    seconds = time.perf_counter() - began
    return _result(model.predict(X_test * scale) == labels_test, seconds)


def _result(right: NDArray[np.bool_], seconds: float) -> ProbeResult:
    correct = int(np.count_nonzero(right))
    return ProbeResult(correct / len(right), correct, len(right), seconds, right)
