"""What every overlay must be: valid by the published schemas, locked down, and consistent in itself."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
# The first release whose probes ask over gRPC without being asked to, and the newest whose schemas are installed.
RELEASES = ("1.27", "1.37")
# Kinds that Kubernetes itself does not know; a test of its own looks at each.
OTHERS = {"monitoring.coreos.com/v1"}


@pytest.mark.parametrize("release", RELEASES)
def test_published_schemas_accept_everything(
    release: str, rendered: dict[str, Any], example_secret: dict[str, Any]
) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    everything = [example_secret, *(document for found in rendered.values() for document in found.documents)]
    # Most are the same in every overlay, and validating is slow.
    for document in {json.dumps(document, sort_keys=True): document for document in everything}.values():
        if document["apiVersion"] not in OTHERS:
            kubernetes_validate.validate(document, release, strict=True)


def test_schemas_would_refuse_a_mistake(rendered: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    wrong = json.loads(json.dumps(rendered["cpu"].named("PodDisruptionBudget", "noyau")))
    wrong["spec"]["maxUnavailible"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_nothing_runs_as_root_or_with_rights_it_does_not_need(manifests: Any) -> None:
    for workload in manifests.workloads:
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["runAsGroup"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    enforced = manifests.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_the_image_is_one_release(manifests: Any) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {workload["spec"]["template"]["spec"]["containers"][0]["image"] for workload in manifests.workloads}
    (image,) = images
    name, _, tag = image.rpartition(":")
    assert name == "noyau"
    assert tag.split("-")[0] == version


def test_everything_has_limits(manifests: Any, quantity: Callable[[str], float]) -> None:
    for workload in manifests.workloads:
        pod = workload["spec"]["template"]["spec"]
        resources = pod["containers"][0]["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"])
        assert set(resources["requests"]) == set(resources["limits"])
        for name, value in resources["requests"].items():
            assert quantity(value) <= quantity(resources["limits"][name]), name
        empty = [quantity(volume["emptyDir"]["sizeLimit"]) for volume in pod["volumes"] if "emptyDir" in volume]
        assert sum(empty) <= quantity(resources["limits"]["ephemeral-storage"])


def test_a_gpu_where_one_is_meant(rendered: dict[str, Any]) -> None:
    asked = {name: found.container["resources"]["limits"].get("nvidia.com/gpu") for name, found in rendered.items()}
    assert asked == {"cpu": None, "gpu": "1", "production": "1", "facility": "1"}


def test_every_name_leads_somewhere(manifests: Any) -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in manifests.workloads]

    def selects(wanted: dict[str, str]) -> bool:
        return any(wanted.items() <= found.items() for found in labels)

    for document in (*manifests.all("PodDisruptionBudget"), *manifests.workloads):
        assert selects(document["spec"]["selector"]["matchLabels"]), document["metadata"]
    for service in manifests.all("Service"):
        assert selects(service["spec"]["selector"]), service["metadata"]
    for policy in manifests.all("NetworkPolicy"):
        assert selects(policy["spec"]["podSelector"]["matchLabels"]), policy["metadata"]
    claims = {claim["metadata"]["name"] for claim in manifests.all("PersistentVolumeClaim")}
    used = set()
    for workload in manifests.workloads:
        pod = workload["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == manifests.one("ServiceAccount")["metadata"]["name"]
        used |= {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes
    assert used == claims
    namespace = manifests.one("Namespace")["metadata"]["name"]
    assert {d["metadata"].get("namespace", namespace) for d in manifests.documents} == {namespace}


def test_one_coordinator_that_never_runs_twice(manifests: Any) -> None:
    assert manifests.one("StatefulSet")["spec"]["replicas"] == 1
    # A budget that allows nothing would block the maintenance of nodes.
    assert {budget["spec"]["maxUnavailable"] for budget in manifests.all("PodDisruptionBudget")} == {1}


def test_secrets_are_not_in_the_repository(manifests: Any, example_secret: dict[str, Any]) -> None:
    assert manifests.all("Secret") == []
    assert "CHANGE-ME" in example_secret["stringData"]["url"]
    assert example_secret["metadata"]["namespace"] == manifests.one("Namespace")["metadata"]["name"]


def test_the_outside_comes_in_only_with_tls_and_a_certificate(rendered: dict[str, Any]) -> None:
    assert [name for name, found in rendered.items() if found.all("Ingress")] == ["production", "facility"]
    production = rendered["production"]
    ingress, service = production.one("Ingress"), production.named("Service", "noyau")
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/auth-tls-verify-client"] == "on"
    namespace = production.one("Namespace")["metadata"]["name"]
    assert annotations["nginx.ingress.kubernetes.io/auth-tls-secret"].startswith(f"{namespace}/")
    assert annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "GRPC"
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_both_directions_are_closed_but_for_what_is_listed(manifests: Any) -> None:
    policies = manifests.all("NetworkPolicy")
    for workload in manifests.workloads:
        pod = workload["spec"]["template"]
        mine = [p["spec"] for p in policies if selected_by(p["spec"]["podSelector"], pod)]
        assert {kind for policy in mine for kind in policy["policyTypes"]} == {"Ingress", "Egress"}, workload[
            "metadata"
        ]
        ports = {port["name"] for port in pod["spec"]["containers"][0].get("ports", ())}
        for rule in (rule for policy in mine for rule in policy.get("ingress", ())):
            assert rule["from"]
            # Whoever is of another kind comes in by a named port only.
            if not all(selected_by(peer.get("podSelector", {}), pod) for peer in rule["from"]):
                assert rule["ports"] and {port["port"] for port in rule["ports"]} <= ports


def selected_by(selector: dict[str, Any], pod: dict[str, Any]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {"nobody": ""})
    return wanted.items() <= pod["metadata"]["labels"].items()
