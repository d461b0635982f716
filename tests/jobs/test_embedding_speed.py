"""Speed of encoders: each way in turn on the same batches, cosines to float32, what is not installed is told."""

import json
import runpy
from pathlib import Path

import numpy as np

from ray_subsel.config import EmbedConfig
from ray_subsel.embedders import build_embedder

JOB = runpy.run_path(str(Path(__file__).parents[2] / "jobs" / "embedding_speed.py"))


def told(capsys):
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()], captured.err.splitlines()


def test_ways_of_torch_are_compared_with_float32(tiny_bert, capsys):
    ways = ["torch bfloat16", "torch int8"]
    JOB["main"](["--rows", "20", "--rounds", "2", "--model", tiny_bert, *(f"--way={way}" for way in ways)])
    lines, rest = told(capsys)
    assert not rest
    assert [line["way"] for line in lines] == ["torch float32", *ways]
    assert (lines[0]["speed_up"], lines[0]["least_cosine"], lines[0]["cosine"]) == (1.0, 1.0, 1.0)
    for line in lines[1:]:
        assert 0.9 < line["least_cosine"] <= line["cosine"] <= 1.0
        assert line["texts_a_second"] > 0


def test_a_precision_gives_vectors_of_its_own_in_the_order_of_the_texts(tiny_bert):
    texts = ["a cat", "the dog sat on the mat by the door", "a dog", "the cat sat", "a cat"]
    batches = JOB["batches_of"](tiny_bert, texts, 2)
    exact, *others = (JOB["embed"](JOB["torch_way"](tiny_bert, p), batches)[0] for p in ("float32", "bfloat16", "int8"))
    wanted = build_embedder(EmbedConfig(embedder="bert", model=tiny_bert)).embed(texts)
    np.testing.assert_allclose(exact, wanted, atol=1e-5)
    for found in others:
        assert 0 < np.abs(found - exact).max() < 0.1
        np.testing.assert_allclose(found, exact, atol=0.1)


def test_what_is_not_installed_is_left_out_and_told(tiny_bert, capsys, monkeypatch):
    monkeypatch.setitem(JOB["main"].__globals__, "find_spec", lambda name: None if name == "openvino" else name)
    JOB["main"](["--rows", "3", "--rounds", "1", "--model", tiny_bert, "--way", "openvino bfloat16"])
    lines, rest = told(capsys)
    assert [line["way"] for line in lines] == ["torch float32"]
    assert rest == ["openvino bfloat16: openvino not installed"]
