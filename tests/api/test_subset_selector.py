"""The sampler keeps scikit-learn's contract, and rows stay with their y."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from ray_subsel import InputError, SubsetSelector, select

X, y = make_blobs(90, n_features=5, centers=3, random_state=0)
FRAME = pd.DataFrame(X, columns=list("abcde"), index=[f"r{i}" for i in range(90)])


@parametrize_with_checks([SubsetSelector(), SubsetSelector(k=1, recipe="paper")])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


def test_it_chooses_what_select_chooses():
    selector = SubsetSelector(k=12, objective="graph_cut", quotas="equal").fit(X, y)
    expected = select(X, 12, objective="graph_cut", quotas="equal", labels=y)
    assert selector.get_support(indices=True).tolist() == expected.indices.tolist()
    assert np.flatnonzero(selector.get_support()).tolist() == sorted(expected.indices.tolist())
    assert selector.selection_.value == expected.value
    assert len(SubsetSelector(fraction=0.2).fit(X).selection_) == 18


def test_classes_are_balanced_and_other_targets_pass():
    few, labels = SubsetSelector(k=12).fit_resample(X[:70], y[:70])
    assert np.bincount(labels).tolist() == [4, 4, 4]
    _, values = SubsetSelector(k=12).fit_resample(X, np.linspace(0, 1, 90))
    assert len(values) == len(few) == 12


@pytest.mark.parametrize("kind", ["arrays", "frames", "lists", "polars"])
def test_rows_keep_their_kind_and_their_y(kind):
    polars = pytest.importorskip("polars")
    data = {"arrays": X, "frames": FRAME, "lists": X.tolist(), "polars": polars.DataFrame(X, schema=list("abcde"))}[
        kind
    ]
    target = {"arrays": y, "frames": pd.Series(y, index=FRAME.index), "lists": y.tolist(), "polars": polars.Series(y)}
    selector = SubsetSelector(k=10)
    few, labels = selector.fit_resample(data, target[kind])
    chosen = selector.get_support(indices=True)
    assert type(few) is type(data)
    assert type(labels) is type(target[kind])
    np.testing.assert_array_equal(np.asarray(few), X[chosen])
    np.testing.assert_array_equal(np.asarray(labels), y[chosen])
    if kind == "frames":
        assert few.index.tolist() == labels.index.tolist() == [f"r{i}" for i in chosen]


def test_the_container_of_the_output():
    polars = pytest.importorskip("polars")
    few = SubsetSelector(k=5).set_output(transform="pandas").fit_resample(X)
    assert list(few.columns) == ["x0", "x1", "x2", "x3", "x4"]
    got = clone(SubsetSelector(k=5).set_output(transform="polars")).fit_resample(FRAME)
    assert isinstance(got, polars.DataFrame)
    assert got.columns == list("abcde")
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(SubsetSelector(k=5).fit_resample(X), pd.DataFrame)
        assert isinstance(SubsetSelector(k=5).set_output(transform="default").fit_resample(X), np.ndarray)
    assert isinstance(SubsetSelector(k=5).set_output().fit_resample(X), np.ndarray)
    with pytest.raises(InputError, match="transform must be one of default, pandas, polars"):
        SubsetSelector().set_output(transform="arrow")


def test_a_pipeline_trains_on_the_subset_and_answers_for_all_rows():
    pipeline = pytest.importorskip("imblearn.pipeline").make_pipeline(
        SubsetSelector(k=9), LogisticRegression(max_iter=1000)
    )
    pipeline.fit(X, y)
    assert pipeline.predict(X).shape == (90,)
    assert pipeline.score(X, y) > 0.8
    chosen = pipeline[0].get_support(indices=True)
    alone = LogisticRegression(max_iter=1000).fit(X[chosen], y[chosen])
    np.testing.assert_array_equal(pipeline[-1].coef_, alone.coef_)


def test_it_has_no_transform_which_would_part_rows_from_their_y():
    assert not hasattr(SubsetSelector(), "transform")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": 91}, "k must lie between 1 and 90"),
        ({"fraction": 2.0}, "fraction must lie in"),
        ({"recipe": "x"}, "recipe"),
    ],
)
def test_what_cannot_be_used_is_named(changes, words):
    with pytest.raises(ValueError, match=words):
        SubsetSelector(**changes).fit(X)


def test_rows_of_zeros_are_never_chosen_and_are_told():
    data = np.vstack([np.zeros((1, 5)), X, np.zeros((2, 5))])
    with pytest.warns(UserWarning, match="3 of 93 rows are zero and cannot be chosen: the first is row 0"):
        selector = SubsetSelector(k=10, near=0.999).fit(data)
    expected = SubsetSelector(k=10, near=0.999).fit(X)
    assert selector.get_support(indices=True).tolist() == (expected.get_support(indices=True) + 1).tolist()
    assert selector.selection_.stands_for.tolist() == [0, *(expected.selection_.stands_for + 1).tolist(), 91, 92]
    assert selector.selection_.explain(0).startswith("Row 0 has nothing to be compared by")
    assert selector.selection_.weights.sum() == 90
    with pytest.raises(ValueError, match="zero"), pytest.warns(UserWarning, match="3 of 3 rows"):
        SubsetSelector(k=1).fit(np.zeros((3, 2)))
