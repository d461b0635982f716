"""Vectors that are kept in files: what is found again, what is not, and what damage, kills and limits do."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_subsel.core.hashing import text_key
from ray_subsel.storage import vector_files
from ray_subsel.storage.vector_files import SUFFIX, VectorFiles, clear, contents, files_of, trim

D = 6
FAR = 1 << 40


def keys_of(names):
    return [text_key(str(name)) for name in names]


def vectors_of(names):
    return np.array([np.random.default_rng(int(name)).standard_normal(D) for name in names], dtype=np.float32)


class Shelf:
    def __init__(self, root, model="m", limit=FAR):
        self.root, self.told = root, []
        self.model, self.limit = model, limit

    def open(self):
        return VectorFiles(self.root, self.model, self.limit, self.told.append)

    def add(self, *names):
        self.open().add(keys_of(names), vectors_of(names).reshape(-1, D))

    def find(self, *names):
        found, rows = self.open().find(keys_of(names))
        known = [name for name, here in zip(names, found, strict=True) if here]
        np.testing.assert_array_equal(rows, vectors_of(known).reshape(rows.shape))
        if not self.told:
            assert self.open().has(keys_of(names)).tolist() == found.tolist()
        return known


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    calls=st.lists(st.lists(st.integers(0, 40), unique=True, max_size=20), max_size=6),
    asked=st.lists(st.integers(0, 60), unique=True),
)
def test_what_was_added_is_found_and_nothing_else(tmp_path_factory, calls, asked):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for names in calls:
        shelf.add(*names)
    assert shelf.find(*asked) == [name for name in asked if any(name in names for names in calls)]
    assert shelf.told == []


def test_models_are_apart(tmp_path):
    Shelf(tmp_path, "a").add(1, 2)
    assert Shelf(tmp_path, "b").find(1) == []
    assert [(kept.model, kept.vectors) for kept in contents(tmp_path)] == [("a", 2)]


def test_a_large_call_makes_several_files(shelf, monkeypatch):
    monkeypatch.setattr(vector_files, "FILE_BYTES", 10 * vector_files.bytes_each(D))
    shelf.add(*range(35))
    assert len(files_of(shelf.root)) == 4
    assert shelf.find(*range(40)) == list(range(35))


def test_many_small_files_are_joined(shelf, monkeypatch):
    monkeypatch.setattr(vector_files, "MANY_FILES", 5)
    for name in range(8):
        shelf.add(name, name + 100)
    assert len(files_of(shelf.root)) <= 5
    assert shelf.find(*range(8), *range(100, 108)) == [*range(8), *range(100, 108)]


@pytest.mark.parametrize("place", ["first", "keys", "last", "cut", "empty", "longer", "foreign"])
def test_a_damaged_file_is_dropped_with_a_line_and_gives_nothing_wrong(shelf, place):
    shelf.add(*range(50))
    shelf.add(*range(100, 110))
    path = max(files_of(shelf.root), key=lambda file: file.stat().st_size)
    content = bytearray(path.read_bytes())
    if place in ("first", "keys", "last"):
        content[{"first": 3, "keys": 140, "last": -2}[place]] ^= 0x55
    content = {"cut": content[:-7], "empty": b"", "longer": content + b"x", "foreign": b"PK" * 900}.get(place, content)
    path.write_bytes(content)
    found = shelf.find(*range(50), *range(100, 110))
    assert set(range(100, 110)) <= set(found) < {*range(50), *range(100, 110)}
    assert shelf.told
    assert all("damaged" in line and str(path) in line and "\n" not in line for line in shelf.told)
    assert not path.exists()
    shelf.add(*range(50))
    assert shelf.find(*range(50)) == list(range(50))


def test_a_file_that_goes_while_it_is_known_counts_as_never_kept(shelf):
    shelf.add(1, 2)
    opened = shelf.open()
    assert opened.has(keys_of([1])).tolist() == [True]
    for path in files_of(shelf.root):
        path.unlink()
    found, rows = opened.find(keys_of([1, 2]))
    assert (found.tolist(), len(rows), shelf.told) == ([False, False], 0, [])


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_what_was_not_used_for_longest_goes_first(shelf):
    for name in range(4):
        before = set(files_of(shelf.root))
        shelf.add(*range(10 * name, 10 * name + 10))
        [new] = set(files_of(shelf.root)) - before
        age(new, 10 - name)
    assert shelf.find(5) == [5]  # used now
    size = files_of(shelf.root)[0].stat().st_size
    shelf.limit = 3 * size
    shelf.add(*range(100, 110))
    assert shelf.find(5, 15, 25, 35, 105) == [5, 35, 105]


def test_the_limit_is_of_all_models_together(tmp_path):
    old, new = Shelf(tmp_path, "old"), Shelf(tmp_path, "new")
    old.add(*range(10))
    [path] = files_of(tmp_path)
    age(path, 3)
    new.limit = path.stat().st_size
    new.add(*range(10))
    assert (old.find(*range(10)), new.find(*range(10))) == ([], list(range(10)))
    assert trim(tmp_path, 0) == 1
    assert files_of(tmp_path) == []


def test_a_killed_writer_leaves_what_is_found_and_is_swept_after_a_day(shelf, tmp_path):
    shelf.add(1)
    torn = tmp_path / "m" / f"0000{SUFFIX}.tmp-1234"
    torn.write_bytes(b"half")
    shelf.add(2)
    assert torn.exists()
    assert shelf.find(1, 2) == [1, 2]
    age(torn, 2)
    shelf.add(3)
    assert not torn.exists()


WRITER = """
import sys
import numpy as np
from pathlib import Path
from ray_subsel.core.hashing import text_key
from ray_subsel.storage.vector_files import VectorFiles

root, start = Path(sys.argv[1]), int(sys.argv[2])
for turn in range(15):
    names = list(range(start + 3 * turn, start + 3 * turn + 5))
    rows = np.array([np.random.default_rng(name).standard_normal(6) for name in names], dtype=np.float32)
    files = VectorFiles(root, "m", 1 << 40, print)
    found, known = files.find([text_key(str(name)) for name in names])
    assert np.array_equal(known.reshape(-1, 6), rows[found])
    files.add([text_key(str(name)) for name in names], rows)
"""


def test_writers_at_the_same_time_lose_nothing(shelf):
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(shelf.root), str(start)], stdout=subprocess.PIPE)
        for start in (0, 20, 40)
    ]
    assert [(process.communicate()[0], process.returncode) for process in running] == [(b"", 0)] * 3
    assert shelf.find(*range(87)) == list(range(87))


def test_a_disk_that_takes_nothing_is_told_and_costs_nothing_else(tmp_path):
    (tmp_path / "m").write_text("a file where the folder would be")
    shelf = Shelf(tmp_path)
    shelf.add(1)
    assert len(shelf.told) == 1
    assert shelf.told[0].startswith("cache: embeddings could not be kept in")
    assert shelf.find(1) == []


def test_clear_deletes_what_is_kept_and_nothing_else(shelf, tmp_path):
    shelf.add(1)
    Shelf(tmp_path, "other").add(2)
    (tmp_path / "other" / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "other"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    assert contents(tmp_path) == []


def test_nothing_is_asked_or_added(shelf):
    assert shelf.find() == []
    shelf.add()
    assert not list(shelf.root.iterdir())
