from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import BertEmbedder
from ray_subsel.embedders.pooling import Pooling, read_pooling

TEXTS = ["the dog ran home .", "a", "the boy bought a red kite and played with it in the park ."]
SWITCHES = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens"}


def sentence_folder(tiny_bert: str, folder: Path, *modes: str, kinds: tuple[str, ...] = ()) -> str:
    """Write a sentence-transformers folder around the tiny encoder and return it."""
    shutil.copytree(tiny_bert, folder)
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(
            [("", "Transformer"), ("1_Pooling", "Pooling"), *((f"2_{kind}", kind) for kind in kinds)]
        )
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    switches = {switch: mode in modes for mode, switch in SWITCHES.items()} | {SWITCHES.get(m, m): True for m in modes}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | switches))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 6, "do_lower_case": False}))
    return str(folder)


def states(folder: str, text: str) -> torch.Tensor:
    """Return the last layer's states of a text alone, cut at six tokens."""
    network, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=6)
        return network(**tokens).last_hidden_state[0]


@pytest.mark.parametrize("modes", [("mean",), ("cls",), ("max",), ("mean", "cls")])
def test_a_sentence_transformers_folder_pools_and_cuts_as_it_says(
    tiny_bert: str, tmp_path: Path, modes: tuple[str, ...]
) -> None:
    folder = sentence_folder(tiny_bert, tmp_path / "model", *modes, kinds=("Normalize",))
    ways = {"mean": lambda h: h.mean(dim=0), "cls": lambda h: h[0], "max": lambda h: h.amax(dim=0)}
    embedder = BertEmbedder(folder)
    for text, vector in zip(TEXTS, embedder.embed(TEXTS), strict=True):
        hidden = states(folder, text)
        expected = torch.cat([ways[mode](hidden) for mode in ("cls", "max", "mean") if mode in modes]).numpy()
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    settings = EmbedConfig(embedder="bert", model=folder)
    assert embedder.dimension == BertEmbedder.dimension_of(settings) == 32 * len(modes)


def test_pooling_tells_models_apart(tiny_bert: str, tmp_path: Path) -> None:
    identities = {
        BertEmbedder.identity(
            EmbedConfig(embedder="bert", model=sentence_folder(tiny_bert, tmp_path / str(turn), *modes))
        )
        for turn, modes in enumerate([("mean",), ("cls",), ("max",), ("mean", "cls")])
    }
    assert len(identities) == 4


def test_a_plain_folder_means_the_mean(tiny_bert: str) -> None:
    assert read_pooling(tiny_bert) == Pooling(("mean",), None)


def test_the_shorter_of_two_limits_cuts(tiny_bert: str, tmp_path: Path) -> None:
    folder = sentence_folder(tiny_bert, tmp_path / "model", "mean")
    short = BertEmbedder(folder, max_length=4)
    np.testing.assert_allclose(short.embed(["a an and at"]), short.embed(["a an"]), atol=1e-6)


def test_a_pooling_that_has_another_name_is_read(tiny_bert: str, tmp_path: Path) -> None:
    folder = Path(sentence_folder(tiny_bert, tmp_path / "model", "mean"))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    assert read_pooling(str(folder)).modes == ("cls",)


def test_what_is_not_known_is_refused(tiny_bert: str, tmp_path: Path) -> None:
    weighted = sentence_folder(tiny_bert, tmp_path / "a", "pooling_mode_weightedmean_tokens")
    with pytest.raises(InputError, match="pool by cls, max, mean; got .*weightedmean"):
        BertEmbedder(weighted)
    dense = sentence_folder(tiny_bert, tmp_path / "b", "mean", kinds=("Dense",))
    with pytest.raises(InputError, match="consist of Transformer, Pooling, Normalize; got Dense"):
        BertEmbedder(dense)
    lost = Path(sentence_folder(tiny_bert, tmp_path / "c", "mean"))
    (lost / "1_Pooling" / "config.json").unlink()
    with pytest.raises(InputError, match="come with its pooling; got .*1_Pooling"):
        BertEmbedder(str(lost))


@given(st.sampled_from(["mean", "cls", "max"]), st.integers(1, 4), st.integers(0, 3), st.integers(0, 99))
def test_padding_does_not_count(mode: str, length: int, padding: int, seed: int) -> None:
    hidden = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, length + padding, 3)))
    mask = torch.ones(2, length + padding, dtype=torch.int64)
    mask[:, length:] = 0
    alone = Pooling((mode,))(hidden[:, :length], mask[:, :length])
    torch.testing.assert_close(Pooling((mode,))(hidden, mask), alone)
