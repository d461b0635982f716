"""Fit the probe: logistic regression on frozen features, in place of fine-tuning.

Questions with m choices: with unit vectors c of the context and e of a choice, phi(c, e) = [e, c * e, |c - e|] in
R^{3d} (c alone is the same for all choices). An example is phi of the right choice minus phi of a wrong one, so that a
question gives m - 1 of them, each also with its sign reversed; no intercept, so that exchanging choices exchanges the
answer, which is the choice of the highest score <w, phi>. Classification: the text's vector itself.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import invalid
from ray_subsel.corpus.choices import CONTEXT, endings_in
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
    return STORY_C if task in CHOICE_TASKS else CLASS_C


def features(table: pa.Table, task: str, embedder: EmbedsTexts) -> Float32s:
    """Return the features of a table's rows, float32.

    Of texts the vectors, shape (n, d). Of questions with m choices phi of the first minus phi of each other one, shape
    (n, m - 1, 3 d).
    """
    if task not in CHOICE_TASKS:
        return embedder.embed(table["text"].to_pylist())
    names = endings_in(table.column_names)
    context, first, *others = (embedder.embed(table[name].to_pylist()) for name in (CONTEXT, *names))
    found = [
        np.hstack([first - one, context * (first - one), np.abs(context - first) - np.abs(context - one)])
        for one in others
    ]
    return np.stack(found, axis=1)


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
    X, X_test : float arrays
        As :func:`features` returns them.
    labels, labels_test : str arrays
        Classes, or the number of the right choice, from 1. Test rows of a class that training lacks count as wrong.
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
    choices = task in CHOICE_TASKS
    if choices:
        X, labels = _pairs(X, labels)
    elif np.unique(labels).size < 2:
        if not constant:
            raise invalid("label", "take at least two values in the rows to train on", labels[0], "Choose more rows.")
        return _result(labels_test == labels[0], time.perf_counter() - began)
    scale = 1.0 / max(float(np.sqrt(np.mean(np.square(X, dtype=np.float64)))), 1e-12)
    # C counts per example: p features of mean square 1 give scores of variance p |w|^2
    model = LogisticRegression(C=penalty(task) / X.shape[-1], fit_intercept=not choices, max_iter=MAX_ITER, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that lbfgs stopped at MAX_ITER changes no digit that is reported
        model.fit(X * scale, labels)
    seconds = time.perf_counter() - began
    predicted = _answers(model, X_test * scale) if choices else model.predict(X_test * scale)
    return _result(predicted == labels_test, seconds)


def _pairs(X: Float32s, labels: NDArray[np.str_]) -> tuple[Float32s, NDArray[np.str_]]:
    """Return phi of one choice minus phi of another, of each pair in which one is right, and which: "1" or "2".

    Each pair comes in both orders: a subset in which one order happens to be alone can be fitted too.
    """
    from_first = np.concatenate([np.zeros_like(X[:, :1]), X], axis=1)
    right = labels.astype(np.int64) - 1
    rows = np.arange(len(X))
    found: list[Float32s] = []
    which: list[NDArray[np.str_]] = []
    for step in range(1, from_first.shape[1]):
        wrong = (right + step) % from_first.shape[1]
        low, high = np.minimum(right, wrong), np.maximum(right, wrong)
        found.append(from_first[rows, high] - from_first[rows, low])
        which.append(np.where(right < wrong, "1", "2"))
    pairs, firsts = np.vstack(found), np.concatenate(which)
    return np.vstack([pairs, -pairs]), np.concatenate([firsts, np.where(firsts == "1", "2", "1")])


def _answers(model: Any, X: Float32s) -> NDArray[np.str_]:
    """Return the number of the choice of the highest score; of equal ones the first."""
    n, others, p = X.shape
    over_first = model.decision_function(X.reshape(n * others, p)).reshape(n, others)
    scores = np.column_stack([np.zeros(n), over_first])
    return np.asarray(np.argmax(scores, axis=1) + 1).astype(np.str_)


def _result(right: NDArray[np.bool_], seconds: float) -> ProbeResult:
    correct = int(np.count_nonzero(right))
    return ProbeResult(correct / len(right), correct, len(right), seconds, right)
