"""Texts of our own grammar, or vectors, with exact and near copies of known origin: corpora of any size."""

from __future__ import annotations

from ray_subsel.synthetic.corpus import Recipe, make_corpus, shard_table
from ray_subsel.synthetic.grammar import original_text
from ray_subsel.synthetic.noise import near_copy

__all__ = ["Recipe", "make_corpus", "near_copy", "original_text", "shard_table"]
