"""What a Ray that is started here is surrounded by."""

import json
import os
import resource
import subprocess
import sys
import tempfile

import pytest

from ray_subsel.cli import main
from ray_subsel.core.errors import InputError, ResourceError
from ray_subsel.runtime.local_ray import (
    OOM_RETRIES,
    OOM_RETRIES_VARIABLE,
    STARTS,
    bound_retries,
    check_open_files,
    session_folder,
    start_patiently,
)


@pytest.mark.fault
def test_a_busy_machine_is_asked_again_and_a_ray_that_never_starts_is_one_line(capsys):
    asked, stopped = [], []

    def late():
        asked.append(1)
        if len(asked) < STARTS:
            raise Exception("The current node timed out during startup. This could happen because ...\nmore")  # noqa: TRY002

    start_patiently(late, lambda: stopped.append(1), pause=0.0)
    assert len(asked) == STARTS
    assert len(stopped) == STARTS - 1
    assert "Ray did not start in time (The current node timed out during startup" in capsys.readouterr().err

    def never():
        raise OSError("AF_UNIX path length cannot exceed 107 bytes\nand so on")

    with pytest.raises(
        ResourceError, match=r"^Ray could not be started here \(OSError: AF_UNIX path.*--debug"
    ) as caught:
        start_patiently(never, lambda: stopped.append(1), pause=0.0)
    assert "\n" not in str(caught.value)
    assert len(stopped) == STARTS, "what is left of a failed start is taken away"


def test_retries_without_end_are_bounded_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv(OOM_RETRIES_VARIABLE, "to be restored")
    monkeypatch.delenv(OOM_RETRIES_VARIABLE)
    bound_retries()
    assert os.environ[OOM_RETRIES_VARIABLE] == str(OOM_RETRIES)
    monkeypatch.setenv(OOM_RETRIES_VARIABLE, "2")
    bound_retries()
    assert os.environ[OOM_RETRIES_VARIABLE] == "2"


def test_what_the_user_can_mend_is_said_as_it_is():
    def refuse():
        raise InputError("address must be local.")

    with pytest.raises(InputError, match=r"^address must be local\.$"):
        start_patiently(refuse, lambda: None, pause=0.0)


@pytest.mark.fault
def test_session_folders_do_not_grow(tmp_path, monkeypatch):
    place = tempfile.mkdtemp(dir="/tmp", prefix="t")
    monkeypatch.setenv("RAY_TMPDIR", place)
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    os.makedirs(f"{place}/subsel-{dead.stdout.strip()}-abc/session")
    os.makedirs(f"{place}/subsel-{os.getpid()}-abc")
    os.makedirs(f"{place}/others")
    with session_folder() as folder:
        assert os.path.dirname(folder) == place
        assert len(os.listdir(place)) == 3, "that of the process that died is gone"
    assert sorted(os.listdir(place)) == ["others", f"subsel-{os.getpid()}-abc"]
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 80)))
    with session_folder() as folder:
        assert os.path.dirname(folder) == "/tmp", "sockets need short paths"


@pytest.mark.fault
def test_too_few_open_files_are_one_line_before_anything_is_started():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check_open_files(min(soft, hard) if hard > 0 else 64)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    script = (
        "import resource\n"
        "from ray_subsel.runtime.local_ray import check_open_files\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))\n"
        "check_open_files(256)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "check_open_files(1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "(256, 512)\n", "raised as far as it may be"
    assert "it opens some 1024 files, and 512 may be open. Raise the limit (ulimit -n)" in done.stderr


FEW_ADDRESSES = """
import resource, sys
from ray_subsel import cli
from ray_subsel.planning.policy import ON_RAY
from ray_subsel.runtime.local_ray import start_patiently
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
if len(sys.argv) > 1:
    sys.exit(cli.main(sys.argv[1:], policy=ON_RAY))
def late():
    print("asked")
    raise Exception("The current node timed out during startup.")
start_patiently(late, lambda: None, pause=0.0)
"""


@pytest.mark.fault
def test_too_few_addresses_are_told_at_the_first_start():
    done = subprocess.run([sys.executable, "-c", FEW_ADDRESSES], capture_output=True, text=True)
    assert done.stdout == "asked\n", "a second start would fail like the first"
    assert "addresses for a third of the memory (ulimit -v: 3.2 GB)" in done.stderr


@pytest.mark.fault
@pytest.mark.slow
def test_a_ray_without_addresses_is_one_line(tmp_path):
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 12 << 30:
        pytest.skip("the object store of a Ray on this machine may fit into 3 GB of addresses")
    (tmp_path / "in.csv").write_text("body\n" + "".join(f"text {i}\n" for i in range(9)))
    out = tmp_path / "out"
    command = [
        "select",
        str(tmp_path / "in.csv"),
        "--text",
        "body",
        "--embedder",
        "tfidf",
        "--k",
        "2",
        "--out",
        str(out),
    ]
    done = subprocess.run([sys.executable, "-c", FEW_ADDRESSES, *command], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    said = [line for line in done.stderr.splitlines() if "subsel: " in line or "Traceback" in line]
    assert len(said) == 1
    assert said[0].startswith("subsel: error: Ray could not be started here (")
    assert "(ulimit -v: 3.2 GB)" in said[0]
    assert not [path for path in out.rglob("*") if ".tmp-" in path.name or path.name.endswith(".begun")]
    assert main(command) == 0


LISTENING = """
import json, os
from ray_subsel.config import RuntimeConfig
from ray_subsel.runtime.ray_session import RaySession, remote
def own_id():
    return os.getpid()

with RaySession(RuntimeConfig(out="x", address="local")) as session:
    session.start()
    import ray
    import psutil  # Ray brings it
    ray.get(remote(own_id).remote())
    own = psutil.Process()
    found = [
        connection.laddr.ip
        for process in (own, *own.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    ]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_local_ray_listens_on_the_loopback_interface_alone():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**kept, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, "-c", LISTENING], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(found) > 5
    assert {address.removeprefix("::ffff:") for address in found} == {"127.0.0.1"}
