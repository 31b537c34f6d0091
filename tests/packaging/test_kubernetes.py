"""The manifests of docs/deploy/kubernetes: valid, confined, and in agreement with the service."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it ships no type information
import pytest
from ruamel.yaml import YAML

from shared.settings import Settings
from shared.work_units import WorkerKind

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in YAML(typ="safe").load_all(path.read_text())
]
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]
    for document in DOCUMENTS
    if "template" in document.get("spec", {})
}
KEDA = [document for document in DOCUMENTS if document["apiVersion"].startswith("keda.sh/")]


def named(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("document", [it for it in DOCUMENTS if it not in KEDA], ids=named)
def test_a_manifest_is_what_kubernetes_expects(document: dict[str, Any]) -> None:
    """By the JSON schemas of Kubernetes itself; those of KEDA come with no package."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_is_confined(name: str) -> None:
    pod = PODS[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert "livenessProbe" in container
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")


@pytest.mark.parametrize("name", sorted(set(PODS) - {"redis"}))
def test_secrets_come_by_files_alone(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in container[
        "volumeMounts"
    ]
    assert all("secretKeyRef" not in str(it) for it in container.get("env", []))


def test_settings_are_those_that_there_are() -> None:
    prefix = str(Settings.model_config["env_prefix"])
    known = {prefix + name.upper() for name in Settings.model_fields}
    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    named = re.findall(rf"\b(?:{prefix}[A-Z_]+|gridscribe_[a-z]+_url)\b", text)
    assert named
    assert {it.upper() for it in named} <= known


def test_each_kind_of_worker_runs_and_has_its_disruption_budget() -> None:
    commands = [" ".join(it["spec"]["containers"][0].get("command", [])) for it in PODS.values()]
    for part in ("-Q caption", "-Q compose", "worker.dispatcher", "worker.deliverer"):
        assert any(part in command for command in commands)
    budgets = {it["metadata"]["name"] for it in DOCUMENTS if it["kind"] == "PodDisruptionBudget"}
    assert budgets == set(PODS) - {"redis"}


def test_only_pods_that_say_so_reach_redis() -> None:
    policies = {
        it["metadata"]["name"]: it["spec"] for it in DOCUMENTS if it["kind"] == "NetworkPolicy"
    }
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["redis"]["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"uses": "redis"}}}
    ]
    for name in set(PODS) - {"redis"}:
        assert PODS[name]["metadata"]["labels"]["uses"] == "redis"


def test_redis_loses_no_accepted_job() -> None:
    command = PODS["redis"]["spec"]["containers"][0]["command"][-1]
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert option in command


def test_the_autoscaler_asks_for_a_metric_that_there_is() -> None:
    metrics = [
        trigger["metadata"]["valueLocation"]
        for document in KEDA
        for trigger in document["spec"].get("triggers", [])
    ]
    kinds = {kind.value for kind in (WorkerKind.CAPTION, WorkerKind.COMPOSE)}
    assert {f'gridscribe_units_waiting{{kind="{kind}"}}' for kind in kinds} == set(metrics)
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert "`gridscribe_units_waiting`" in operations
    scaled = {it["spec"]["scaleTargetRef"]["name"] for it in KEDA if it["kind"] == "ScaledObject"}
    assert scaled <= set(PODS)
