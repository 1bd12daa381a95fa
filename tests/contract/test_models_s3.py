"""Registered models on S3, against a real S3 server process: the same promises as in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from noyau.domain.errors import DamagedData, FailedPrecondition, NotFound, Unavailable
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry
from noyau.storage.options import StorageOptions
from noyau.storage.store import Store

pytestmark = pytest.mark.s3
Make = Callable[..., Path]


@pytest.fixture
def home(s3_bucket: str) -> str:
    return f"s3://{s3_bucket}/facility/models"


@pytest.fixture
def open_registry(home: str, s3_server: str, tmp_path: Path) -> Callable[[], ModelRegistry]:
    """Every call gives what a process of its own would have; only the folder of local copies is shared."""

    def make() -> ModelRegistry:
        place = ModelHome(home, tmp_path / "cache", StorageOptions(s3_endpoint=s3_server))
        return ModelRegistry([], place, lambda folder: None)

    return make


@pytest.fixture
def store(home: str, s3_server: str) -> Store:
    return Store(home, StorageOptions(s3_endpoint=s3_server))


def test_the_folder_of_local_copies_keeps_its_size(
    open_registry: Callable[[], ModelRegistry],
    make_model_folder: Make,
    home: str,
    s3_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("noyau.models.evicting.IN_USE_SECONDS", -1.0)
    writer = open_registry()
    for number in range(4):
        writer.register(make_model_folder("m", "1", bytes([number]) * 50_000), by="")
    place = ModelHome(home, tmp_path / "small", StorageOptions(s3_endpoint=s3_server), 120_000)
    reader = ModelRegistry([], place, lambda folder: None)
    for wanted in ("m@1", "m@2", "m@1", "m@3"):
        assert (reader.folder(wanted) / "weights.safetensors").stat().st_size == 50_000
    first = {(folder / "weights.safetensors").read_bytes()[0] for folder in (tmp_path / "small").glob("[!.]*")}
    assert first == {0, 2}, "m@2 was used longest ago"
    assert (reader.folder("m@2") / "weights.safetensors").read_bytes()[0] == 1


def test_versions_and_aliases_are_seen_by_others_at_once(
    open_registry: Callable[[], ModelRegistry], make_model_folder: Make, store: Store
) -> None:
    ours, theirs = open_registry(), open_registry()
    assert theirs.catalogue().entries == ()
    assert ours.register(make_model_folder("m", "1", b"one"), by="ada").ref == "m@1"
    assert ours.register(make_model_folder("m", "1", b"two"), by="ada", alias="production").ref == "m@2"
    assert theirs.get("m").ref == theirs.get("m@production").ref == "m@2"
    theirs.set_alias("m", "production", "1", "bob")
    assert ours.get("m").ref == "m@1"
    assert ours.rollback("m", "production", "bob").info.ref == "m@2"
    assert [e.info.ref for e in theirs.catalogue().entries] == ["m@1", "m@2"]
    assert [event.version for event in theirs.history("m")] == ["1", "2", "2", "1", "2"]
    with pytest.raises(FailedPrecondition, match="production"):
        ours.remove("m@2", "")
    ours.remove("m@1", "")
    with pytest.raises(NotFound):
        theirs.get("m@1")
    assert [name for name in store.names("m") if name.startswith("1/")] == []


def test_a_package_is_fetched_once_and_is_what_was_registered(
    open_registry: Callable[[], ModelRegistry], make_model_folder: Make, tmp_path: Path, store: Store
) -> None:
    registry = open_registry()
    registry.register(make_model_folder("m", "1", b"one"), by="ada")
    folder = registry.folder("m")
    assert (folder / "weights.safetensors").read_bytes() == b"one"
    assert (folder / "pictures" / "curve.png").read_bytes() == b"picture"
    assert json.loads((folder / "model.json").read_text())["version"] == "1"
    store.remove("m/1/weights.safetensors")
    assert open_registry().folder("m") == folder
    (folder / "weights.safetensors").write_bytes(b"damaged copy")
    with pytest.raises(DamagedData, match=r"weights\.safetensors of model m@1 is missing"):
        registry.folder("m")
    store.write("m/1/weights.safetensors", b"others")
    with pytest.raises(DamagedData, match="not what was registered"):
        registry.folder("m")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]
    store.write("m/1/weights.safetensors", b"one")
    assert (registry.folder("m") / "weights.safetensors").read_bytes() == b"one"


def test_writers_at_once_all_succeed_with_different_versions(
    open_registry: Callable[[], ModelRegistry], make_model_folder: Make
) -> None:
    writers = 4
    start = Barrier(writers)

    def write(number: int, package: Path) -> list[str]:
        registry = open_registry()
        start.wait(60)
        return [registry.register(package, by=f"writer {number}", alias="candidate").version for _ in range(3)]

    packages = [make_model_folder("m", "1", f"weights {number}".encode()) for number in range(writers)]
    with ThreadPoolExecutor(writers) as pool:
        told = list(pool.map(write, range(writers), packages))
    registry = open_registry()
    assert sorted(int(version) for found in told for version in found) == list(range(1, 13))
    for number, found in enumerate(told):
        for version in found:
            assert (registry.folder(f"m@{version}") / "weights.safetensors").read_text() == f"weights {number}"
            assert registry.entry(f"m@{version}").by == f"writer {number}"
    assert len(registry.history("m")) == 24


def test_an_upload_that_breaks_off_leaves_nothing(
    open_registry: Callable[[], ModelRegistry], make_model_folder: Make, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry()
    write = Store.write

    def break_off(self: Store, key: str, data: bytes, **rest: Any) -> None:
        if key.startswith("weights"):
            raise Unavailable("The line is dead.")
        write(self, key, data, **rest)

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(Store, "write", break_off)
        registry.register(make_model_folder(), by="", alias="production")
    assert store.names("m") == ["index.json"]
    assert registry.catalogue().entries == ()
    assert registry.register(make_model_folder(), by="").ref == "m@1"


def test_a_damaged_index_is_told(
    open_registry: Callable[[], ModelRegistry], make_model_folder: Make, store: Store
) -> None:
    registry = open_registry()
    registry.register(make_model_folder("m"), by="")
    registry.register(make_model_folder("n"), by="")
    store.write("m/index.json", b"{")
    with pytest.raises(DamagedData, match=r"s3://.*/m/index\.json"):
        registry.get("m")
    assert [problem.what for problem in registry.catalogue().problems] == ["m"]
    assert registry.get("n").ref == "n@1"
    assert list(registry.repair("m", "ada")[0]) == ["1"]
    assert registry.get("m").ref == "m@1" and (registry.folder("m") / "model.json").is_file()


def test_a_server_that_is_down_is_told(home: str, tmp_path: Path, make_model_folder: Make) -> None:
    options = StorageOptions(s3_endpoint="http://127.0.0.1:9", retries=0)
    registry = ModelRegistry([], ModelHome(home, tmp_path / "cache", options), lambda folder: None)
    for use in (lambda: registry.get("m"), registry.catalogue, lambda: registry.register(make_model_folder(), by="")):
        with pytest.raises(Unavailable):
            use()
