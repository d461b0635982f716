"""Which files count: one rule for folders, globs and URIs, and nothing is left out in silence."""

from __future__ import annotations

import os

import pytest
from pyarrow import fs

from ray_subsel.config import CorpusConfig
from ray_subsel.core.errors import InputError
from ray_subsel.corpus import listing
from ray_subsel.corpus.files import UNKNOWN, list_files, told_left_out
from ray_subsel.corpus.listing import HIDDEN, NOWHERE, RUN, TWICE
from tests.corpus.inputs import read, texts, write


@pytest.fixture
def tree(tmp_path):
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt", ".hidden.txt", "_part/d.txt", ".git/e.txt", "sub/notes.md"):
        write(tmp_path / "in" / name, f"{name}\n")
    write(tmp_path / "in" / "run" / "manifest.json", '{"schema": 1, "about": {}, "stages": {}}')
    write(tmp_path / "in" / "run" / "inner.txt", "of a run\n")
    write(tmp_path / "out" / "linked.txt", "linked\n")
    (tmp_path / "in" / "to-file.txt").symlink_to(tmp_path / "out" / "linked.txt")
    (tmp_path / "in" / "to-folder").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "nowhere.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "in" / "sub" / "back").symlink_to(tmp_path / "in")
    return tmp_path / "in"


def listed(*data):
    files, left_out = list_files(CorpusConfig(data=tuple(map(str, data)), text=("text",)))
    return [file.uri for file in files], left_out


def test_a_folder(tree):
    files, left_out = listed(tree)
    names = [os.path.relpath(path, tree) for path in files]
    assert names == ["a.txt", "sub/b.txt", "sub/deep/c.txt", "to-file.txt"]
    assert {os.path.relpath(path, tree): why for path, why in left_out.items()} == {
        ".git": HIDDEN,
        ".hidden.txt": HIDDEN,
        "_part": HIDDEN,
        "nowhere.txt": NOWHERE,
        "run": RUN,
        "sub/back": TWICE,
        "sub/notes.md": UNKNOWN,
        "to-folder/linked.txt": TWICE,
    }
    assert len(told_left_out(left_out)) == 5


@pytest.mark.parametrize("pattern", ["**", "*", "**/*", "**/*.txt", "*t*"])
def test_a_glob_leaves_out_what_a_folder_leaves_out(tree, pattern):
    files, left_out = listed(tree / pattern)
    real = {os.path.realpath(path) for path in files}
    assert {path for path in real if "/in/" in path} <= {os.path.realpath(path) for path in listed(tree)[0]}
    assert not [path for path in real if "/run/" in path or "/.git/" in path or "/_part/" in path]
    assert len(real) == len(files)
    if pattern in ("**", "**/*"):
        assert real == {os.path.realpath(path) for path in listed(tree)[0]}
        assert RUN in left_out.values()


def test_a_glob_that_spells_a_name_means_it(tree):
    assert listed(tree / "_part/*.txt")[0] == [str(tree / "_part/d.txt")]
    assert listed(tree / "_p*/*.txt")[0] == [str(tree / "_part/d.txt")]
    assert listed(tree / ".hid*")[0] == [str(tree / ".hidden.txt")]
    assert listed(tree / ".hidden.txt")[0] == [str(tree / ".hidden.txt")]


def test_a_filesystem_of_a_uri_follows_the_same_rule(tree, monkeypatch):
    class Far(fs.SubTreeFileSystem):
        pass

    far = Far("/", fs.LocalFileSystem())
    monkeypatch.setattr(listing, "open_filesystem", lambda uri: (far, uri.removeprefix("far:///")))
    for link in ("to-file.txt", "to-folder", "nowhere.txt", "sub/back"):
        (tree / link).unlink()
    expected = [str(tree / name) for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt")]
    for pattern in ("", "/**", "/**/*", "/*"):
        found = listing.list_entries(f"far://{tree}{pattern}")
        kept = sorted(entry.path for entry in found.entries if not entry.path.endswith("notes.md"))
        assert kept == [path.lstrip("/") for path in expected]
        assert set(found.left_out.values()) == {HIDDEN, RUN}
    (only,) = listing.list_entries(f"far://{tree}/*.txt").entries
    assert only.path == str(tree / "a.txt").lstrip("/")
    with pytest.raises(InputError, match="data must match at least one file"):
        listing.list_entries(f"far://{tree}/*.nope")


def test_a_file_counts_once_however_it_is_named(tree):
    assert listed(tree / "a.txt", tree, tree / "*.txt", f"file://{tree}/a.txt")[0] == listed(tree)[0]


def test_folders_named_as_hive_names_them_are_columns(tmp_path):
    for lang, year in (("en", "2020"), ("de%20at", "2021"), ("__HIVE_DEFAULT_PARTITION__", "2020")):
        write(tmp_path / "in" / f"lang={lang}" / f"year={year}" / "a.jsonl", f'{{"text": "{lang} {year}"}}\n')
        write(tmp_path / "in" / f"lang={lang}" / f"year={year}" / "b.csv", f"text\ncsv {lang}\n")
    store = read(tmp_path, str(tmp_path / "in"), text=("text",), label="lang", group="year")
    assert store.take(store.ids(), ["label"])["label"].to_pylist() == [None, None, "de at", "de at", "en", "en"]
    assert store.take(store.ids(), ["group"])["group"].to_pylist() == ["2020", "2020", "2021", "2021", "2020", "2020"]
    assert store.subset_table(store.ids())["lang"].to_pylist() == [None, None, "de at", "de at", "en", "en"]


def test_a_file_of_which_nothing_can_be_used_is_named_however_small_its_share(tmp_path):
    write(tmp_path / "in" / "a.txt", "text\n" * 1000)
    write(tmp_path / "in" / "b.txt", "\n\n")
    with pytest.raises(InputError, match=r"b\.txt must hold a usable row as a text file; got none in 2 rows"):
        read(tmp_path, str(tmp_path / "in"), text=("text",), max_rejected=0.5)
    assert len(texts(read(tmp_path, str(tmp_path / "in"), text=("text",), max_rejected=1.0))) == 1000


@pytest.mark.parametrize("uri", ["hf://datasets/nobody/nothing/a.parquet", "gs://x-y-z-nope/a.csv", "what://a/b.csv"])
def test_addresses_that_are_not_there_are_one_line(uri, monkeypatch):
    class Nowhere(fs.LocalFileSystem):
        def get_file_info(self, *_):
            raise RuntimeError("some client's own error\nover lines")

    if uri.startswith(("hf", "gs")):  # without the network, and its patience
        monkeypatch.setattr(listing, "open_filesystem", lambda _: (Nowhere(), "a"))
    with pytest.raises(InputError, match=r"^(data|path) must be") as caught:
        listed(uri)
    assert "\n" not in str(caught.value)
