"""The rows that each arm trains on."""

import numpy as np
import pytest

from ray_subsel.config import CorpusConfig
from ray_subsel.corpus.ingest import ingest
from ray_subsel.stages.exclude_contaminated import CONTAMINATED
from ray_subsel.stages.train import rows_of_arm
from ray_subsel.storage.run_directory import RunDir
from tests.corpus.inputs import write_csv, write_parquet


@pytest.mark.parametrize("arm", ["random", "random-dedup", "full"])
def test_no_arm_trains_on_what_repeats_another_set(tmp_path, arm):
    data = write_csv(tmp_path / "rows.csv", ["text"], [[f"text {i % 15}"] for i in range(20)])
    rows = ingest(CorpusConfig(data=(data,), text=("text",)), RunDir(str(tmp_path / "out")))
    before = rows_of_arm(arm, rows, np.arange(9), seed=0)
    write_parquet(tmp_path / "out" / CONTAMINATED, {"id": [2, 3, 17, 18]})
    after = rows_of_arm(arm, rows, np.arange(9), seed=0)
    assert not {2, 3, 17, 18} & set(after.tolist())
    assert len(after) == (16 if arm == "full" else 9)
    assert len(before) == (20 if arm == "full" else 9)
