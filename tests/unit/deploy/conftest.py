"""Manifests as the tests look at them: rendered, and with the settings that the service would read from them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from noyau.config import Settings, load_settings
from pydantic import BaseModel

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
OVERLAYS = ("cpu", "gpu", "production", "facility")
# The first kustomize whose format ours is.
KUSTOMIZE = 5
# What other software than ours reads: libraries find their caches with these, and MONAI the name of the user.
FOREIGN = {"HOME", "XDG_CACHE_HOME", "USER"}
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True)
class Manifests:
    """Everything that one overlay brings to a cluster."""

    documents: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.all(kind)
        return found

    def named(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [document for document in self.all(kind) if document["metadata"]["name"] == name]
        return found

    @property
    def workloads(self) -> list[dict[str, Any]]:
        """Everything that starts pods."""
        return [document for kind in ("StatefulSet", "Deployment") for document in self.all(kind)]

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's template."""
        template: dict[str, Any] = self.one("StatefulSet")["spec"]["template"]
        return template

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.pod["spec"]["containers"]
        assert isinstance(container, dict)
        return container

    def environment(
        self, secrets: Mapping[str, Mapping[str, str]], container: dict[str, Any] | None = None
    ) -> dict[str, str]:
        """What a container (by default the coordinator's) finds in its environment; raises KeyError for a reference
        that leads nowhere."""
        container = container or self.container
        maps = {document["metadata"]["name"]: document["data"] for document in self.all("ConfigMap")}
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found.update(maps[source["configMapRef"]["name"]])
        for variable in container.get("env", ()):
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                found[variable["name"]] = secrets[reference["name"]][reference["key"]]
        return found


def render(overlay: str) -> Manifests:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on this machine")
    told = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(told.stdout).get("kustomizeVersion", "v0")
    if int(version.removeprefix("v").split(".")[0]) < KUSTOMIZE:
        pytest.skip(f"the kustomize in this kubectl is {version}; needed is v{KUSTOMIZE}")
    folder = DEPLOY / "kubernetes" / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return Manifests(tuple(yaml.safe_load_all(done.stdout)))


@pytest.fixture(scope="session")
def rendered() -> dict[str, Manifests]:
    """All overlays by name."""
    return {overlay: render(overlay) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, rendered: dict[str, Manifests]) -> Manifests:
    """Each overlay in turn."""
    return rendered[request.param]


@pytest.fixture(scope="session")
def example_secret() -> dict[str, Any]:
    """The Secret that an operator fills in."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "secret.example.yaml").read_text())
    return loaded


@pytest.fixture
def environment(manifests: Manifests, example_secret: dict[str, Any]) -> dict[str, str]:
    """Of the container of each overlay."""
    return manifests.environment({example_secret["metadata"]["name"]: example_secret["stringData"]})


@pytest.fixture
def settings(environment: dict[str, str], settings_of: Callable[[Mapping[str, str]], Settings]) -> Settings:
    """What the service reads in each overlay."""
    return settings_of(environment)


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], Settings]:
    """Loads settings from an environment alone, and refuses a name that no setting has."""

    def load(environment: Mapping[str, str]) -> Settings:
        for name in environment:
            assert name in FOREIGN or is_setting(name), f"{name} names no setting"
        for name in [name for name in os.environ if name.startswith("NOYAU_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return load


def is_setting(name: str) -> bool:
    """Whether the settings have a field for an environment variable."""
    if not name.startswith("NOYAU_"):
        return False
    section: type[BaseModel] = Settings
    *outer, last = name.removeprefix("NOYAU_").lower().split("__")
    for part in outer:
        field = section.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return False
        section = field.annotation
    return last in section.model_fields


@pytest.fixture
def quantity() -> Callable[[str], float]:
    """Numbers of Kubernetes: 4, 500m, 8Gi."""

    def parse(text: str) -> float:
        if text.endswith("m"):
            return float(text[:-1]) / 1000
        return float(text[:-2]) * UNITS[text[-2:]] if text[-2:] in UNITS else float(text)

    return parse


@pytest.fixture
def stop_seconds() -> Callable[[Settings], float]:
    """The longest time that an orderly end takes with these settings."""

    def longest(settings: Settings) -> float:
        from noyau.jobs import supervisor

        jobs = settings.jobs.model_dump().get("drain_seconds", 0.0)
        return settings.listen.drain_seconds + float(jobs) + supervisor._STOP_PATIENCE_SECONDS

    return longest
