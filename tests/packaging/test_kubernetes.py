"""The manifests of docs/deploy/kubernetes: valid, confined, and in agreement with the service."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it ships no type information
import pytest
from ruamel.yaml import YAML

from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.fixtures.deployed_redis import (
    check_keeps_strangers_out,
    check_loses_no_accepted_job,
    deployed_redis,
)

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
    assert container["envFrom"] == [{"configMapRef": {"name": "gridscribe"}}]


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


def network_policies() -> dict[str, Any]:
    return {it["metadata"]["name"]: it["spec"] for it in DOCUMENTS if it["kind"] == "NetworkPolicy"}


def test_the_world_is_reached_by_its_ports_for_the_web_and_the_cluster_is_not() -> None:
    (rule,) = network_policies()["to-the-world"]["egress"]
    assert rule["ports"] == [{"port": 443}, {"port": 80}]
    (to,) = rule["to"]
    walled = [ip_network(network) for network in to["ipBlock"]["except"]]
    for inside in ("10.96.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1"):
        assert any(ip_address(inside) in network for network in walled), inside


def test_only_the_named_namespaces_reach_the_api() -> None:
    (rule,) = network_policies()["api"]["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    label = "kubernetes.io/metadata.name"
    named = [it["namespaceSelector"]["matchLabels"][label] for it in rule["from"]]
    assert named == ["ingress-nginx", "keda", "monitoring"]
    assert [list(it) for it in rule["from"]] == [["namespaceSelector"]] * 3


def test_no_other_policy_opens_anything() -> None:
    assert set(network_policies()) == {
        "nothing",
        "names",
        "redis",
        "to-redis",
        "api",
        "to-the-world",
    }


CONFIG = next(it["data"] for it in DOCUMENTS if it["kind"] == "ConfigMap")


def test_keys_are_wanted() -> None:
    assert CONFIG["GRIDSCRIBE_AUTH"] == "required"


@pytest.mark.parametrize("name", ["caption-cpu", "caption-gpu", "compose"])
def test_a_worker_is_given_the_time_that_it_takes_to_stop(name: str) -> None:
    grace = PODS[name]["spec"]["terminationGracePeriodSeconds"]
    assert grace - 10 <= float(CONFIG["GRIDSCRIBE_STOP_SECONDS"]) < grace


@pytest.mark.parametrize("name", sorted(set(PODS) - {"redis", "api"}))
def test_a_worker_lives_while_it_leaves_signs_of_progress(name: str) -> None:
    """By the check of docker-compose.yml, which a test runs."""
    compose = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    kind, *command = compose["services"]["dispatcher"]["healthcheck"]["test"]
    (container,) = PODS[name]["spec"]["containers"]
    assert kind == "CMD"
    for probe in ("livenessProbe", "startupProbe"):
        assert container[probe]["exec"]["command"] == command


def test_the_api_has_room_for_several_of_the_largest_requests() -> None:
    (room,) = [
        it["emptyDir"]["sizeLimit"] for it in PODS["api"]["spec"]["volumes"] if it["name"] == "tmp"
    ]
    assert int(room.removesuffix("Gi")) * 1024**3 >= 16 * Settings().max_request_bytes


def test_one_kind_of_pod_takes_a_gpu_each() -> None:
    (container,) = PODS["caption-gpu"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert [name for name, pod in PODS.items() if "nvidia.com/gpu" in str(pod["spec"])] == [
        "caption-gpu"
    ]


def test_only_pods_that_say_so_reach_redis() -> None:
    policies = network_policies()
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["redis"] == {
        "podSelector": {"matchLabels": {"app": "redis"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {"uses": "redis"}}}],
                "ports": [{"port": "redis"}],
            }
        ],
    }
    assert PODS["redis"]["metadata"]["labels"] == {"app": "redis"}
    for name in set(PODS) - {"redis"}:
        assert PODS[name]["metadata"]["labels"]["uses"] == "redis"


def test_redis_loses_no_accepted_job_and_wants_its_password(tmp_path: Path) -> None:
    """The command of the manifest as it stands there, on a server of this machine."""
    (container,) = PODS["redis"]["spec"]["containers"]
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
    *shell, script = container["command"]
    assert shell == ["sh", "-c"]
    (tmp_path / "password").write_text("of-redis")
    places = {"/run/secrets": str(tmp_path), "--dir /data": f"--dir {tmp_path}"}
    with deployed_redis(script, "of-redis", places) as (server, redis):
        check_loses_no_accepted_job(redis)
        check_keeps_strangers_out(server, "of-redis")


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
