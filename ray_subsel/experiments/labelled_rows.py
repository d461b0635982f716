"""Read the rows that a comparison or an experiment learns from: texts or chats with a label, questions with choices."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ray_subsel.config import CorpusConfig
from ray_subsel.config.corpus import CHOICE_TASKS
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.types import Float32s, Indices
from ray_subsel.corpus.ingest import ingest
from ray_subsel.corpus.resolve import resolve
from ray_subsel.corpus.rows import RowStore
from ray_subsel.experiments.samples import texts_of
from ray_subsel.runtime.progress import log_line
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.training.data import columns_of

CLASSES = "classification"


def check_labelled(corpus: CorpusConfig) -> None:
    """Raise InputError where nothing tells what is learnt; no file is read."""
    if corpus.task not in CHOICE_TASKS and corpus.label is None:
        raise invalid("label", "name the column that a probe learns", None, "Use --label COLUMN.")


@dataclass(frozen=True)
class Labelled:
    """A corpus that leaves nothing open, and what is learnt of it.

    Attributes
    ----------
    corpus : CorpusConfig
    task : str
        ``classification``, of texts or of chats, or one of questions with choices.
    teller : str
        How lines of the terminal begin.
    """

    corpus: CorpusConfig
    task: str
    teller: str

    @classmethod
    def of(cls, corpus: CorpusConfig, teller: str) -> Labelled:
        """Let the data decide what is open, and tell it."""
        check_labelled(corpus)
        corpus, told = resolve(replace(corpus, copies="keep"))
        for line in told:
            log_line(f"{teller}: {line}")
        if corpus.task in CHOICE_TASKS:
            return cls(corpus, corpus.task, teller)
        return cls(corpus if corpus.task == "chat" else replace(corpus, task=CLASSES), CLASSES, teller)

    def texts(self, table: pa.Table) -> tuple[str, ...]:
        """Return what stands for each row of a table when it is chosen."""
        return texts_of(table, self.task, self.corpus.story_text)

    def read(self, data: tuple[str, ...], most: int | None = None) -> tuple[pa.Table, Float32s | None]:
        """Return the usable rows of files, with the task's columns, and their vectors where they come with them.

        Of rows with vectors the text is a name of the vector: equal vectors are equal texts. Nothing stays on disk.

        Parameters
        ----------
        data : tuple of str
        most : int, optional
            Of more rows so many are drawn at random.
        """
        corpus, where = replace(self.corpus, data=data), ", ".join(data)
        with tempfile.TemporaryDirectory() as folder:
            rows = ingest(corpus, RunDir(folder))
            ids = self._with_label(rows, where)
            if most is not None and len(ids) > most:
                log_line(f"{self.teller}: {where}: {most:,} of {len(ids):,} rows, drawn at random (--rows)")
                ids = np.sort(np.random.default_rng(corpus.seed).permutation(ids)[:most])
            if corpus.vectors is None:
                table, vectors = rows.take(ids, list(columns_of(self.task, rows.index["columns"]))), None
            else:
                found = rows.take(ids, ["key", "vector", "label"])
                names = [bytes(key).hex() for key in found["key"].to_pylist()]
                table = pa.table({"text": names, "label": found["label"]})
                vectors = np.array(found["vector"].to_pylist(), dtype=np.float32).reshape(len(ids), -1)
        if rows.n_rejected:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in rows.rejected_by_reason.items())
            log_line(f"{self.teller}: {where}: rows rejected: {reasons}")
        return table, vectors

    def _with_label(self, rows: RowStore, where: str) -> Indices:
        """Return the rows that have a label; of texts and questions others are rejected when they are read."""
        ids = rows.ids()
        if self.corpus.task != "chat":
            return ids
        known = rows.take(ids, ["label"])["label"].is_valid().to_numpy()
        if not known.any():
            raise invalid("label", f"be given in a row of {where}", Verbatim("none in all of them"))
        if not known.all():
            log_line(f"{self.teller}: {where}: {int((~known).sum()):,} of {len(ids):,} chats left out, without a label")
        kept: Indices = ids[known]
        return kept
