"""Write the strict JSON schema of the manifests' kinds, from Kubernetes and the Prometheus operator.

    go mod download -json k8s.io/kubernetes@v1.31.4    (prints the folder as `Dir`)
    go mod download -json github.com/prometheus-operator/prometheus-operator@v0.79.2
    python -m bench.kubernetes_schema DIR_OF_KUBERNETES DIR_OF_OPERATOR

The schema is strict: a field that Kubernetes would ignore, or that an API server would prune, is an error.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SCHEMA = Path(__file__).parents[1] / "deploy" / "kubernetes" / "schema.json"
PREFIX = "#/definitions/"
KINDS = (
    ("v1", "ServiceAccount"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
)
MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
KEPT = {"type", "properties", "required", "items", "enum", "additionalProperties", "$ref", "pattern"}
KEPT |= {"minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength"}
NUMBER_OR_TEXT = {"anyOf": [{"type": "string"}, {"type": "integer"}]}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The constraints of a schema; an object has no other properties than those named."""
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return NUMBER_OR_TEXT
    kept = {name: value for name, value in schema.items() if name in KEPT}
    if "properties" in kept:
        kept["properties"] = {name: strict(value) for name, value in kept["properties"].items()}
        kept["additionalProperties"] = False
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = strict(kept[name])
    return kept


def reached(schema: object) -> set[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        here = {schema["$ref"].removeprefix(PREFIX)} if isinstance(schema.get("$ref"), str) else set()
        return here.union(*map(reached, schema.values()))
    return set().union(*map(reached, schema)) if isinstance(schema, list) else set()


def name_of(definitions: dict[str, Any], version: str, kind: str) -> str:
    group, _, short = version.rpartition("/")
    wanted = {"group": group, "version": short, "kind": kind}
    (found,) = (
        name
        for name, value in definitions.items()
        if value.get("x-kubernetes-group-version-kind") == [wanted]
    )
    return found


def schema_of(kubernetes: Path, operator: Path) -> dict[str, Any]:
    swagger = json.loads((kubernetes / "api" / "openapi-spec" / "swagger.json").read_text())
    given = swagger["definitions"]
    definitions: dict[str, Any] = {}
    branches = []
    for version, kind in KINDS:
        pending = {name_of(given, version, kind)}
        branches.append(branch(version, kind, next(iter(pending))))
        while pending:
            name = pending.pop()
            definitions[name] = strict(given[name])
            pending |= reached(definitions[name]) - definitions.keys()
    crds = operator / "example" / "prometheus-operator-crd"
    crd = yaml.safe_load((crds / "monitoring.coreos.com_servicemonitors.yaml").read_text())
    monitor = strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    monitor["properties"]["metadata"] = {"$ref": f"{PREFIX}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    definitions["ServiceMonitor"] = monitor
    branches.append(branch(*MONITOR, "ServiceMonitor"))
    known = {"properties": {"kind": {"enum": [kind for _, kind in (*KINDS, MONITOR)]}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "required": ["apiVersion", "kind", "metadata"],
        "allOf": [known, *branches],
        "definitions": definitions,
    }


def branch(version: str, kind: str, name: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"allOf": [{"properties": {"apiVersion": {"const": version}}}, {"$ref": PREFIX + name}]},
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema_of(*map(Path, sys.argv[1:3])), separators=(",", ":")) + "\n")
