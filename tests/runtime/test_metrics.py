"""What a run has done is in Ray's metrics, under the names that the dashboard asks for; without Ray nothing happens."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_subsel.runtime.metrics import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "ray_subsel.json").read_text())


def queries():
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*panels, *(one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")]


def test_the_dashboard_asks_for_metrics_that_are_exported_and_for_all_of_them():
    assert len(DASHBOARD["panels"]) == len({panel["title"] for panel in DASHBOARD["panels"]}) == 10
    named = [set(re.findall(r"ray_subsel_\w+", query)) for query in queries()]
    assert all(len(names) == 1 for names in named)
    assert set.union(*named) == {metric.exported for metric in METRICS}


def test_labels_that_the_dashboard_asks_for_are_those_of_the_metric():
    tags = {metric.exported: set(metric.tags) for metric in METRICS}
    for query in queries():
        [name] = set(re.findall(r"ray_subsel_\w+", query))
        by = re.findall(r"by \(([^)]*)\)", query) or [""]
        asked = {label for one in by for label in one.split(", ") if label} | set(re.findall(r"(\w+)=~", query))
        assert asked <= tags[name], query


def test_metrics_are_described_and_named_as_prometheus_takes_them():
    for metric in METRICS:
        assert re.fullmatch(r"subsel_[a-z_]+", metric.name)
        assert metric.description
    assert len({metric.name for metric in METRICS}) == len(METRICS)


WITHOUT = """
import sys
from ray_subsel.runtime.metrics import METRICS, record
from ray_subsel.storage.run_directory import RunDir
for metric in METRICS:
    record(metric, 1.0, RunDir("x"), "select" if metric.by_stage else None)
print([name for name in ("ray", "torch") if name in sys.modules])
"""


def test_without_ray_nothing_is_recorded_and_ray_is_not_imported():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


EXPORTING = """
import json, sys, time, urllib.request
import ray
folder, data = sys.argv[1:]
ray.init(
    address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=folder
)
from ray_subsel.cli import main
from ray_subsel.planning.policy import ON_RAY
from ray_subsel.runtime.metrics import METRICS
flags = ["--vectors", "v", "--recipe", "none", "--k", "5", "--partitions", "2", "--quiet", "--out", f"{folder}/out"]
assert main(["select", data, *flags], policy=ON_RAY) == 0
[node] = ray.nodes()
url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
shown, until = "", time.monotonic() + 60
while time.monotonic() < until and not all(metric.exported + "{" in shown for metric in METRICS):
    time.sleep(1)  # a scrape has what was reported last
    shown += urllib.request.urlopen(url, timeout=10).read().decode()
time.sleep(10)  # gauges are told again
later = urllib.request.urlopen(url, timeout=10).read().decode()
print("metrics", json.dumps([shown, later]))
"""


@pytest.mark.slow
def test_a_run_on_ray_exports_what_the_dashboard_asks_for(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 4))
    data = tmp_path / "v.parquet"
    pq.write_table(pa.table({"v": pa.array(X.tolist(), pa.list_(pa.float32()))}), data)
    environment = {**os.environ, "RAY_metrics_report_interval_ms": "500"}
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="m") as folder:
        call = [sys.executable, "-c", EXPORTING, folder, str(data)]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("metrics ")]
    shown, later = json.loads(line[8:])
    found = re.findall(r'^(ray_subsel_\w+)\{.*run="[^"]*/out"(.*)\} (\S+)$', shown, re.MULTILINE)
    assert {name for name, _, _ in found} == {metric.exported for metric in METRICS}
    assert all(metric.exported + "{" in later for metric in METRICS), "a gauge that is not set again is forgotten"
    values = {name: float(value) for name, more, value in found if not more}
    expected = {"rows_read_total": 40, "rows_embedded_total": 40, "partitions_done_total": 2, "items_chosen": 5}
    assert {name: values[f"ray_subsel_{name}"] for name in expected} == expected
    stages = {more for name, more, value in found if name == "ray_subsel_bytes_written_total" and float(value) > 0}
    assert {',stage="corpus"', ',stage="embed"', ',stage="select"'} <= stages
