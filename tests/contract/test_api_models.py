"""Models over gRPC: in by path and in pieces, out as an archive, aliases there and back, over a real registry.

What takes torch (testing, converting archives) is stood in for; tests/system runs the real thing.
"""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from noyau.api.wire.errors import error_from_rpc
from noyau.client import Client
from noyau.domain.access import AccessPolicy
from noyau.domain.catalogue import ModelAction, Origin
from noyau.domain.errors import (
    AlreadyExists,
    DamagedData,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    PermissionRefused,
)
from noyau.models.bioimageio.objects import ObjectRule
from noyau.models.desk import ModelDesk, RegisterOptions
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry
from noyau.v1 import models_pb2, models_pb2_grpc

Make = Callable[..., Path]
MIB = 2**20


class Converter:
    """Archives are zipped folders here; a file `bad` makes a package fail its test."""

    def __init__(self) -> None:
        self.imports: list[Mapping[str, Any]] = []

    def __call__(self, task: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(self, f"_{task}")(arguments)

    def _test(self, arguments: Mapping[str, Any]) -> None:
        if (Path(arguments["folder"]) / "bad").exists():
            raise DamagedData("The model gives other values than when it was made.")

    def _import(self, arguments: Mapping[str, Any]) -> list[str]:
        self.imports.append(arguments)
        try:
            with zipfile.ZipFile(arguments["archive"]) as archive:
                archive.extractall(Path(arguments["into"]) / "m" / "1")
        except zipfile.BadZipFile as error:
            raise DamagedData("The archive is no zip file.") from error
        return ["m", "1"]

    def _export(self, arguments: Mapping[str, Any]) -> None:
        target = Path(arguments["archive"])
        shutil.make_archive(str(target.with_suffix("")), "zip", arguments["folder"])

    def _score(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        elements = [
            {"name": "weights", "present": True, "where": "weights.safetensors", "why": "there", "purpose": "use"},
            {"name": "licence", "present": False, "where": "model.json", "why": "none", "purpose": "use"},
        ]
        return {"model": "m@1", "elements": elements}


@pytest.fixture
def converter() -> Converter:
    return Converter()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def served(
    start_api: Callable[..., Any], image_folder: Path, tmp_path: Path, scratch: Path, converter: Converter
) -> Any:
    home = ModelHome(str(tmp_path / "home"), tmp_path / "cache")
    registry = ModelRegistry([], home, lambda folder: converter("test", {"folder": folder}))
    desk = ModelDesk(registry, AccessPolicy((str(image_folder),)), converter, scratch, torchscript=False)
    return start_api(models=desk)


@pytest.fixture
def client(served: Any) -> Iterator[Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def put(image_folder: Path, make_model_folder: Make) -> Make:
    """A package where the service may read."""

    def make(**changes: Any) -> Path:
        return make_model_folder(**changes).rename(image_folder / f"package-{len(list(image_folder.iterdir()))}")

    return make


@pytest.fixture
def zipped(tmp_path: Path, make_model_folder: Make) -> Make:
    """An archive on the caller's side."""

    def make(**changes: Any) -> Path:
        return Path(shutil.make_archive(str(tmp_path / "archive"), "zip", make_model_folder(**changes)))

    return make


def test_a_model_lives_through_versions_aliases_and_removal(client: Client, put: Make) -> None:
    models = client.registry
    first = models.register(str(put(weights=b"one")), RegisterOptions(by="ada", alias="production"))
    second = models.register(str(put(weights=b"two")), RegisterOptions(by="bob"))
    assert (first.info.ref, first.by, first.origin, first.aliases) == (
        "m@1",
        "ada",
        Origin.REGISTERED,
        ("latest", "production"),
    )
    assert second.registered is not None and second.info.registered["by"] == "bob"
    assert client.model("m").ref == "m@1"
    assert models.set_alias("m", "production", "latest", "ada").info == second.info == client.model("m")
    assert models.rollback("m", by="eve").info.ref == "m@1"
    with pytest.raises(FailedPrecondition, match="production"):
        models.remove("m@1")
    models.drop_alias("m", "production")
    assert models.remove("m@1", "ada").ref == "m@1"
    assert [e.info.ref for e in models.catalogue().entries] == ["m@2"]
    told = [(event.action, event.by, event.version, event.previous) for event in models.history("m")]
    assert told == [
        (ModelAction.REGISTERED, "ada", "1", ""),
        (ModelAction.ALIAS, "ada", "1", ""),
        (ModelAction.REGISTERED, "bob", "2", ""),
        (ModelAction.ALIAS, "ada", "2", "1"),
        (ModelAction.ROLLBACK, "eve", "1", "2"),
        (ModelAction.UNALIAS, "", "1", "1"),
        (ModelAction.REMOVED, "ada", "1", ""),
    ]


def test_an_archive_comes_in_pieces_and_goes_out_again(
    client: Client, zipped: Make, tmp_path: Path, scratch: Path, converter: Converter
) -> None:
    weights = bytes(range(256)) * 6000
    rule = ObjectRule("border", 1, 2, 0, 0.25)
    options = RegisterOptions("ada", "mine", "best", "key", rule)
    entry = client.registry.register_archive(zipped(weights=weights), options)
    assert (entry.info.ref, entry.by, entry.aliases) == ("mine@1", "ada", ("best", "latest"))
    assert client.registry.register_archive(zipped(weights=weights), options).info == entry.info
    assert converter.imports[0]["objects"] == {
        "kind": "border",
        "output": 1,
        "foreground": 2,
        "border": 0,
        "threshold": 0.25,
    }
    assert client.registry.export("mine@best", tmp_path / "out.zip").ref == "mine@1"
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.read("weights.safetensors") == weights
    with pytest.raises(AlreadyExists):
        client.registry.export("mine", tmp_path / "out.zip")
    assert list(scratch.iterdir()) == []


def test_a_check_names_what_is_missing(client: Client, put: Make) -> None:
    client.registry.register(str(put()))
    score = client.registry.check("m")
    assert score.model == "m@1"
    assert [(e.name, e.present, e.where, e.why) for e in score.elements] == [
        ("weights", True, "weights.safetensors", "there"),
        ("licence", False, "model.json", "none"),
    ]


def test_two_callers_register_one_name_at_once(served: Any, put: Make) -> None:
    packages = [str(put(weights=name.encode())) for name in "abcd"]
    start = threading.Barrier(len(packages))

    def register(path: str) -> str:
        with served.client() as client:
            start.wait(20)
            return client.registry.register(path).info.version

    with ThreadPoolExecutor(len(packages)) as pool:
        assert sorted(pool.map(register, packages)) == ["1", "2", "3", "4"]


def test_bad_models_are_refused_and_nothing_stays(
    client: Client, put: Make, tmp_path: Path, scratch: Path, make_model_folder: Make, zipped: Make
) -> None:
    models = client.registry
    failing = put()
    (failing / "bad").touch()
    for path, error in (
        (make_model_folder(), PermissionRefused),
        ("/etc", PermissionRefused),
        (put().parent / "none", NotFound),
        (failing, DamagedData),
        (put(name="../evil"), InvalidInput),
        ("", InvalidInput),
        ("s3://bucket/m", PermissionRefused),
    ):
        with pytest.raises(error):
            models.register(str(path))
    with pytest.raises(InvalidInput):
        models.register(str(put()), RegisterOptions(alias="latest"))
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(DamagedData, match="zip"):
        models.register_archive(tmp_path / "text.zip")
    with pytest.raises(FailedPrecondition, match="TorchScript"):
        models.register_archive(zipped(), RegisterOptions(torchscript=True))
    with pytest.raises(NotFound):
        models.register_archive(tmp_path / "none.zip")
    for use in (
        lambda: models.export("m", tmp_path / "out.zip"),
        lambda: models.check("m"),
        lambda: models.history("m"),
        lambda: models.set_alias("m", "best", "1"),
        lambda: models.rollback("m"),
        lambda: models.remove("m@1"),
    ):
        with pytest.raises(NotFound):
            use()
    assert not (tmp_path / "out.zip").exists()
    assert not (tmp_path / "home").exists()
    assert list(scratch.iterdir()) == []
    assert models.catalogue().entries == ()


def test_an_upload_that_is_too_large_or_breaks_off_leaves_nothing(
    served: Any, client: Client, tmp_path: Path, scratch: Path
) -> None:
    (tmp_path / "large.zip").write_bytes(bytes(4 * MIB))
    with pytest.raises(LimitExceeded, match="3 MiB"):
        client.registry.register_archive(tmp_path / "large.zip")
    header = models_pb2.UploadModelRequest(registration=models_pb2.Registration())
    data = models_pb2.UploadModelRequest(data=b"bytes")
    with grpc.insecure_channel(served.address) as channel:
        upload = models_pb2_grpc.ModelServiceStub(channel).Upload
        for parts in ([], [header], [data], [header, header, data]):
            with pytest.raises(grpc.RpcError) as caught:
                upload(iter(parts), timeout=20)
            assert isinstance(error_from_rpc(caught.value, "here"), InvalidInput)
        hold = threading.Event()

        def breaks_off() -> Iterator[models_pb2.UploadModelRequest]:
            yield header
            yield data
            hold.wait(20)

        with pytest.raises(grpc.RpcError):
            upload(breaks_off(), timeout=0.5)
        hold.set()
        with pytest.raises(grpc.RpcError) as caught:
            channel.stream_unary("/noyau.v1.ModelService/Upload")(iter([b"\xff\xff\xff"]), timeout=20)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert client.registry.catalogue().entries == ()
    deadline = threading.Event()
    for _ in range(100):
        if not list(scratch.iterdir()):
            break
        deadline.wait(0.1)
    assert list(scratch.iterdir()) == []


def test_what_cannot_be_used_is_named_beside_the_rest(client: Client, put: Make, tmp_path: Path) -> None:
    client.registry.register(str(put()))
    client.registry.register(str(put(name="n")))
    (tmp_path / "home" / "m" / "index.json").write_text("{")
    found = client.registry.catalogue()
    assert [e.info.ref for e in found.entries] == ["n@1"]
    assert [problem.what for problem in found.problems] == ["m"]
    assert "index.json" in found.problems[0].cause and found.problems[0].remedy
