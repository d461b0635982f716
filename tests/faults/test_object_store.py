"""Run directories on an object store: an S3 server on loopback, and Arrow's own store in memory for what is quick.

There is no rename and no folder on S3, a file that is being written is not seen before it is closed, and credentials
stand in the URI: a run ends with the ids of a local one, killed or not, and leaves no credentials behind.
"""

import logging
import signal
import uuid
from fnmatch import fnmatch

import numpy as np
import pytest
from pyarrow import fs

from ray_subsel.cli import main
from ray_subsel.core.uris import inside
from ray_subsel.planning.policy import ON_RAY
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.storage.run_directory import RunDir
from tests.faults.conftest import run_child

KEY, SECRET = "AKIATHEKEY", "hush%2Fhush"


@pytest.fixture(scope="module")
def bucket():
    """Return the URI of a folder in a bucket, with credentials, on a server of this process."""
    server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = "{}:{}".format(*running.get_host_and_port())
    options = f"endpoint_override={address}&scheme=http&region=us-east-1"
    made = f"s3://{KEY}:{SECRET}@bucket?{options}&allow_bucket_creation=true"
    fs.FileSystem.from_uri(made)[0].create_dir("bucket")
    yield f"s3://{KEY}:{SECRET}@bucket/runs?{options}"
    running.stop()


