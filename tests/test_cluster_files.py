"""cluster.yaml, the KubeRay job and the recipes are valid, private and agree with the package."""

import ast
import copy
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ray_subsel.cli import make_parser

ROOT = Path(__file__).parents[1]
RECIPES = {"run": "run", "select_subset": "select", "embed": "embed", "finetune": "finetune"}


def strict(properties, required=()):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
START = {"type": "object", "additionalProperties": {"type": "string"}}  # KubeRay: every value a string
QUANTITIES = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^\d+(m|Ki|Mi|Gi)?$"}}
CONTAINER = strict(
    {
        "name": TEXT,
        "image": TEXT,
        "env": {
            "type": "array",
            "items": strict({"name": TEXT, "value": TEXT, "valueFrom": strict({"secretKeyRef": {}})}, ["name"]),
        },
        "resources": strict({"requests": QUANTITIES, "limits": QUANTITIES}, ["requests", "limits"]),
    },
    ["name", "image"],
)
POD = strict(
    {
        "spec": strict(
            {
                "containers": {"type": "array", "items": CONTAINER, "minItems": 1},
                "restartPolicy": {"enum": ["Never", "OnFailure"]},
                "tolerations": {"type": "array", "items": strict({"key": TEXT, "operator": TEXT, "effect": TEXT})},
            },
            ["containers"],
        )
    },
    ["spec"],
)
HEAD = strict(
    {"serviceType": {"const": "ClusterIP"}, "rayStartParams": START, "template": POD}, ["rayStartParams", "template"]
)
WORKERS = strict(
    {
        "groupName": TEXT,
        "replicas": COUNT,
        "minReplicas": COUNT,
        "maxReplicas": COUNT,
        "rayStartParams": START,
        "template": POD,
    },
    ["groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"],
)
# The CRD lets unknown keys pass, so that a misspelt one is ignored; this lists the keys.
RAY_JOB = strict(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": strict({"name": TEXT}, ["name"]),
        "spec": strict(
            {
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode"]},
                "entrypoint": TEXT,
                "backoffLimit": COUNT,
                "shutdownAfterJobFinishes": {"const": True},
                "ttlSecondsAfterFinished": COUNT,
                "activeDeadlineSeconds": COUNT,
                "rayClusterSpec": strict(
                    {
                        "rayVersion": TEXT,
                        "enableInTreeAutoscaling": {"const": True},
                        "autoscalerOptions": strict(
                            {"upscalingMode": {"enum": ["Default", "Conservative"]}, "idleTimeoutSeconds": COUNT}
                        ),
                        "headGroupSpec": HEAD,
                        "workerGroupSpecs": {"type": "array", "items": WORKERS, "minItems": 1},
                    },
                    ["headGroupSpec", "workerGroupSpecs"],
                ),
                "submitterPodTemplate": POD,
            },
            ["entrypoint", "rayClusterSpec"],
        ),
    },
    ["apiVersion", "kind", "metadata", "spec"],
)


@pytest.fixture(scope="module")
def cluster():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ray_job():
    return yaml.safe_load((ROOT / "kuberay" / "rayjob.yaml").read_text(encoding="utf-8"))


def test_the_launcher_accepts_cluster_yaml(cluster):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu_worker"]["max_workers"] == 8


def test_the_launcher_refuses_a_misspelt_key(cluster):
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(jsonschema.ValidationError, match="idle_minutes"):
        validate_config(prepare_config({**copy.deepcopy(cluster), "idle_minutes": 5}))


def test_the_cluster_scales_from_none_and_its_dashboard_is_not_public(cluster):
    assert cluster["available_node_types"]["gpu_worker"]["min_workers"] == 0
    start = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    for command in (start, " ".join(cluster["worker_start_ray_commands"])):
        assert "RAY_AUTH_MODE=token ray start" in command


def test_the_ray_job_has_only_keys_that_kuberay_knows(ray_job):
    jsonschema.validate(ray_job, RAY_JOB)


def test_the_schema_refuses_a_misspelt_key(ray_job):
    wrong = copy.deepcopy(ray_job)
    wrong["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(wrong, RAY_JOB)


def test_the_ray_job_asks_for_gpus_and_a_token_on_every_node(ray_job):
    spec = ray_job["spec"]["rayClusterSpec"]
    workers = spec["workerGroupSpecs"][0]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    pods = [spec["headGroupSpec"]["template"], workers["template"], ray_job["spec"]["submitterPodTemplate"]]
    for pod in pods:
        environment = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
        assert environment["RAY_AUTH_MODE"]["value"] == "token"
        assert "secretKeyRef" in environment["RAY_AUTH_TOKEN"]["valueFrom"]
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    images = {pod["spec"]["containers"][0]["image"] for pod in pods}
    assert len(images) == 1


def test_versions_agree(ray_job):
    from ray_subsel import __version__

    pins = dict(re.findall(r"^([a-z]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    spec = ray_job["spec"]["rayClusterSpec"]
    assert spec["rayVersion"] == pins["ray"]
    assert spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{__version__}")


def test_the_ray_job_runs_a_recipe_with_flags_that_exist(ray_job):
    python, script, *arguments = ray_job["spec"]["entrypoint"].split()
    assert python == "python"
    assert script == "/home/ray/app/jobs/run.py"
    assert make_parser().parse_args(["run", *arguments]).fraction == 0.1


@pytest.mark.parametrize(("recipe", "command"), RECIPES.items())
def test_the_command_in_a_recipe_parses(recipe, command):
    module = ast.parse((ROOT / "jobs" / f"{recipe}.py").read_text(encoding="utf-8"))
    about = ast.get_docstring(module).replace("\\\n", " ")
    submitted = re.search(rf"python {recipe}\.py (.*)", about)[1].split()
    assert make_parser().parse_args([command, *submitted]).command == command


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_starts_from_any_folder(recipe, tmp_path):
    script = ROOT / "jobs" / f"{recipe}.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: {recipe}.py " in done.stdout


def test_no_recipe_hides_a_module_of_python():
    # Python puts a script's folder first on sys.path: jobs/select.py would break every import of subprocess.
    hidden = {path.stem for path in (ROOT / "jobs").glob("*.py")} & sys.stdlib_module_names
    assert hidden == set()
