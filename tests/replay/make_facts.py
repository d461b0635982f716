"""Write ``facts.json``: run this file where apricot-select 0.6.1 and submodlib-py 0.0.3 are installed; no test does.

Usage: python tests/replay/make_facts.py facts.json
"""

import json
import sys
from pathlib import Path

import numpy as np

K = 12
LAMBDAS, ALPHAS, RIDGES = (0.0, 2.0, 10.0), (0.3, 0.6), (0.1, 1.0)
VECTORS = ("cloud", "clusters", "positive", "circle")


def inputs():
    """Return the matrices: three decimals each, so that their text is the numbers."""
    draw = np.random.default_rng(2024)
    cloud = np.round(draw.normal(size=(40, 6)), 3)
    centres = np.round(draw.normal(size=(5, 8)), 3)
    clusters = np.round(np.repeat(centres, 9, axis=0) + 0.25 * draw.normal(size=(45, 8)), 3)
    positive = np.round(np.abs(draw.normal(size=(36, 5))) + 0.05, 3)
    angles = np.arange(24) * 0.2
    circle = np.round(np.stack([np.cos(angles), np.sin(angles), np.full(24, 0.5)], axis=1), 3)
    counts = draw.poisson(0.8, size=(30, 12)).astype(float)
    counts[counts.sum(axis=1) == 0, 0] = 1.0
    return {"cloud": cloud, "clusters": clusters, "positive": positive, "circle": circle, "counts": counts}


def similarities(X):
    """Return cosines, and the two kinds that are not negative."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit @ unit.T
    return cosines, {"cosine": np.maximum(cosines, 0.0), "shifted_cosine": (1.0 + cosines) / 2.0}


def fact(peer, function, name, options, similarity, picks):
    """Return what is stored of a run."""
    ids, gains = zip(*picks, strict=True)
    return {
        "peer": peer, "function": function, "input": name, "options": options,
        "ids": [int(i) for i in ids], "gains": [float(f"{gain:.10g}") for gain in gains], "similarity": similarity,
    }  # fmt: skip


def of_apricot(X):
    """Yield apricot's facts."""
    import apricot

    def run(kind, matrix, optimizer="naive", **options):
        fitted = kind(K, optimizer=optimizer, verbose=False, **options).fit(matrix)
        return list(zip(fitted.ranking, fitted.gains, strict=True))

    peer, given = "apricot 0.6.1", {"metric": "precomputed"}
    for name in VECTORS:
        cosines, kinds = similarities(X[name])
        for kind, matrix in kinds.items():
            for how in ("naive", "lazy"):
                picks = run(apricot.FacilityLocationSelection, matrix, how, **given)
                yield fact(peer, "facility_location", name, {"optimizer": how}, kind, picks)
            for alpha in ALPHAS:
                picks = run(apricot.SaturatedCoverageSelection, matrix, alpha=alpha, **given)
                yield fact(peer, "saturated_coverage", name, {"alpha": alpha}, kind, picks)
        for lam in LAMBDAS if cosines.min() >= 0 else ():
            picks = run(apricot.GraphCutSelection, cosines, alpha=1 / (1 + lam / 2), **given)
            yield fact(peer, "graph_cut", name, {"lam": lam}, "cosine", picks)
    for concave in ("sqrt", "log"):
        for name in ("counts", "positive"):
            picks = run(apricot.FeatureBasedSelection, X[name], concave_func=concave)
            yield fact(peer, "feature_based", name, {"concave": concave}, "", picks)


def of_submodlib(X):
    """Yield submodlib's facts."""
    import submodlib

    def run(function):
        return function.maximize(
            budget=K, optimizer="NaiveGreedy", stopIfZeroGain=False, stopIfNegativeGain=False, verbose=False,
            show_progress=False,
        )  # fmt: skip

    peer = "submodlib-py 0.0.3"
    for name in VECTORS:
        cosines, kinds = similarities(X[name])
        dense = {"n": len(cosines), "mode": "dense"}
        for kind, matrix in kinds.items():
            picks = run(submodlib.FacilityLocationFunction(**dense, sijs=matrix, separate_rep=False))
            yield fact(peer, "facility_location", name, {}, kind, picks)
        for lam in LAMBDAS:
            graph = {"ggsijs": cosines, "lambdaVal": 1 + lam / 2, "separate_rep": False}
            yield fact(
                peer, "graph_cut", name, {"lam": lam}, "cosine", run(submodlib.GraphCutFunction(**dense, **graph))
            )
        for ridge in RIDGES:
            picks = run(submodlib.LogDeterminantFunction(**dense, sijs=cosines, lambdaVal=ridge))
            yield fact(peer, "log_determinant", name, {"ridge": ridge}, "cosine", picks)


def main(path):
    """Write all facts, a line each."""
    X = inputs()
    rows = [f'  "{name}": {json.dumps(matrix.tolist())}' for name, matrix in X.items()]
    facts = ["  " + json.dumps(one) for peer in (of_apricot, of_submodlib) for one in peer(X)]
    text = '{\n "inputs": {\n' + ",\n".join(rows) + '\n },\n "facts": [\n' + ",\n".join(facts) + "\n ]\n}\n"
    Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
