"""The manifests: valid for Kubernetes, confined, and in agreement with the service and its documents."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.cli.commands import app
from app.settings import SECRETS, Settings
from app.web.security import HEALTH
from app.web.server import GRACE_SECONDS
from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
WRITTEN = sorted((path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"), key=str)
BUILT = ("overlays/production", "overlays/trial", "migrate")
SETTINGS = {name.upper() for name in Settings.model_fields}
FILES = {f"{name.upper()}_FILE" for name in SECRETS}


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def pods(found: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each workload with its pod."""
    for each in found:
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each.get("spec", {})
        if "template" in spec:
            yield each, spec["template"]["spec"]


ALL = [document for path in WRITTEN for document in documents(path.read_text())]
PODS = list(pods(ALL))


def check(found: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    paths = []
    for number, document in enumerate(found):
        paths.append(folder / f"{number}-{document['kind']}.json")
        paths[-1].write_text(json.dumps(document))
    program, schema = Path(sys.executable).parent / "check-jsonschema", FOLDER / "schema.json"
    return subprocess.run(
        [program, "--schemafile", schema, *paths], check=False, capture_output=True, text=True
    )


def test_manifests_are_valid_and_a_misspelt_field_is_not(tmp_path: Path) -> None:
    done = check(ALL, tmp_path)
    assert done.returncode == 0, done.stdout
    (deployment,) = (each for each in ALL if each["kind"] == "Deployment")
    wrong = json.loads(json.dumps(deployment))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    done = check([wrong], tmp_path)
    assert done.returncode == 1
    assert "readinesProbe" in done.stdout


@pytest.mark.parametrize("folder", BUILT)
def test_kustomize_builds_valid_manifests(folder: str, tmp_path: Path) -> None:
    places = f"{os.environ['PATH']}:{Path.home() / 'go' / 'bin'}"
    if (kustomize := shutil.which("kustomize", path=places)) is None:
        pytest.skip("kustomize is not installed: go install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0")
    built = subprocess.run([kustomize, "build", FOLDER / folder], check=True, capture_output=True, text=True)
    found = documents(built.stdout)
    done = check(found, tmp_path)
    assert done.returncode == 0, done.stdout
    maps = {each["metadata"]["name"]: each["data"] for each in found if each["kind"] == "ConfigMap"}
    for _, pod in pods(found):
        (source,) = pod["containers"][0]["envFrom"]
        assert set(maps[source["configMapRef"]["name"]]) <= SETTINGS | FILES


def test_pods_are_confined_and_ask_for_resources() -> None:
    assert {each["kind"] for each, _ in PODS} == {"Deployment", "StatefulSet", "CronJob", "Job"}
    for _, pod in PODS:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == int(
            re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
        )
        (container,) = pod["containers"]
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_commands_exist() -> None:
    for _, pod in PODS:
        program, *arguments = pod["containers"][0]["command"]
        assert program == "marquee"
        named = [each for each in arguments if not each.startswith("-") and ":" not in each]
        helped = CliRunner().invoke(app, [*named[:2], "--help"])
        assert helped.exit_code == 0, helped.output
        for option in (each for each in arguments if each.startswith("--")):
            assert option in re.sub(r"\x1b\[[\d;]*m", "", helped.output)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.env")), ids=str)
def test_settings_exist_and_secrets_are_files_of_a_mounted_secret(path: Path) -> None:
    given = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert set(given) <= SETTINGS | FILES
    assert not set(given) & {name.upper() for name in SECRETS}
    assert {name for name in given if name.endswith("_FILE")} <= FILES
    for _, pod in PODS:
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert all(given[name].startswith(f"{mounts['secrets']}/") for name in set(given) & FILES)
        assert {"name": "secrets", "secret": {"secretName": "marquee", "defaultMode": 0o440}} in pod[
            "volumes"
        ]
    assert not [each for each in ALL if each["kind"] == "Secret"]


def test_the_serving_pods_agree_with_the_service() -> None:
    ((deployment, pod),) = (found for found in PODS if found[0]["kind"] == "Deployment")
    (container,) = pod["containers"]
    given = dict(line.split("=", 1) for line in (FOLDER / "base" / "settings.env").read_text().splitlines())
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    image = dict(re.findall(r"^ +(\w+)=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert ports == {"http": image["PORT"], "metrics": given["METRICS_PORT"]}
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {probe["path"] for probe in probes.values()} == set(HEALTH)
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert probes["readinessProbe"]["path"] == "/readyz"
    assert pod["terminationGracePeriodSeconds"] > float(given["DRAIN_SECONDS"]) + GRACE_SECONDS
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] <= float(given["DRAIN_SECONDS"])
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert given["MODEL_DIR"] in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_parts_find_each_other() -> None:
    labels = {
        each["metadata"]["name"]: spec["template"]["metadata"]["labels"]
        for each in ALL
        if "template" in (spec := each.get("spec", {}))
    }
    services = {each["metadata"]["name"]: each for each in ALL if each["kind"] == "Service"}
    assert {name: labels[name] for name in services} == {
        name: service["spec"]["selector"] for name, service in services.items()
    }
    (ingress,) = (each for each in ALL if each["kind"] == "Ingress")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
    (scaler,) = (each for each in ALL if each["kind"] == "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] in labels
    (monitor,) = (each for each in ALL if each["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    for service in services.values():
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
