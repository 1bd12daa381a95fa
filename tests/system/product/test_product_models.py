"""Models of a running service: registered, promoted, rolled back, and what they produce, without any restart."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from noyau.client import Client
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.models.description import read_info
from noyau.models.package import write_package
from noyau.models.registry import ModelRegistry
from noyau.oip import open_inference_pb2 as oip
from noyau.oip import open_inference_pb2_grpc as oip_grpc
from product_kit import VOXEL, Service, cli

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two packages of the model `embryo`: the shipped network, and one with other weights that sees next to nothing."""
    folder = tmp_path_factory.mktemp("packages")
    loaded = ModelRegistry().load("nuclei-3d")
    info = replace(loaded.info, name="embryo", version="1")
    state = loaded.network.state_dict()
    write_package(folder / "first", info, state, "# The shipped one\n")
    last = [name for name, tensor in state.items() if name.endswith("bias") and tensor.shape == (4,)][-1]
    state[last] = state[last].clone()
    state[last][0] -= 3.0
    write_package(folder / "second", info, state, "# A shy one\n")
    return folder / "first", folder / "second"


@pytest.fixture
def home_uri(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def wait_for(service: Service, image: Path, model: str, labels: str) -> JobResult:
    with service.client() as client:
        spec = SegmentSpec((ImageRef(str(image)),), model=model, labels=labels)
        return client.result(client.submit(spec).id)


def told_digests(image: Path, labels: str) -> set[str]:
    """Digests of the model in everything that was written for one label group."""
    provenance = json.loads((image / "noyau" / labels / "provenance.json").read_text())
    group = zarr.open_group(str(image / "labels" / labels), mode="r")
    table = pq.read_schema(image / "noyau" / labels / "nuclei.parquet").metadata
    return {
        provenance["model"]["digest"],
        group.attrs.asdict()["noyau"]["provenance"]["model"]["digest"],
        table[b"model_digest"].decode(),
    }


def ask(service: Service, *arguments: str, code: int = 0) -> Any:
    done = service.cli("models", *arguments, "--json")
    assert done.code == code, done.err
    return json.loads(done.out)


def crop(client: Client, embryo: np.ndarray, model: str) -> tuple[str, str]:
    found = client.preview(embryo[:8, :32, :32], model=model)
    return found.model, found.digest


def infer(address: str, embryo: np.ndarray, model: str) -> tuple[str, str]:
    request = oip.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="UINT16", shape=(8, 32, 32))
    request.raw_input_contents.append(np.ascontiguousarray(embryo[:8, :32, :32]).tobytes())
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        answer = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=300)
    return f"{answer.model_name}@{answer.model_version}", answer.parameters["model_digest"].string_param


def use_both(service: Service, packages: tuple[Path, Path], image: Path, embryo: np.ndarray) -> JobResult:
    """Registers two versions while the service runs, and uses the one, the other, and the first again.

    Returns:
        what a job with the second one gave.
    """
    first, second = (read_info(folder).digest for folder in packages)
    process = service.process.pid
    assert ask(service, "register", str(packages[0]), "--by", "ada")["model"]["version"] == "1"
    ask(service, "promote", "embryo@1")
    with service.client() as client:
        assert crop(client, embryo, "embryo") == ("embryo@1", first)
        entry = ask(service, "register", str(packages[1]), "--by", "bob")
        assert (entry["model"]["version"], entry["model"]["digest"]) == ("2", second)
        assert crop(client, embryo, "embryo") == ("embryo@1", first), "not promoted yet"
    ask(service, "promote", "embryo@2")
    promoted = wait_for(service, image, "embryo@production", "promoted")
    assert (promoted.model, promoted.model_digest) == ("embryo@2", second)
    assert told_digests(image, "promoted") == {second}
    assert infer(service.address, embryo, "embryo") == ("embryo@2", second)

    assert ask(service, "rollback", "embryo")["model"] == "embryo@1"
    with service.client() as client:
        # Side by side, by their numbers.
        assert crop(client, embryo, "embryo@2") == ("embryo@2", second)
        assert crop(client, embryo, "embryo") == ("embryo@1", first)
    assert service.process.pid == process
    return promoted


@pytest.fixture
def own_place(tmp_path: Path, embryo: np.ndarray, make_image: Callable[..., Path]) -> Path:
    return make_image(tmp_path / "images" / "embryo.ome.zarr", embryo, scale=VOXEL, chunks=(8, 48, 48))


