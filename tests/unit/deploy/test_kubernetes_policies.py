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


@pytest.mark.parametrize("release", RELEASES)
def test_published_schemas_accept_everything(
    release: str, rendered: dict[str, Any], example_secret: dict[str, Any]
) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    everything = [example_secret, *(document for found in rendered.values() for document in found.documents)]
    # Most are the same in every overlay, and validating is slow.
    for document in {json.dumps(document, sort_keys=True): document for document in everything}.values():
        kubernetes_validate.validate(document, release, strict=True)


def test_schemas_would_refuse_a_mistake(rendered: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    wrong = json.loads(json.dumps(rendered["cpu"].one("PodDisruptionBudget")))
    wrong["spec"]["maxUnavailible"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_nothing_runs_as_root_or_with_rights_it_does_not_need(manifests: Any) -> None:
    pod, container = manifests.pod["spec"], manifests.container
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["runAsGroup"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    enforced = manifests.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_the_image_is_one_release(manifests: Any) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    name, _, tag = manifests.container["image"].rpartition(":")
    assert name == "noyau"
    assert tag.split("-")[0] == version


def test_everything_has_limits(manifests: Any, quantity: Callable[[str], float]) -> None:
    resources = manifests.container["resources"]
    assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"])
    assert set(resources["requests"]) == set(resources["limits"])
    for name, value in resources["requests"].items():
        assert quantity(value) <= quantity(resources["limits"][name]), name
    empty = [volume["emptyDir"] for volume in manifests.pod["spec"]["volumes"] if "emptyDir" in volume]
    assert sum(quantity(volume["sizeLimit"]) for volume in empty) <= quantity(resources["limits"]["ephemeral-storage"])


def test_a_gpu_where_one_is_meant(rendered: dict[str, Any]) -> None:
    asked = {name: found.container["resources"]["limits"].get("nvidia.com/gpu") for name, found in rendered.items()}
    assert asked == {"cpu": None, "gpu": "1", "production": "1"}


def test_every_name_leads_somewhere(manifests: Any) -> None:
    labels = manifests.pod["metadata"]["labels"].items()
    assert manifests.one("StatefulSet")["spec"]["selector"]["matchLabels"].items() <= labels
    assert manifests.one("Service")["spec"]["selector"].items() <= labels
    assert manifests.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    for policy in manifests.all("NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    pod = manifests.pod["spec"]
    assert pod["serviceAccountName"] == manifests.one("ServiceAccount")["metadata"]["name"]
    claims = {claim["metadata"]["name"] for claim in manifests.all("PersistentVolumeClaim")}
    assert {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v} == claims
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in manifests.one("StatefulSet")["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in manifests.container["volumeMounts"]} == volumes
    namespace = manifests.one("Namespace")["metadata"]["name"]
    assert {d["metadata"].get("namespace", namespace) for d in manifests.documents} == {namespace}


def test_one_coordinator_that_never_runs_twice(manifests: Any) -> None:
    assert manifests.one("StatefulSet")["spec"]["replicas"] == 1
    # A budget that allows nothing would block the maintenance of nodes.
    assert manifests.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_secrets_are_not_in_the_repository(manifests: Any, example_secret: dict[str, Any]) -> None:
    assert manifests.all("Secret") == []
    assert "CHANGE-ME" in example_secret["stringData"]["url"]
    assert example_secret["metadata"]["namespace"] == manifests.one("Namespace")["metadata"]["name"]


def test_the_outside_comes_in_only_with_tls_and_a_certificate(rendered: dict[str, Any]) -> None:
    assert [name for name, found in rendered.items() if found.all("Ingress")] == ["production"]
    production = rendered["production"]
    ingress, service = production.one("Ingress"), production.one("Service")
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
    base = next(p for p in manifests.all("NetworkPolicy") if p["metadata"]["name"] == "noyau")
    assert set(base["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    ports = {port["name"] for port in manifests.container["ports"]}
    for policy in manifests.all("NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            assert rule["from"]
            assert {port["port"] for port in rule["ports"]} <= ports
