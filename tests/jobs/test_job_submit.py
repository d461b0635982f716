"""A recipe, submitted to a Ray of its own on this machine, chooses what a local run chooses."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.cli import main

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
START_SECONDS = 90
JOB_SECONDS = 150


def free_ports(wanted):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(wanted)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(url, token, process, log):
    until = time.monotonic() + START_SECONDS
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if urllib.request.urlopen(request, timeout=5).status == 200:
                return
        time.sleep(0.3)
    pytest.fail(f"ray start did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address and the environment of a Ray with a dashboard on loopback, on ports and in a folder of its own."""
    gcs, dashboard, agent, agent_grpc, client, metrics, runtime_env = free_ports(7)
    # Not pytest's folder: its path is too long for a Unix socket.
    folder = tempfile.mkdtemp(prefix="rs-", dir="/tmp")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    command = [
        *RAY,
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        "--dashboard-host=127.0.0.1",
        f"--port={gcs}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--dashboard-agent-grpc-port={agent_grpc}",
        f"--ray-client-server-port={client}",
        f"--metrics-export-port={metrics}",
        f"--runtime-env-agent-port={runtime_env}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--num-cpus=2",
        "--object-store-memory=100000000",
        f"--temp-dir={folder}",
        "--disable-usage-stats",
    ]
    log = Path(folder) / "start.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(f"{address}/api/version", environment["RAY_AUTH_TOKEN"], process, log)
        yield address, environment
    finally:
        # By its own session, never `ray stop`: that ends every Ray of the machine.
        end_session(process)
        shutil.rmtree(folder, ignore_errors=True)


def end_session(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=15)


def submit(cluster, *arguments):
    address, environment = cluster
    return subprocess.run(
        [*RAY, "job", "submit", "--address", address, "--working-dir", str(ROOT / "jobs"), "--", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
    )


@pytest.fixture
def corpus(tmp_path):
    drawn = np.random.default_rng(7).normal(size=(240, 12)).astype(np.float32) + 0.3
    drawn[200:] = drawn[:40]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(drawn.reshape(-1)), 12)
    pq.write_table(pa.table({"name": [f"row {i}" for i in range(240)], "vector": vectors}), tmp_path / "data.parquet")
    return tmp_path


@pytest.mark.timeout(START_SECONDS + JOB_SECONDS + 60)
def test_a_submitted_job_chooses_what_a_local_run_chooses_and_fails_with_its_one_line(cluster, corpus):
    """One job, since each takes seconds to start: a run that succeeds, without which the second does not begin."""
    flags = [str(corpus / "data.parquet"), "--vectors", "vector", "--k", "24", "--partitions", "3"]
    good = ["python", "select_subset.py", *flags, "--out", str(corpus / "job")]
    bad = ["python", "select_subset.py", str(corpus / "none.parquet"), "--vectors", "vector", "--k", "3"]
    done = submit(cluster, "bash", "-c", " ".join([*good, "&&", *bad, "--out", str(corpus / "other")]))
    assert done.returncode != 0
    assert "none.parquet" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
    assert "failed" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout

    assert main(["select", *flags, "--out", str(corpus / "local")]) == 0
    submitted, local = (pq.read_table(corpus / name / "selection.parquet") for name in ("job", "local"))
    assert submitted.num_rows == 24
    assert submitted["id"].to_pylist() == local["id"].to_pylist()
    assert submitted["gain"].to_pylist() == local["gain"].to_pylist()
