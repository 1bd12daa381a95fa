"""The image by itself: what is in it, as whom it runs, what it may write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from container_kit import PATIENCE, locked_down
from docker.errors import ContainerError

SBOM = "/usr/share/doc/noyau/sbom.cdx.json"
PYTHON = "/opt/noyau/bin/python"


@pytest.fixture
def run(engine: Any, noyau_image: str) -> Callable[..., str]:
    """Output of a program in a container that is locked down; entry point and user are the image's unless given."""

    def once(*command: str, **options: Any) -> str:
        given = locked_down(network_mode="none", tmpfs={"/tmp": "mode=1777"})
        container = engine.containers.create(noyau_image, list(command), **{**given, **options})
        try:
            container.start()
            code = container.wait(timeout=PATIENCE)["StatusCode"]
            if code != 0:
                raise ContainerError(container, code, command, noyau_image, container.logs(stdout=False))
            return str(container.logs(stderr=False).decode())
        finally:
            # With the volumes that the image declares.
            container.remove(force=True, v=True)

    return once


def test_user_entry_point_labels_and_health_check(
    engine: Any, noyau_image: str, figure: Callable[[str, str], None]
) -> None:
    image = engine.images.get(noyau_image)
    config = image.attrs["Config"]
    assert config["User"] == "10001:10001"
    assert (config["Entrypoint"], config["Cmd"]) == (["noyau"], ["serve"])
    assert config["Healthcheck"]["Test"] == ["CMD", "noyau", "health"]
    assert set(config["Volumes"]) == {"/var/lib/noyau", "/var/cache/noyau"}
    assert set(config["ExposedPorts"]) == {"50051/tcp"}
    labels = {name.rpartition(".")[2]: value for name, value in image.labels.items() if "opencontainers" in name}
    assert labels["version"] == noyau_image.partition(":")[2]
    assert labels["licenses"] == "GPL-2.0-or-later"
    assert labels["revision"] not in ("", "unknown")
    assert labels["created"] > "2020"
    figure("image size", f"{image.attrs['Size'] / 2**20:.0f} MiB unpacked")


def test_the_user_has_a_name_and_may_write_in_three_places_only(run: Callable[..., str]) -> None:
    script = """
import errno, getpass, json, os, tempfile
refused = {}
for folder in ("/", "/opt/noyau", "/etc", "/usr", "/var", "/home", "/var/lib/noyau", "/var/cache/noyau", "/tmp"):
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            refused[folder] = ""
    except OSError as error:
        refused[folder] = errno.errorcode[error.errno]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([os.getuid(), os.getgid(), getpass.getuser(), status["CapEff"].strip(), refused]))
"""
    environment = {"USER": "", "LOGNAME": ""}
    said = run("-c", script, entrypoint=PYTHON, environment=environment)
    uid, gid, name, capabilities, refused = json.loads(said)
    assert (uid, gid, name) == (10001, 10001, "noyau")
    assert int(capabilities, 16) == 0
    assert [folder for folder, why in refused.items() if not why] == ["/var/lib/noyau", "/var/cache/noyau", "/tmp"]
    assert {why for why in refused.values() if why} == {"EROFS"}


def test_nothing_in_it_gives_more_rights(run: Callable[..., str]) -> None:
    # What is not needed is not there; what Debian brings cannot be used without new privileges.
    found = run("-c", "ls /opt/noyau/bin/pip* /wheels /source 2>/dev/null; true", entrypoint="/bin/sh")
    assert found == ""


def test_the_list_of_contents_is_complete(run: Callable[..., str]) -> None:
    listed = json.loads(run(SBOM, entrypoint="/bin/cat"))
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.5")
    names = {(one["purl"].split("/")[0], one["name"]): one["version"] for one in listed["components"]}
    script = """
import importlib.metadata
for one in importlib.metadata.distributions():
    print(one.metadata["Name"], one.version)
"""
    for line in run("-c", script, entrypoint=PYTHON).splitlines():
        name, version = line.split(" ")
        assert names["pkg:pypi", name.replace("_", "-").replace(".", "-").lower()] == version
    for line in run("-W", "-f", "${Package} ${Version}\n", entrypoint="/usr/bin/dpkg-query").splitlines():
        name, version = line.split(" ")
        assert names["pkg:deb", name] == version
    assert names["pkg:pypi", "torch"].endswith("+cpu")
    assert {"noyau", "openvino", "omero-py", "zeroc-ice"} <= {name for _, name in names}
    assert not [name for _, name in names if name.startswith("nvidia")], "CUDA has no place in the image for CPUs"
    assert len({one["bom-ref"] for one in listed["components"]}) == len(listed["components"])


def test_every_part_of_the_product_can_be_imported(run: Callable[..., str]) -> None:
    script = """
import warnings
warnings.simplefilter("ignore")
import Ice, omero.gateway, openvino, torch, tensorstore, stardist, monai, psycopg
import noyau.main, noyau.handlers, noyau.training, noyau.pipelines.segment
print("all")
"""
    assert run("-c", script, entrypoint=PYTHON, environment={"TQDM_DISABLE": "1"}).splitlines()[-1] == "all"


def test_the_doctor_finds_nothing_wrong(run: Callable[..., str]) -> None:
    said = run("doctor")
    assert "nuclei-3d" in said


def test_a_wrong_setting_is_named_and_ends_it(run: Callable[..., str]) -> None:
    with pytest.raises(ContainerError) as caught:
        run("serve", environment={"NOYAU_JOBS__WORKER": "2"})
    assert caught.value.exit_status == 3
    assert b"Did you mean jobs.workers?" in caught.value.stderr


def test_manifests_name_this_image(noyau_image: str) -> None:
    deploy = Path(__file__).resolve().parents[2] / "deploy"
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    assert compose["services"]["noyau"]["image"] == noyau_image
    pods = yaml.safe_load((deploy / "kubernetes" / "base" / "statefulset.yaml").read_text())
    assert pods["spec"]["template"]["spec"]["containers"][0]["image"] == noyau_image
