"""The one call: what it returns, and what it says of input that cannot be used."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import ray_subsel
from ray_subsel import InputError, Selection, select
from ray_subsel.baselines import BASELINES
from ray_subsel.objectives import OBJECTIVES, GraphCut
from ray_subsel.optimizers import OPTIMIZERS, NaiveGreedy
from ray_subsel.selection.ground_set import GroundSet, without_near_copies


def cloud(seed=0, n=40, d=5, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def test_a_selection_tells_what_it_is():
    X = cloud()
    found = select(X, 7, recipe="none")
    assert isinstance(found, Selection)
    assert found.indices.dtype == np.int64
    assert len(found) == len(set(found.indices.tolist())) == 7
    assert found.value == pytest.approx(GraphCut().evaluate(X, found.indices))
    assert found.value == pytest.approx(found.gains.sum())
    assert (found.objective, found.optimizer, found.n) == ("graph_cut", "greedy", 40)
    assert found.stats["seconds"] > 0
    assert repr(found).startswith("Selection(7 of 40, graph_cut by greedy, value=")


def test_rank_order_is_kept():
    found = select(cloud(), 20, recipe="none")
    assert found.indices.tolist() != sorted(found.indices.tolist())
    assert select(cloud(), 5, recipe="none").indices.tolist() == found.indices[:5].tolist()


@pytest.mark.parametrize(
    ("fraction", "n", "k"), [(0.1, 3742, 374), (0.3, 10, 3), (0.001, 40, 1), (1.0, 40, 40), (1, 7, 7)]
)
def test_fraction_is_rounded_down_to_at_least_one(fraction, n, k):
    assert len(select(cloud(n=n, d=2), fraction=fraction, recipe="none")) == k


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_item_can_be_chosen(n):
    assert sorted(select(cloud(n=n), n, recipe="none").indices.tolist()) == list(range(n))


@pytest.mark.parametrize(("k", "lam"), [(10, 2.0), (20, 0.0), (30, 0.0)])
def test_auto_lambda(k, lam):
    X = cloud()
    assert np.array_equal(select(X, k, lam="auto").indices, select(X, k, lam=lam).indices)


def test_objective_and_optimizer_may_be_instances():
    X = cloud()
    assert np.array_equal(
        select(X, 9, objective=GraphCut(3.0), optimizer=NaiveGreedy()).indices, select(X, 9, lam=3.0).indices
    )


def test_stop_returns_what_was_picked_before():
    X = np.abs(cloud())
    found = select(X, 30, stop_when_gain=0.0, recipe="none")
    assert 0 < len(found) < 30
    assert (found.gains > 0).all()
    assert select(X, 30, recipe="none").gains[len(found)] <= 0
    assert len(select(X, 30, stop_when_gain=0.5, recipe="none")) > 0
    assert len(select(X, 30, stop_when_gain=1e9, recipe="none")) == 0


def test_utility_is_part_of_value():
    X, utility = cloud(), np.arange(40.0)
    found = select(X, 6, utility=utility, recipe="none")
    assert found.value == pytest.approx(GraphCut().evaluate(X, found.indices) + utility[found.indices].sum())


def test_multiplicity_counts_items():
    found = select(np.eye(3), 5, multiplicity=[4, 1, 1], lam=0.0)
    assert found.n == 6
    assert np.bincount(found.indices).max() <= 4


def test_quotas_and_floors():
    groups = np.arange(40) % 2
    found = select(cloud(), 10, groups=groups, quotas=[2, 40], recipe="none")
    assert np.bincount(groups[found.indices]).tolist() == [2, 8]
    found = select(cloud(), 10, groups=groups, floors=[9, 0], recipe="none")
    assert np.bincount(groups[found.indices], minlength=2)[0] >= 9


def test_x_is_not_changed():
    X = cloud(dtype=np.float64)
    X.flags.writeable = False
    select(X, 5, optimizer="exchange", certificate=True, recipe="none")


def test_progress_bar_counts_to_k(monkeypatch):
    steps = []

    class Steps:
        def advance(self, amount=1):
            steps.append(amount)

    @contextlib.contextmanager
    def bar(label, total, unit):
        assert (label, total) == ("select", 30)
        yield Steps()

    monkeypatch.setattr(sys.modules["ray_subsel.selection.maximize"], "bar", bar)
    select(cloud(), 30, optimizer="naive", progress=True, recipe="none")
    assert steps == [1] * 30


def test_progress_may_be_a_function():
    seen = []
    select(cloud(), 10, progress=lambda picked, k: seen.append((picked, k)), recipe="none")
    assert seen[-1] == (10, 10)


def test_import_is_light():
    heavy = "('ray', 'torch', 'transformers', 'sklearn', 'pandas')"
    code = f"import sys, ray_subsel; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version():
    assert ray_subsel.__version__.count(".") == 2


NAN_ROW = np.ones((40, 5))
NAN_ROW[3, 2] = np.nan


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "^k must be given, or fraction, or costs and budget; got none of them"),
        ({"k": 0}, r"^k must lie between 1 and 40, the items to choose from; got 0\."),
        ({"k": 41}, r"^k must lie between 1 and 40, the items to choose from; got 41\."),
        ({"k": 36, "exclude": range(5)}, r"^k must lie between 1 and 35, .*choose from, 5 are excluded; got 36"),
        ({"k": 2.0}, "^k must be a whole number of items; got 2.0. Use fraction for a share."),
        ({"k": True}, "^k must be a whole number"),
        ({"k": 3, "fraction": 0.5}, "^k must be given without fraction; got k=3 and fraction=0.5"),
        ({"fraction": 1.5}, r"^fraction must lie in \(0, 1\]; got 1.5. Use k for a number of items."),
        ({"fraction": 0.0}, r"^fraction must lie in \(0, 1\]"),
        ({"fraction": float("nan")}, r"^fraction must lie in \(0, 1\]; got nan"),
        ({"k": 3, "lam": float("nan")}, "^lam must be a finite number >= 0, or 'auto'; got nan"),
        ({"k": 3, "lam": -1}, "^lam must be a finite number"),
        ({"k": 3, "lam": "automatic"}, "^lam must be a finite number >= 0, or 'auto'; got 'automatic'"),
        ({"k": 3, "objective": "graphcut"}, "^objective must be one of graph_cut, .*; got 'graphcut'"),
        ({"k": 3, "optimizer": "best"}, "^optimizer must be one of greedy, .*; got 'best'"),
        ({"k": 3, "include": [40]}, r"^include must name rows in \[0, 40\); got 40"),
        ({"k": 3, "include": [-1]}, r"^include must name rows in \[0, 40\); got -1"),
        ({"k": 3, "include": [1, 1]}, "^include must name a row once; got row 1 more than once"),
        ({"k": 3, "include": [0.5]}, "^include must be a sequence of row numbers; got float64"),
        ({"k": 3, "include": [0, 1, 2, 3]}, "^include must name at most k = 3 rows; got 4 rows"),
        ({"k": 3, "include": [7], "exclude": [7]}, "^exclude must share no row with include; got row 7 in both"),
        ({"k": 3, "stop_when_gain": float("nan")}, "^stop_when_gain must be a number; got nan"),
        ({"k": 3, "utility": [1.0]}, "^utility must be 40 numbers"),
        ({"k": 3, "utility": np.full(40, np.inf)}, "^utility must be finite; got NaN or infinity at row 0"),
        ({"k": 3, "multiplicity": np.zeros(40, int)}, "^multiplicity must be at least 1; got 0"),
        ({"k": 3, "multiplicity": np.ones(40)}, "^multiplicity must be 40 integers"),
        ({"k": 3, "groups": np.zeros(40, int)}, "^groups must be given with quotas, floors or a mix"),
        ({"k": 3, "quotas": [1]}, "^groups must be given with quotas, floors and a mix; got none"),
        ({"k": 3, "groups": np.full(40, 2), "quotas": [1, 1]}, r"^groups must lie in \[0, 2\)"),
        ({"k": 3, "groups": np.zeros(40, int), "quotas": [-1]}, "^quotas must be one whole number >= 0 per group"),
        ({"k": 3, "costs": np.ones(40)}, "^costs and budget must be given together"),
        ({"costs": np.zeros(40), "budget": 1.0}, "^costs must be positive; got 0.0 at row 0"),
        ({"costs": np.ones(40), "budget": 0.0}, "^budget must be a finite number > 0"),
        ({"k": 3, "near": 1.5}, r"^near must lie in \(0, 1\]; got 1.5"),
        ({"k": 3, "near_weights": True}, "^near_weights must go with near; got near=None. Give a cosine"),
        ({"k": "3"}, "^k must be a whole number of items; got '3'"),
        ({"k": np.array([3])}, "^k must be a whole number of items"),
        ({"fraction": True}, r"^fraction must lie in \(0, 1\]; got True"),
        ({"costs": np.ones(40), "budget": "10"}, "^budget must be a finite number > 0; got '10'"),
        ({"costs": np.ones(40), "budget": True}, "^budget must be a finite number > 0; got True"),
        ({"costs": ["1"] * 40, "budget": 1}, "^costs must be 40 numbers"),
        ({"costs": np.full(40, 2**63, np.uint64), "budget": 1}, r"^costs must be below 2\^63"),
        ({"costs": np.ma.array(np.ones(40), mask=np.arange(40) < 2), "budget": 1}, "^costs must have no masked"),
        ({"k": 3, "utility": np.ma.array(np.ones(40), mask=np.eye(40)[7])}, "^utility must have no masked .* got 1"),
        ({"k": 3, "utility": [[1], [1, 2]]}, "^utility must be 40 numbers; got list that is no array"),
        ({"k": 3, "lam": np.ones(2)}, "^lam must be a finite number >= 0, or 'auto'"),
        ({"k": 3, "near": "0.9"}, r"^near must lie in \(0, 1\]; got '0.9'"),
        ({"k": 3, "near_weights": 1}, "^near_weights must be True or False; got 1"),
        ({"k": 3, "certificate": "no"}, "^certificate must be True or False; got 'no'"),
        ({"k": 3, "progress": "bar"}, "^progress must be True, False or a function; got 'bar'"),
        ({"k": 3, "optimizer": ["lazy"]}, "^optimizer must be one of greedy, .*"),
        ({"k": 3, "objective": GraphCut}, "^objective must be one of .* Give an instance"),
        ({"k": 3, "stop_when_gain": "0"}, "^stop_when_gain must be a number; got '0'"),
        ({"k": 3, "seed": True}, "^seed must be a whole number >= 0; got True"),
        ({"k": 3, "seed": -1}, "^seed must be a whole number >= 0; got -1"),
        ({"k": 3, "seed": 0.5}, "^seed must be a whole number >= 0; got 0.5"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_on_one_line(arguments, match):
    with pytest.raises(InputError, match=match) as caught:
        select(cloud(), **arguments, recipe="none")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (NAN_ROW, "^row 3 of X must be finite; got NaN or infinity"),
        (np.zeros((40, 5)), "^row 0 of X must not be zero"),
        (np.ones(5), r"^X must have shape \(n, d\)"),
        (np.ones((3, 4), dtype=np.int32), "^X must hold floats"),
        ([[1.0]], "^X must be a numpy array or a torch tensor"),
        (sp.csr_array(np.eye(3)), "^X must be dense for objective 'graph_cut'; .* or use objective='feature_based'"),
        (np.ma.array(np.ones((3, 2)), mask=np.eye(3)[:, :2]), "^X must have no masked entries; got 2 masked"),
    ],
)
def test_bad_vectors_are_named(X, match):
    with pytest.raises(InputError, match=match):
        select(X, 1, recipe="none")


def test_sparse_input_is_refused_on_one_line_where_it_is_not_taken():
    X = sp.csr_array(np.eye(4))
    for objective in sorted(set(OBJECTIVES) - {"feature_based"}):
        for optimizer in OPTIMIZERS | BASELINES:
            with pytest.raises(InputError, match="^X must be dense"):
                select(X, 2, objective=objective, optimizer=optimizer)
    for optimizer in ("k_center", "herding", "semdedup"):
        with pytest.raises(InputError, match="^X must be dense; got csr_array. X.toarray"):
            select(X, 2, objective="feature_based", optimizer=optimizer)
    with pytest.raises(InputError, match="^X must be dense; got csr_array"):
        select(X, 2, objective="feature_based", near=0.9)
    for bad, match in ((sp.coo_array(np.ones(4)), r"shape \(n, d\)"), (X.astype(complex), "^X must hold numbers")):
        with pytest.raises(InputError, match=match):
            select(bad, 1, objective="feature_based")


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_sparse_tensors_are_refused_on_one_line(layout, objective):
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError, match="^X must be dense; got a tensor of layout torch.sparse.* X.to_dense"):
        select(getattr(torch.eye(4), layout)(), 2, objective=objective)


def test_numbers_without_dimensions_are_numbers():
    X = cloud()
    wanted = select(X, 4, recipe="none").indices.tolist()
    for k in (np.array(4), np.int8(4), np.uint64(4)):
        assert select(X, k, recipe="none").indices.tolist() == wanted
    said = {"lam": np.array(10), "seed": np.array(0), "stop_when_gain": np.array(-np.inf)}
    assert select(X, fraction=np.array(0.1), **said, recipe="none").indices.tolist() == wanted
    groups = np.arange(40) % 2
    assert len(select(X, 4, near=np.float32(0.99), groups=groups, floors=np.array(2), recipe="none")) == 4
    assert len(select(X, costs=np.ones(40), budget=np.array(4), recipe="none")) <= 4


def test_an_objective_without_a_name_is_refused():
    class Nameless(type(GraphCut()).__base__):
        init = gains = add = value = evaluate = None

    with pytest.raises(InputError, match='^objective must have a name; got Nameless without one. Add name = "..."'):
        select(cloud(), 3, objective=Nameless())


def test_tables_hold_every_class_under_its_name():
    assert all(name == kind.name for name, kind in [*OBJECTIVES.items(), *OPTIMIZERS.items()])


def ground_set_of(X):
    none = np.zeros(0, dtype=np.int64)
    return GroundSet(X, None, none, none, None, None, None, None)


def near_pairs():
    """Rows 2i and 2i + 1 are near copies; different pairs are far apart."""
    X = np.repeat(np.eye(10), 2, axis=0)
    X[1::2, 0] += 0.05
    X[1, 1] += 0.05
    return X


def test_near_copies_are_collapsed_first():
    X = near_pairs()
    found = select(X, 10, near=0.95, recipe="none")
    assert sorted(found.indices.tolist()) == list(range(0, 20, 2))
    assert found.n == 10
    with pytest.raises(InputError, match="k must lie between 1 and 10, .*10 of 20 are left after copies are collapsed"):
        select(X, 11, near=0.95, recipe="none")
    assert len(select(X, fraction=0.5, near=0.95, recipe="none")) == 10


def test_must_includes_stay_and_exclusions_bar_their_copies():
    X = near_pairs()
    found = select(X, 8, near=0.95, include=[3, 7], exclude=[8, 11], recipe="none")
    assert found.indices[:2].tolist() == [3, 7]
    # 8 and 9, 10 and 11 are near copies: an excluded row bars its copies
    assert sorted(found.indices.tolist()) == [0, 3, 4, 7, 12, 14, 16, 18]


def test_of_two_included_near_copies_the_first_named_counts_with_what_is_known_of_the_lowest():
    X = near_pairs()
    found = select(X, 2, near=0.95, include=[3, 2], groups=np.arange(20) % 2, quotas=[2, 0], recipe="none")
    assert found.indices[0] == 3
    assert len(found) == 2
    with pytest.raises(InputError, match="exclude must share no row with include; got row 3, or a copy of it, in both"):
        select(X, 2, near=0.95, include=[3], exclude=[2], recipe="none")


def test_equal_rows_do_not_change_how_near_copies_are_grouped():
    draw = np.random.default_rng(0)
    base = draw.normal(size=(700, 8))
    X = (base[draw.integers(700, size=4500)] + 0.1 * draw.normal(size=(4500, 8))).astype(np.float32)
    alone = without_near_copies(ground_set_of(X), 0.95, 3)
    doubled = without_near_copies(ground_set_of(np.concatenate([X, X[::-1]])), 0.95, 3)
    assert alone.n > 700
    np.testing.assert_array_equal(doubled.kept, alone.kept)


def test_near_copies_join_within_labels():
    X = near_pairs()
    X[5] = X[4]  # equal rows of two labels stay apart
    labels = np.array(["a"] * 4 + ["a", "b"] * 2 + ["b"] * 12)
    found = select(X, 12, near=0.95, near_within=labels, recipe="none")
    assert sorted(found.indices.tolist()) == [0, 2, 4, 5, 6, 7, *range(8, 20, 2)]
    assert "near_recall" not in found.stats
    with pytest.raises(InputError, match="near_within must go with near; got near=None"):
        select(X, 3, near_within=labels, recipe="none")
    with pytest.raises(InputError, match="near_within must be 20 labels; got"):
        select(X, 3, near=0.9, near_within=labels[:3], recipe="none")


def test_recall_of_near_copies_is_told_where_not_all_pairs_are_compared(monkeypatch):
    monkeypatch.setattr("ray_subsel.dedup.settings.EXACT_NUMBERS", 100)
    assert select(near_pairs(), 10, near=0.95, recipe="none").stats["near_recall"] == 1.0


def test_near_copies_weigh_in_the_total_when_asked():
    X = near_pairs()[[0, 2, 3, 4, 5, 4, 5]]
    light, heavy = select(X, 1, near=0.95, recipe="none"), select(X, 1, near=0.95, near_weights=True, recipe="none")
    assert light.indices.tolist() == [0]
    assert heavy.indices.tolist() == [3]
    assert heavy.gains[0] == pytest.approx(3.0)  # four rows of one direction, less one


def test_what_is_known_of_rows_goes_with_them():
    X = near_pairs()
    utility = np.zeros(20)
    utility[14] = 100.0
    found = select(X, 3, near=0.95, utility=utility, groups=np.arange(20) // 10, quotas=[1, 2], recipe="none")
    assert found.indices[0] == 14
    assert np.bincount(found.indices // 10).tolist() == [1, 2]


@pytest.mark.parametrize("objective", ["facility_location", GraphCut(lam=1.0)])
def test_a_penalty_that_nothing_would_use_is_refused(objective):
    X = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    with pytest.raises(InputError, match="lam must be left out unless objective is 'graph_cut' by name; got 3.0"):
        select(X, 2, objective=objective, lam=3.0)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_half_precision_tensors_give_the_ids_of_their_numbers(objective: str, kind: str) -> None:
    torch = pytest.importorskip("torch")
    X = torch.from_numpy(np.abs(np.random.default_rng(0).standard_normal((80, 8)))).to(getattr(torch, kind))
    found, wide = select(X, 12, objective=objective), select(X.float().numpy(), 12, objective=objective)
    assert found.indices.tolist() == wide.indices.tolist()
    np.testing.assert_allclose(found.gains, wide.gains)


def test_near_copies_among_half_precision_tensors() -> None:
    torch = pytest.importorskip("torch")
    X = torch.from_numpy(np.random.default_rng(1).standard_normal((60, 4))).to(torch.bfloat16)
    assert (
        select(X, 5, near=0.8, recipe="none").indices.tolist()
        == select(X.float().numpy(), 5, near=0.8, recipe="none").indices.tolist()
    )


def laid_out(X, layout, folder):
    """Return the numbers of X, laid out otherwise in memory."""
    if layout == "Fortran":
        return np.asfortranarray(X)
    if layout == "columns of a wider array":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if layout == "other byte order":
        return X.astype(X.dtype.newbyteorder())
    if layout == "masked array with nothing masked":
        return np.ma.array(X, mask=np.zeros(X.shape, dtype=bool))
    if layout == "read-only":
        X = X.copy()
        X.setflags(write=False)
        return X
    np.save(folder / "X.npy", np.asfortranarray(X) if layout == "Fortran map" else X)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "layout",
    [
        "Fortran", "columns of a wider array", "other byte order", "read-only", "map", "Fortran map",
        "masked array with nothing masked",
    ],
)  # fmt: skip
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_how_an_array_lies_in_memory_does_not_change_the_ids(objective, layout, dtype, tmp_path):
    X = np.abs(np.random.default_rng(2).standard_normal((90, 7))).astype(dtype)
    found = select(laid_out(X, layout, tmp_path), 12, objective=objective)
    same = select(X, 12, objective=objective)
    assert found.indices.tolist() == same.indices.tolist()
    assert found.gains.tolist() == same.gains.tolist()


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_masked_entries_are_refused_by_every_objective(objective):
    X = np.ma.array(np.ones((30, 3)), mask=np.arange(90).reshape(30, 3) % 40 == 7)
    with pytest.raises(InputError, match="^X must have no masked entries; got 3 masked"):
        select(X, 2, objective=objective)


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_float16_gives_the_ids_of_its_numbers_in_float32(objective):
    X = np.abs(np.random.default_rng(3).standard_normal((90, 7))).astype(np.float16)
    found, wide = select(X, 12, objective=objective), select(X.astype(np.float32), 12, objective=objective)
    assert found.indices.tolist() == wide.indices.tolist()


@pytest.mark.parametrize("near", [None, 0.95])
def test_weights_sum_to_the_rows_and_a_chosen_row_stands_for_itself(near):
    X = np.random.default_rng(3).normal(size=(90, 5))
    X = np.concatenate([X, X[:40] + 0.001])
    counts = 1 + np.arange(130) % 3
    chosen = select(X, 12, near=near, multiplicity=counts)
    assert chosen.weights.sum() == counts.sum()
    assert (chosen.weights >= 1).all()
    assert chosen.weights is chosen.weights  # computed once


def test_weights_of_sparse_rows():
    dense = np.random.default_rng(4).poisson(0.7, size=(60, 9)).astype(np.float64)
    dense[7] = 0.0
    few = select(sp.csr_array(dense), 6, objective="feature_based")
    assert few.weights.tolist() == select(dense, 6, objective="feature_based").weights.tolist()
    assert few.weights.sum() == 60
