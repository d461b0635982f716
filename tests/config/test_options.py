"""Every setting is checked once, and its error says what to do."""

import dataclasses
import math

import pytest

from ray_subsel.config import CorpusConfig, EmbedConfig, RuntimeConfig, SelectConfig, TrainConfig, fingerprint_fields
from ray_subsel.core.errors import InputError

BAD = [
    (
        CorpusConfig,
        {"task": "poems"},
        "task must be one of text, classification, chat, multiple-choice, story-cloze; got 'poems'",
    ),
    (CorpusConfig, {"task": "classification", "text": ("a",)}, "label must name the class column"),
    (CorpusConfig, {"text": ("a",), "copies": "some"}, "copies must be one of collapse, keep"),
    (CorpusConfig, {"text": ("a",), "max_rejected": 1.5}, r"max_rejected must lie in \[0, 1\]; got 1.5"),
    (CorpusConfig, {"text": ("a",), "augment_share": 0.0}, r"augment_share must lie in \(0, 1\]; got 0.0"),
    (CorpusConfig, {"text": ("a",), "augment_copies": 0}, "augment_copies must be above 0; got 0"),
    (CorpusConfig, {"vectors": "v", "augment": True}, "augment must be used with texts"),
    (EmbedConfig, {"embedder": "glove"}, "embedder must be one of minilm, bert, doc2vec, tfidf"),
    (EmbedConfig, {"batch_size": 0}, "batch_size must be above 0; got 0"),
    (SelectConfig, {}, "k, fraction must be given, exactly one of them; got 'neither'"),
    (SelectConfig, {"k": 3, "fraction": 0.1}, "k, fraction must be given, exactly one of them; got 'both'"),
    (SelectConfig, {"k": 0}, "k must be at least 1; got 0"),
    (SelectConfig, {"fraction": 1.5}, r"fraction must lie in \(0, 1\]; got 1.5. Use --k"),
    (SelectConfig, {"fraction": math.nan}, r"fraction must lie in \(0, 1\]; got nan"),
    (SelectConfig, {"k": "3"}, "k must be at least 1; got .3."),
    (SelectConfig, {"k": True}, "k must be at least 1; got True"),
    (SelectConfig, {"budget": "10"}, "budget must be a finite number above 0; got .10."),
    (SelectConfig, {"budget": True}, "budget must be a finite number above 0; got True"),
    (SelectConfig, {"k": 1, "lam": math.nan}, "lam must be a number >= 0 or auto; got nan"),
    (SelectConfig, {"k": 1, "lam": -1.0}, "lam must be a number >= 0 or auto; got -1.0"),
    (SelectConfig, {"k": 1, "lam": "most"}, "lam must be a number >= 0 or auto; got 'most'"),
    (SelectConfig, {"k": 1, "partitions": 0}, "partitions must be at least 1; got 0"),
    (SelectConfig, {"k": 1, "candidates": 0.5}, "candidates must be at least 1; got 0.5"),
    (TrainConfig, {"arms": ("best",)}, "arms must be one of subset, random, random-dedup, full; got 'best'"),
    (TrainConfig, {"lr": 0.0}, "lr must be above 0; got 0.0"),
    (TrainConfig, {"epochs": 0}, "epochs must be above 0; got 0"),
    (TrainConfig, {"weight_decay": -0.1}, "weight_decay must be at least 0; got -0.1"),
    (TrainConfig, {"checkpoint_every": -1}, "checkpoint_every must be at least 0; got -1"),
    (RuntimeConfig, {}, "out must name a directory; got ''. Use --out DIR"),
    (RuntimeConfig, {"out": "x", "workers": 0}, "workers must be at least 1; got 0"),
    (RuntimeConfig, {"out": "x", "num_gpus": -1.0}, "num_gpus must be at least 0; got -1.0"),
    (RuntimeConfig, {"out": "x", "train_workers": -1}, "train_workers must be at least 0; got -1"),
]


@pytest.mark.parametrize(("config", "fields", "message"), BAD, ids=[f"{c.__name__}-{f}" for c, f, _ in BAD])
def test_a_bad_setting_is_one_line(config, fields, message):
    with pytest.raises(InputError, match=message) as caught:
        config(**fields)
    assert "\n" not in str(caught.value)


def test_the_paper_s_settings_are_the_defaults():
    train = TrainConfig()
    assert (train.epochs, train.lr) == (5, 2e-5)
    assert SelectConfig(k=1, recipe="none").lam == 10.0


def test_places_and_workers_are_not_part_of_a_run_s_identity():
    assert not fingerprint_fields(RuntimeConfig(out="x"))
    assert "data" not in fingerprint_fields(CorpusConfig(data=("x",), text=("t",)))
    assert fingerprint_fields(CorpusConfig(text=("t",)))["text"] == ["t"]


def test_float16_on_disk_is_part_of_a_run_s_identity_and_the_default_is_not():
    assert "vectors_dtype" not in fingerprint_fields(EmbedConfig())
    assert fingerprint_fields(EmbedConfig(vectors_dtype="float16"))["vectors_dtype"] == "float16"
    with pytest.raises(InputError, match="vectors_dtype must be one of float32, float16; got 'float8'"):
        EmbedConfig(vectors_dtype="float8")


@pytest.mark.parametrize("config", [CorpusConfig, EmbedConfig, SelectConfig, TrainConfig, RuntimeConfig])
def test_every_field_explains_itself(config):
    for field in dataclasses.fields(config):
        assert len(field.metadata["help"]) > 8, field.name
