"""What a soak works on: small corpora, a tiny encoder, and the settings of its rounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_subsel.synthetic import intents

VECTORS, TEXTS = ("vectors", "--vectors", "v"), ("texts.csv", "--text", "text", "--label", "label")
TRAINING = ("--test", "{in}/test.csv", "--train-model", "{in}/bert", "--epochs", "2", "--lr", "5e-3", "--arm", "subset")


@dataclass(frozen=True)
class Setting:
    """What a round does; ``then`` are commands on the run directory that follow the selection."""

    data: tuple[str, ...]
    flags: tuple[str, ...] = ()
    then: tuple[tuple[str, ...], ...] = ()

    def commands(self, inputs: Path, out: Path) -> list[list[str]]:
        """Return the command lines."""
        data, *columns = self.data
        lines = [["select", f"{{in}}/{data}", *columns, "--k", "20", *self.flags, "--out", "{out}"], *self.then]
        return [[word.replace("{in}", str(inputs)).replace("{out}", str(out)) for word in line] for line in lines]


UPDATED = (("update", "{out}", "{in}/more", "--no-cache"), ("update", "{out}", "--k", "25", "--no-cache"))
SETTINGS = (
    Setting(VECTORS),
    Setting(VECTORS, ("--recipe", "none", "--partitions", "4")),
    Setting(VECTORS, ("--near", "0.95", "--partitions", "3")),
    Setting(VECTORS, ("--recipe", "none", "--objective", "log_determinant", "--mode", "exact", "--partitions", "3")),
    Setting(VECTORS, ("--recipe", "none", "--mode", "exact", "--partitions", "4")),
    Setting(VECTORS, ("--per", "g")),
    Setting(VECTORS, ("--group", "g", "--quota", "proportional", "--drop-outliers", "0.1")),
    Setting(VECTORS, ("--objective", "facility_location"), UPDATED),
    Setting(VECTORS, ("--near", "0.95", "--objective", "facility_location"), UPDATED[:1]),
    Setting(TEXTS, ("--embedder", "tfidf", "--against", "{in}/test.csv", "--drop-label-noise", "0.1", "--no-cache")),
    Setting(
        TEXTS, ("--task", "classification", "--embedder", "tfidf", "--no-cache"), (("finetune", "{out}", *TRAINING),)
    ),
)
ON_CLUSTER = SETTINGS[1:6]
"""Those that leave most to Ray."""


def write_inputs(folder: Path) -> None:
    """Write vectors with near copies and groups, more of them for an update, texts with labels, and a tiny encoder."""
    draw = np.random.default_rng(0)
    for name, parts, n in (("vectors", 3, 240), ("more", 1, 40)):
        (folder / name).mkdir()
        X = np.repeat(draw.normal(size=(n // 2, 8)) + 0.3, 2, axis=0) + 0.03 * draw.normal(size=(n, 8))
        for part, rows in enumerate(np.split(X.astype(np.float32), parts)):
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), 8)
            table = pa.table({"v": column, "g": [f"g{row % 3}" for row in range(len(rows))]})
            pq.write_table(table, folder / name / f"{part}.parquet")
    intents.main(["--rows", "150", "--seed", "0", "--out", str(folder / "texts.csv")])
    intents.main(["--rows", "40", "--near", "0", "--skew", "0", "--seed", "1", "--out", str(folder / "test.csv")])
    write_encoder(folder)


def write_encoder(folder: Path) -> None:
    """Write a BERT of random weights that knows the words of the texts."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word for name in ("texts.csv", "test.csv") for word in _words((folder / name).read_text())})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64).save_pretrained(folder / "bert")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=64, **shape)).save_pretrained(folder / "bert")


def _words(text: str) -> list[str]:
    return "".join(one.lower() if one.isalnum() else " " for one in text).split()