def written(draw, n):
    rows = []
    for _ in range(n):
        label = int(draw.integers(3))
        text = " ".join(f"word{number}" for number in draw.integers(label * 12, label * 12 + 15, 6))
        rows.append(f"{text},class {label},{draw.random():.3f}\n")
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a corpus, of which some rows are copies, and with what else flags may name."""
    place, draw = tmp_path_factory.mktemp("texts"), np.random.default_rng(0)
    rows = written(draw, 80)
    files = {
        "data": rows + rows[:6],
        "test": rows[9:12] + written(draw, 4),
        "new": written(draw, 9),
        "ask": rows[20:23],
    }
    for name, content in files.items():
        (place / f"{name}.csv").write_text("text,label,score\n" + "".join(content))
    return place


def command(folder, data, out, flags):
    words = [flag.replace("IN/", f"{folder}/") for flag in flags]
    reading = ("--text", "text", "--embedder", "tfidf", "--vector-size", "8", "--no-cache", "--quiet")
    return ["select", str(data), *reading, *words, "--out", str(out)]


def ids(out):
    return RunDir(str(out)).read_table("selection.parquet")["id"].to_pylist()


def listing(out):
    filesystem, root = open_filesystem(out)
    return filesystem.get_file_info(fs.FileSelector(root, recursive=True))


def check_no_credentials(out, said):
    """Assert that neither what was said nor any file of a directory holds a part of the credentials."""
    filesystem, parts = open_filesystem(out)[0], (KEY, SECRET, "hush/hush", "AKIAANOTHER")
    assert not [part for part in parts if part in said]
    names = [info.path for info in listing(out) if info.type == fs.FileType.File]
    assert len(names) > 10
    for name in names:
        with filesystem.open_input_file(name) as stream:
            content = stream.read()
        assert not [part for part in parts if part.encode() in content], name


PLAIN = ("--recipe", "none", "--k", "9", "--partitions", "2")
GREEDI = ("--recipe", "none", "--k", "9", "--partitions", "3", "--near", "0.9")
EXACT = ("--recipe", "none", "--k", "9", "--partitions", "3", "--mode", "exact")
FLAGS = {
    "greedi": GREEDI,
    "exact": EXACT,
    "log_determinant": (*EXACT, "--objective", "log_determinant"),
    "quota": ("--recipe", "none", "--k", "9", "--partitions", "3", "--label", "label", "--quota", "proportional"),
    "clusters": ("--k", "9", "--objective", "facility_location", "--partitions", "2", "--to", "jsonl", "--to", "hf"),
    "filters": (
        "--k", "9", "--label", "label", "--against", "IN/test.csv", "--against-near", "0.98", "--drop-outliers", "0.04",
        "--drop-label-noise", "0.04", "--keep-best", "score", "--near", "0.9", "--near-within", "label",
    ),
    "target": ("--k", "9", "--target", "IN/ask.csv", "--quality", "score"),
    "per": ("--k", "3", "--per", "label", "--near", "0.9"),
}  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    """Return a function: the ids of a run of some flags on a local disk to which nothing happens, and its directory."""
    known = {}

    def of(flags):
        if flags not in known:
            out = tmp_path_factory.mktemp("local") / "run"
            assert main(command(folder, folder / "data.csv", out, flags)) == 0
            known[flags] = out
        return ids(known[flags]), known[flags]

    return of


def kill(moment, arguments):
    """Run a command in a process of its own that is killed where it writes; return what it said."""
    child = run_child("alone", f"write:{moment}", 1, arguments)
    assert child.returncode == -signal.SIGKILL, (moment, child.stderr)
    return child.stdout + child.stderr


@pytest.mark.fault
def test_a_killed_run_on_s3_goes_on_and_leaves_no_credentials(bucket, folder, undisturbed, capfd):
    out = inside(bucket, uuid.uuid4().hex)
    said = kill("candidates/*", command(folder, folder / "data.csv", out, PLAIN))
    left = RunDir(out)
    assert left.exists("embeddings/part-00000.parquet")
    assert not left.exists("selection.parquet")
    other = out.replace(KEY, "AKIAANOTHER")  # keys change while a run is stopped
    made = []
    watch = lambda event, name: made.append(name) if event == "written" else None  # noqa: E731
    assert main(command(folder, folder / "data.csv", other, PLAIN), watch=watch) == 0
    assert not [name for name in made if name.startswith(("rows/", "embeddings/"))]
    assert ids(out) == undisturbed(PLAIN)[0]
    assert not [info.path for info in listing(out) if ".tmp-" in info.path or info.path.endswith(".begun")]
    shown = capfd.readouterr()
    check_no_credentials(out, said + shown.out + shown.err)
    assert f"{inside(out, 'report.html')}".replace(f"{KEY}:{SECRET}", "***") in shown.out


MOMENTS = {
    "greedi": ("rows/part-*", "embeddings/part-*", "near/*", "nearest/*", "selection*", "decisions*", "report.json"),
    "exact": ("candidates/exact*",),
    "log_determinant": ("candidates/exact*",),
    "quota": ("limits/*",),
    "clusters": ("subset.jsonl", "subset/state.json"),
    "filters": ("clean/*", "kept/*", "groups/*"),
    "target": ("utilities/*",),
    "per": ("packs/*", "selection*"),
}
"""Files at which a run is killed, one kill after the other."""


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("case", FLAGS)
def test_killed_in_every_stage_on_s3(case, bucket, folder, undisturbed, tmp_path, capfd):
    flags, out, data = FLAGS[case], inside(bucket, uuid.uuid4().hex), inside(bucket, f"data-{case}.csv")
    filesystem, path = open_filesystem(data)
    with filesystem.open_output_stream(path) as stream:
        stream.write((folder / "data.csv").read_bytes())
    arguments = command(folder, data, out, flags)
    said = "".join(kill(moment, arguments) for moment in MOMENTS[case])
    assert main(arguments) == 0
    expected, local = undisturbed(flags)
    assert ids(out) == expected
    assert main(["report", out, "--quiet"]) == 0
    if case != "per":
        assert main(["explain", out, "5", "--quiet"]) == 0
    if case == "greedi":
        more = (str(folder / "new.csv"), "--k", "12", "--no-cache", "--quiet")
        said += kill("embeddings/*", ["update", out, *more]) + kill("changes*", ["update", out, *more])
        assert main(["update", out, *more]) == 0
        assert main(["update", str(local), *more]) == 0
        assert ids(inside(out, "updates/0001")) == ids(local / "updates" / "0001")
    assert main(["select", inside(bucket, "none.csv"), "--text", "text", "--k", "1", "--out", out]) == 2
    shown = capfd.readouterr()
    check_no_credentials(out, said + shown.out + shown.err)


@pytest.mark.fault
@pytest.mark.slow
def test_workers_of_ray_write_to_s3(bucket, folder, undisturbed, ray_session, capfd):
    out = inside(bucket, uuid.uuid4().hex)
    assert main(command(folder, folder / "data.csv", out, GREEDI), policy=ON_RAY) == 0
    assert ids(out) == undisturbed(GREEDI)[0]
    shown = capfd.readouterr()
    check_no_credentials(out, shown.out + shown.err)


@pytest.mark.fault
def test_an_interrupted_run_on_a_store_in_memory_goes_on(folder, undisturbed):
    out, moments = f"mock:///{uuid.uuid4().hex}", list(MOMENTS["greedi"])
    arguments = command(folder, folder / "data.csv", out, GREEDI)

    def watch(event, name):
        if event == "write" and moments and fnmatch(name, moments[0]):
            moments.pop(0)
            raise KeyboardInterrupt

    for left in range(len(moments) - 1, -1, -1):
        assert main(arguments, watch=watch) == 130
        assert len(moments) == left
    assert main(arguments, watch=watch) == 0
    assert ids(out) == undisturbed(GREEDI)[0]
