"""The overlay for many hosts: its workers, scheduler, figures and autoscaler name what the service really has."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from noyau.api.binding import split_address
from noyau.cli import build_app
from noyau.config import Settings
from noyau.jobs.store import JobStore
from noyau.operations.job_figures import JobFigures
from noyau.operations.metrics_server import PATH
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

KUBERNETES = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"


@pytest.fixture
def facility(rendered: dict[str, Any]) -> Any:
    return rendered["facility"]


@pytest.fixture
def secrets(example_secret: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {example_secret["metadata"]["name"]: example_secret["stringData"]}


@pytest.fixture
def coordinator(
    facility: Any, secrets: dict[str, dict[str, str]], settings_of: Callable[[Mapping[str, str]], Settings]
) -> Settings:
    return settings_of(facility.environment(secrets))


@pytest.fixture
def worker(facility: Any, settings_of: Callable[[Mapping[str, str]], Settings]) -> Settings:
    return settings_of(facility.environment({}, container_of(facility, "noyau-worker")))


def container_of(facility: Any, name: str) -> dict[str, Any]:
    (container,) = facility.named("Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def figures(tmp_path: Path) -> set[str]:
    """Names of what the service really shows of jobs."""
    with JobStore.open(f"sqlite:///{tmp_path}/jobs.db") as store:
        registry = CollectorRegistry()
        registry.register(JobFigures(store.database))
        return {sample.name for family in registry.collect() for sample in family.samples}


def test_workers_and_coordinator_meet(facility: Any, coordinator: Settings, worker: Settings) -> None:
    assert worker.dask.scheduler == coordinator.dask.scheduler == "tls://noyau-scheduler:8786"
    (port,) = facility.named("Service", "noyau-scheduler")["spec"]["ports"]
    scheduler = container_of(facility, "noyau-scheduler")
    assert (port["port"], port["targetPort"]) == (8786, scheduler["ports"][0]["name"])
    assert scheduler["ports"][0]["containerPort"] == 8786
    assert worker.dask.device == "cuda"
    # The same folders under the same names, or they would not find what the other wrote.
    for read in (lambda s: s.dask.scratch, lambda s: s.models_home, lambda s: s.access.roots):
        assert read(worker) == read(coordinator)
    # A worker gets no way into the database.
    assert worker.jobs.database is None
    assert not coordinator.dask.insecure


def test_what_they_share_lies_on_one_claim(facility: Any, worker: Settings) -> None:
    for template in (facility.pod, facility.named("Deployment", "noyau-worker")["spec"]["template"]):
        spec = template["spec"]
        mounts = {mount["name"]: Path(mount["mountPath"]) for mount in spec["containers"][0]["volumeMounts"]}
        claims = {
            v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v
        }
        assert worker.dask.scratch is not None
        for path in (worker.dask.scratch, Path(worker.models_home)):
            (holder,) = [name for name, mount in mounts.items() if path.is_relative_to(mount)]
            assert claims[holder] == "noyau-shared"
        (holder,) = [name for name, mount in mounts.items() if Path("/images").is_relative_to(mount)]
        assert claims[holder] == "noyau-images"


def test_what_a_worker_writes_lies_on_a_volume(facility: Any, worker: Settings) -> None:
    mounts = [Path(mount["mountPath"]) for mount in container_of(facility, "noyau-worker")["volumeMounts"]]
    for path in (worker.state_dir, worker.models_cache, Path("/tmp"), Path("/var/cache/noyau")):
        assert any(path.is_relative_to(mount) for mount in mounts), path


def test_every_program_and_option_exists(facility: Any) -> None:
    program, *arguments = container_of(facility, "noyau-worker")["command"]
    assert program == "noyau"
    assert CliRunner().invoke(build_app(), [*arguments, "--help"]).exit_code == 0
    dask_scheduler = pytest.importorskip("distributed.cli.dask_scheduler")
    _, dash_m, module, *options = container_of(facility, "noyau-scheduler")["command"]
    assert (dash_m, module) == ("-m", dask_scheduler.__name__)
    known = {name for option in dask_scheduler.main.params for name in (*option.opts, *option.secondary_opts)}
    assert {option for option in options if option.startswith("--")} <= known


def test_certificates_are_where_the_settings_look(facility: Any, worker: Settings) -> None:
    given = {worker.dask.tls_ca, worker.dask.tls_certificate, worker.dask.tls_key}
    command = container_of(facility, "noyau-scheduler")["command"]
    assert {Path(word) for word in command if word.startswith("/etc/")} == given
    for workload in facility.workloads:
        spec = workload["spec"]["template"]["spec"]
        (volume,) = [volume for volume in spec["volumes"] if "secret" in volume]
        assert volume["secret"]["secretName"] == "noyau-dask-tls"
        # The files belong to root; the group is the pod's.
        assert volume["secret"]["defaultMode"] == 0o440 and spec["securityContext"]["fsGroup"] == 10001
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
        assert mount["readOnly"] is True
        assert {path.parent for path in given if path is not None} == {Path(mount["mountPath"])}


def test_the_scheduler_starts_as_written_and_asks_for_certificates(facility: Any, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    certify(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [
        word.replace("/etc/noyau/dask", str(tmp_path)) for word in container_of(facility, "noyau-scheduler")["command"]
    ]
    words = [sys.executable, *(str(port) if word == "8786" else word for word in words[1:])]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        assert connected(port, context, process)
        nobody = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        nobody.check_hostname = False
        # With TLS 1.3 a server refuses a missing certificate after the handshake, so only the answer tells.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            refused(port, nobody)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def refused(port: int, context: ssl.SSLContext) -> None:
    """Raises where the scheduler hangs up."""
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as talk:
        talk.settimeout(30)
        if talk.recv(1) == b"":
            raise ConnectionError


def connected(port: int, context: ssl.SSLContext, process: subprocess.Popen[str]) -> bool:
    """Waits until the scheduler answers a member with its first bytes."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as talk:
                talk.settimeout(30)
                return len(talk.recv(1)) == 1
        except OSError:
            time.sleep(0.2)
    return False