def test_a_version_is_promoted_used_and_rolled_back_without_a_restart(
    packages: tuple[Path, Path], short_folder: Path, home_uri: str, own_place: Path, embryo: np.ndarray
) -> None:
    roots = [own_place.parent, packages[0].parent]
    with Service(short_folder, roots, settings={"NOYAU_MODELS_HOME": home_uri}) as service:
        promoted = use_both(service, packages, own_place, embryo)
        back = wait_for(service, own_place, "embryo@production", "back")
        first = read_info(packages[0]).digest
        assert (back.model, back.model_digest) == ("embryo@1", first)
        assert told_digests(own_place, "back") == {first}
        assert back.nuclei > promoted.nuclei
        listed = {entry["version"]: entry for entry in ask(service, "list")["models"] if entry["name"] == "embryo"}
        assert (listed["1"]["by"], listed["1"]["aliases"]) == ("ada", ["production"])
        assert (listed["2"]["by"], listed["2"]["aliases"]) == ("bob", ["latest"])
        told = [(event["action"], event["version"]) for event in ask(service, "history", "embryo")["events"]]
        assert told == [("registered", "1"), ("alias", "1"), ("registered", "2"), ("alias", "2"), ("rollback", "1")]
        assert ask(service, "remove", "embryo@1", code=11)["error"]["cause"].endswith("production points to it.")
        ask(service, "remove", "embryo@2")
        assert "embryo@2" not in service.cli("models", "list").out


@pytest.mark.s3
def test_the_same_with_models_on_s3(
    packages: tuple[Path, Path],
    short_folder: Path,
    own_place: Path,
    embryo: np.ndarray,
    s3_bucket: str,
    s3_server: str,
    tmp_path: Path,
) -> None:
    settings = {
        "NOYAU_MODELS_HOME": f"s3://{s3_bucket}/models",
        "NOYAU_MODELS_CACHE": str(tmp_path / "cache"),
        "NOYAU_ACCESS__S3_ENDPOINT": s3_server,
    }
    with Service(short_folder, [own_place.parent, packages[0].parent], settings=settings) as service:
        use_both(service, packages, own_place, embryo)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, home_uri: str) -> Iterator[Callable[..., Any]]:
    """Commands without any service, on models of the user's own."""
    monkeypatch.setenv("NOYAU_MODELS_HOME", home_uri)
    monkeypatch.delenv("NOYAU_SERVER", raising=False)
    folder = Path(tempfile.mkdtemp(prefix="noyau-test-"))
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    def run(*arguments: str, code: int = 0) -> Any:
        done = cli(*arguments, "--json")
        assert done.code == code, done.err
        return json.loads(done.out)

    yield run
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def test_commands_without_a_service_work_on_the_users_own_models(
    packages: tuple[Path, Path], alone: Callable[..., Any], own_place: Path, tmp_path: Path
) -> None:
    first, second = (read_info(folder).digest for folder in packages)
    assert alone("models", "register", str(packages[0]), "--alias", "best")["aliases"] == ["best", "latest"]
    archive = tmp_path / "embryo.zip"
    assert alone("models", "export", "embryo@best", str(archive))["digest"] == first
    assert alone("models", "export", "embryo", str(archive), code=5)["error"]["remedy"]
    imported = alone("models", "import", str(archive))["model"]
    assert (imported["version"], imported["digest"]) == ("2", first)
    assert alone("models", "register", str(packages[1]))["model"]["version"] == "3"
    assert alone("models", "promote", "embryo@3")["digest"] == second
    job = alone("segment", str(own_place), "--model", "embryo", "--labels", "b", "--local", "--quiet")["job"]
    assert (job["result"]["model"], job["result"]["model_digest"]) == ("embryo@3", second)
    score = alone("models", "check", "embryo@3")
    assert score["model"] == "embryo@3" and score["missing"]
    assert {element["name"] for element in alone("models", "check", str(archive))["elements"]} == {
        element["name"] for element in score["elements"]
    }
    assert alone("models", "rollback", "embryo")["model"] == "embryo@2"
    alone("models", "alias", "embryo", "best", "--remove")
    assert alone("models", "remove", "embryo@1")["removed"] == "embryo@1"
    assert alone("models", "show", "embryo")["model"]["version"] == "2"
    assert [event["action"] for event in alone("models", "history", "embryo")["events"]][-1] == "removed"


def test_models_that_cannot_be_are_refused_by_the_service_which_goes_on(
    packages: tuple[Path, Path], service: Service, place: Path
) -> None:
    broken = Path(shutil.copytree(packages[0], place / "broken"))
    info = json.loads((broken / "model.json").read_text())
    (broken / "model.json").write_text(json.dumps({**info, "arguments": {}}))
    tampered = Path(shutil.copytree(packages[0], place / "tampered"))
    shutil.copy(packages[1] / "selftest.npz", tampered / "selftest.npz")
    (place / "no.zip").write_bytes(b"PK\x03\x04 no archive")
    for package, code, word in (
        (broken, 3, "architecture"),
        (tampered, 12, "test input"),
        (packages[0], 6, "outside the folders"),
        (place / "none", 4, "nothing at"),
        (place / "no.zip", 12, "zip"),
    ):
        done = service.cli("models", "register", str(package))
        assert done.code == code, done.err
        assert word in done.err
        assert len(done.err.strip().splitlines()) == 1
    with service.client() as client:
        assert [info.name for info in client.models()] == ["nuclei-2d", "nuclei-3d"]
