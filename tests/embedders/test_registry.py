"""The table of embedders, and what the rest of the package asks of a row."""

import numpy as np
import pytest

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import (
    EMBEDDERS,
    TextList,
    TfidfEmbedder,
    build_embedder,
    document_frequencies,
    find_embedder,
    model_fingerprint,
    model_name,
)
from ray_subsel.embedders.doc2vec import Doc2VecEmbedder, tokenize
from ray_subsel.embedders.registry import catalogue, users
from ray_subsel.embedders.remembered import kept_name
from ray_subsel.storage.run_directory import RunDir

TEXTS = ["a red house", "a blue house", "the red car", "the blue car"] * 3


@pytest.mark.parametrize("name", ["doc2vec", "tfidf"])
def test_what_learns_from_a_corpus_goes_through_a_file(name, tmp_path):
    settings = EmbedConfig(embedder=name, vector_size=12, doc2vec_epochs=2)
    kind = find_embedder(name)
    run, state = RunDir(str(tmp_path)), kind.fit(TextList(TEXTS), settings)
    kind.save_state(run, state)
    assert run.exists(kind.state_file)
    again = kind.open(settings, kind.load_state(run))
    assert (again.embed(TEXTS) == build_embedder(settings, state=state).embed(TEXTS)).all()
    assert again.dimension == kind.dimension_of(settings) == 12
    assert (kind.identity(settings), kind.encoder(settings)) == (f"{name}-2", None)


@pytest.mark.parametrize("name", sorted(EMBEDDERS))
def test_another_version_is_another_embedder_wherever_vectors_are_kept(name, tiny_bert, monkeypatch):
    settings = EmbedConfig(embedder=name, model=tiny_bert)
    kind = settings.embedder_class
    before = kind.identity(settings), kept_name(kind, settings)
    monkeypatch.setattr(kind, "version", kind.version + 1)
    now = kind.identity(settings), kept_name(kind, settings)
    assert now[0] != before[0]
    assert (now[1] == before[1]) == (kind.kept_by is None)


WRITTEN = "Cafe\u0301 \ufb01ne, co\u00adop zero\u200bwidth \u5317\u4eac: it's 3.5!"
"""A composed accent apart, a ligature, a soft hyphen, a zero-width space."""


def test_what_is_seen_of_a_text_is_what_the_version_says():
    """Where this fails, texts have other vectors than before: raise ``version`` of the embedder."""
    words = ["caf\xe9", "\ufb01ne", ",", "coop", "zerowidth", "\u5317\u4eac", ":", "it", "'", "s", "3", ".", "5", "!"]
    assert (Doc2VecEmbedder.version, tokenize(WRITTEN)) == (2, words)
    frequencies, _ = document_frequencies([WRITTEN])
    columns = [3848, 21465, 37710, 60743, 67646, 79119, 144868, 181091, 238004]
    assert (TfidfEmbedder.version, np.flatnonzero(frequencies).tolist()) == (2, columns)


def test_an_encoder_is_known_by_its_files(tiny_bert):
    settings = EmbedConfig(embedder="bert", model=tiny_bert)
    kind = settings.embedder_class
    assert kind.identity(settings) == model_fingerprint(tiny_bert)
    assert kind.encoder(settings) == model_name(settings) == tiny_bert
    assert kind.open(settings).dimension == kind.dimension_of(settings)
    assert kind.memory_bytes(settings) > 300 << 20
    assert not kind.state_file


def test_every_row_has_its_name_and_the_settings_it_reads():
    fields = set(EmbedConfig.__dataclass_fields__)
    for name, kind in EMBEDDERS.items():
        assert kind.name == name
        assert set(kind.uses) <= fields
    assert catalogue() == "minilm (packaged, offline), bert (any encoder), doc2vec, tfidf (fastest)"
    assert users("vector_size") == "doc2vec and tfidf"


def test_ready_vectors_are_no_embedder():
    with pytest.raises(InputError, match="embedder must be left out for ready vectors.*--vectors COLUMN"):
        EmbedConfig(embedder="precomputed")