def certify(folder: Path) -> None:
    """One certificate that is its own authority, under the names of the Secret."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "noyau-dask")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.crt").write_bytes(text)
    (folder / "tls.crt").write_bytes(text)
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_prometheus_finds_the_figures(facility: Any, coordinator: Settings) -> None:
    monitor, service = facility.one("ServiceMonitor"), facility.named("Service", "noyau-metrics")
    # The published type has more fields; these are all that ours uses, so that a slip of the pen is noticed.
    assert set(monitor["spec"]) == {"selector", "endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) == {"port", "path", "interval", "scrapeTimeout"}
    assert endpoint["path"] == PATH
    assert int(endpoint["scrapeTimeout"][:-1]) < int(endpoint["interval"][:-1])
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert port["name"] == endpoint["port"]
    (container_port,) = [found for found in facility.container["ports"] if found["name"] == port["targetPort"]]
    assert coordinator.metrics.address is not None
    assert split_address(coordinator.metrics.address) == ("0.0.0.0", container_port["containerPort"])
    assert coordinator.metrics.insecure
    policy = facility.named("NetworkPolicy", "noyau-from-prometheus")
    assert [found["port"] for found in policy["spec"]["ingress"][0]["ports"]] == [container_port["name"]]
    # What callers reach does not lead there.
    assert [found["name"] for found in facility.named("Service", "noyau")["spec"]["ports"]] == ["grpc"]


def test_the_queue_decides_about_the_workers(facility: Any, tmp_path: Path) -> None:
    scaler = facility.one("HorizontalPodAutoscaler")["spec"]
    target = facility.named("Deployment", scaler["scaleTargetRef"]["name"])
    assert (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["apiVersion"]) == ("Deployment", "apps/v1")
    assert "replicas" not in target["spec"], "applying again would undo what the autoscaler did"
    assert 1 <= scaler["minReplicas"] < scaler["maxReplicas"]
    (metric,) = scaler["metrics"]
    (rule,) = yaml.safe_load((KUBERNETES / "prometheus-adapter.example.yaml").read_text())["rules"]["external"]
    assert rule["name"]["as"] == metric["external"]["metric"]["name"]
    named = set(re.findall(r"noyau_\w+", rule["seriesQuery"] + rule["name"]["as"]))
    assert named <= figures(tmp_path)


def test_without_workers_the_number_of_them_is_nobodys(rendered: dict[str, Any]) -> None:
    for overlay in ("cpu", "gpu", "production"):
        assert not rendered[overlay].all("Deployment")
        assert not rendered[overlay].all("HorizontalPodAutoscaler")


def test_an_orderly_end_of_a_worker_is_not_cut_short(facility: Any) -> None:
    from noyau import worker_slots

    pod = facility.named("Deployment", "noyau-worker")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > worker_slots._STOP_SECONDS
