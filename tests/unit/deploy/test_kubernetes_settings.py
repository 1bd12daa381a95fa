"""Every variable, port, probe and path of the manifests is one that the service has."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from noyau.api.binding import Binding, split_address
from noyau.cli import build_app
from noyau.config import DEFAULT_ADDRESS, Settings
from noyau.jobs.database import Database
from noyau.main import Service
from typer.testing import CliRunner

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
SERVING = health_pb2.HealthCheckResponse.SERVING
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probes(container: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [container[name]["grpc"] for name in PROBES]


def test_every_variable_is_a_setting_with_a_value_that_it_takes(settings: Settings) -> None:
    # The fixture has refused unknown names; these show that values arrive.
    assert settings.log.format == "json"
    assert settings.access.roots == ("/images",)
    assert settings.database_url.startswith("postgresql://")


def test_a_wrong_name_would_be_found(settings_of: Callable[[Mapping[str, str]], Settings]) -> None:
    for name in ("NOYAU_JOBS__WORKER", "NOYAU_JOB__WORKERS", "NOYAU_STATE", "STATE_DIR"):
        with pytest.raises(AssertionError, match="names no setting"):
            settings_of({name: "1"})


def test_the_database_is_one_that_is_supported(settings: Settings) -> None:
    Database.open(settings.database_url).close()


def test_the_command_exists_and_takes_the_environment(manifests: Any, settings: Settings) -> None:
    program, *arguments = manifests.container["command"]
    assert program == "noyau"
    done = CliRunner().invoke(build_app(), [*arguments, "--show-settings"])
    assert done.exit_code == 0, done.output
    assert f"NOYAU_LISTEN__ADDRESS={settings.listen.address}" in done.output


def test_the_address_is_allowed_and_every_port_is_its_port(manifests: Any, settings: Settings) -> None:
    listen = settings.listen
    Binding(listen.address, listen.tls_certificate, listen.tls_key, listen.tls_client_ca, listen.insecure)
    host, port = split_address(listen.address)
    assert host == "0.0.0.0"
    assert port == split_address(DEFAULT_ADDRESS)[1]
    (container_port,) = [found for found in manifests.container["ports"] if found["name"] == "grpc"]
    assert container_port["containerPort"] == port
    (service_port,) = manifests.named("Service", "noyau")["spec"]["ports"]
    assert (service_port["port"], service_port["targetPort"]) == (port, container_port["name"])
    assert {probe["port"] for probe in probes(manifests.container)} == {port}
    # Probes of Kubernetes speak no TLS.
    assert listen.tls_certificate is None


def test_what_is_written_lies_on_a_volume(manifests: Any, settings: Settings, environment: dict[str, str]) -> None:
    mounts = [Path(mount["mountPath"]) for mount in manifests.container["volumeMounts"] if not mount.get("readOnly")]
    written = [settings.state_dir, settings.models_home, settings.models_cache, *settings.access.roots]
    written += [environment["HOME"], environment["XDG_CACHE_HOME"], "/tmp"]
    for path in written:
        assert any(Path(path).is_relative_to(mount) for mount in mounts), path
    # Registered models outlive the pod.
    claims = {claim["metadata"]["name"] for claim in manifests.one("StatefulSet")["spec"]["volumeClaimTemplates"]}
    claims |= {volume["name"] for volume in manifests.pod["spec"]["volumes"] if "persistentVolumeClaim" in volume}
    kept = {Path(m["mountPath"]) for m in manifests.container["volumeMounts"] if m["name"] in claims}
    assert any(Path(settings.models_home).is_relative_to(mount) for mount in kept)
    assert any(settings.state_dir.is_relative_to(mount) for mount in kept)


def test_threads_and_models_fit_the_limits(
    manifests: Any, settings: Settings, quantity: Callable[[str], float]
) -> None:
    limits = manifests.container["resources"]["limits"]
    # By default the workers would share the whole limit, and leave nothing to the coordinator.
    assert settings.jobs.threads is not None
    assert settings.jobs.workers * settings.jobs.threads < quantity(limits["cpu"])
    # Workers and the process for previews keep networks warm.
    warm = (settings.jobs.workers + 1) * settings.jobs.model_memory_mib * 2**20
    assert warm <= quantity(limits["memory"]) / 2


def test_an_orderly_end_is_not_cut_short(
    manifests: Any, settings: Settings, stop_seconds: Callable[[Settings], float]
) -> None:
    assert manifests.pod["spec"]["terminationGracePeriodSeconds"] > stop_seconds(settings)


def test_the_user_has_a_name(environment: dict[str, str]) -> None:
    # Without it no network can be loaded by a user that the image's list of users lacks.
    assert environment["USER"]


def test_variables_of_services_are_kept_out(manifests: Any) -> None:
    # Kubernetes would add NOYAU_PORT and others, which look like settings.
    assert manifests.named("Service", "noyau")
    assert manifests.pod["spec"]["enableServiceLinks"] is False


@pytest.fixture
async def running(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    """Address of a service with the settings of each overlay; only places and port are this machine's."""
    changed = settings.model_copy(
        update={
            "state_dir": tmp_path / "state",
            "models_home": str(tmp_path / "registered"),
            "models_cache": tmp_path / "cache",
            "listen": settings.listen.model_copy(update={"address": "127.0.0.1:0", "drain_seconds": 0.0}),
            "jobs": settings.jobs.model_copy(update={"database": None, "workers": 0}),
            "metrics": settings.metrics.model_copy(
                update={"address": "127.0.0.1:0" if settings.metrics.address else None}
            ),
        }
    )
    service = Service(changed, warm=False)
    await service.start()
    yield service.address
    await service.stop()


async def test_every_probe_is_answered_by_the_service(running: str, manifests: Any) -> None:
    async with grpc.aio.insecure_channel(running) as channel:
        health = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        for probe in probes(manifests.container):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=probe.get("service", "")))
            assert answer.status == SERVING
        # Another name would not be answered, so this shows that the names above are right.
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await health.Check(health_pb2.HealthCheckRequest(service="noyau.v1.JobsService"))
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_example_lists_what_the_base_refers_to(example_secret: dict[str, Any]) -> None:
    base = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "statefulset.yaml").read_text())
    (container,) = base["spec"]["template"]["spec"]["containers"]
    references = [v["valueFrom"]["secretKeyRef"] for v in container["env"] if "valueFrom" in v]
    assert references == [{"name": example_secret["metadata"]["name"], "key": "url"}]


def test_rendering_is_not_skipped_where_kubectl_is(request: pytest.FixtureRequest) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on this machine")
    assert set(request.getfixturevalue("rendered")) == {
        path.name for path in (DEPLOY / "kubernetes" / "overlays").iterdir() if path.is_dir()
    }
