"""The table of embedders, and what the rest of the package asks of a row."""

import pytest

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import EMBEDDERS, TextList, build_embedder, find_embedder, model_fingerprint, model_name
from ray_subsel.embedders.registry import catalogue, users
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
    assert (kind.identity(settings), kind.encoder(settings)) == (name, None)


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
