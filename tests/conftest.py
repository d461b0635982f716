"""What all tests share: the environment of Ray and of the models, one Ray for the session, one tiny encoder."""

from __future__ import annotations

import atexit
import os
import shutil
import string
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports ray, torch or transformers: they read these once, and Ray's workers inherit them.
os.environ.update(
    {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
)
# Fixtures that several tests share must neither find nor leave embeddings of this user.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="ray-subsel-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
# A test run inside a submitted job or beside a cluster must not use that cluster.
for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
    os.environ.pop(name, None)

WORDS = """
a an and at away baby bag ball bed bike bird boat book bought boy bread bus cake car cat chair cold cook cry
dance day dog door down drank drove eat egg fell fish food friend from game gave girl glad good had happy hat
he her his home horse hot house hungry in it jam kite knew lake laugh left lost loved made man milk money
morning mother new night old on out park party played rain ran red sad sang saw school sea she shoe shop sick
slept snow so some soon store sun table talk tea the then they tired to told toy train tree walk wanted was
water went when wind with woke work wrote yard . , ! ? '
""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a module stays in one of them, and one alone has all that start Ray."""
    for item in items:
        ray = "ray_session" in getattr(item, "fixturenames", ()) or "faults" in item.path.parts
        item.add_marker(pytest.mark.xdist_group("ray" if ray else item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def no_embeddings_from_before(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test keeps embeddings in a folder of its own, so that none finds those of another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray of two CPUs for all tests that need one; code under test finds it initialized and uses it."""
    import ray
    from ray.data import DataContext

    # "local", not None: a file left by a Ray that is gone would make a plain init connect to it. Workers that wait for
    # the next task are kept: each that starts imports for a second or more.
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        _system_config={"num_workers_soft_limit": 6, "idle_worker_killing_time_threshold_ms": 600_000},
    )  # fmt: skip
    context = DataContext.get_current()
    context.enable_progress_bars = False
    # A pipeline that waits for a CPU which its own actors hold waits forever: fail instead, within the test's timeout.
    context.execution_no_progress_timeout_s = 120
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a BERT of random weights (2 layers, 32 dimensions) and a WordPiece tokenizer of some 300 pieces."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list(string.ascii_lowercase + string.digits)
    pieces = list(dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *WORDS]))
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    folder: Path = tmp_path_factory.mktemp("tiny-bert")
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=128).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(pieces),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=128,
            )
        )
    model.save_pretrained(folder)  # safetensors, the only format transformers 5 writes
    return str(folder)
