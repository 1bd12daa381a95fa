"""Files below a URI on a local disk (S3 and HTTP: tests/contract)."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from noyau.domain.errors import DamagedData, FailedPrecondition, NoyauError
from noyau.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def test_files_come_back(store: Store) -> None:
    store.write("a/b/c.bin", b"\0\xff")
    assert store.read("a/b/c.bin") == b"\0\xff"
    assert store.child("a").read("b/c.bin") == b"\0\xff"
    assert (store.path / "a" / "b" / "c.bin").exists()


def test_what_is_not_there_is_none(store: Store) -> None:
    store.write("a/b", b"x")
    for key in ("absent", "a", "a/b/c", "absent/too"):
        assert store.read(key) is None
        assert store.read_json(key) is None
    assert not store.exists("absent") and store.exists("a") and store.exists("a/b")


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff", b""])
def test_json_that_is_none_is_damaged_data(store: Store, text: bytes) -> None:
    store.write("a.json", text)
    with pytest.raises(DamagedData, match=r"a\.json"):
        store.read_json("a.json")


def test_names_and_folders(store: Store) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "a0", ".hidden/4"):
        store.write(key, b"")
    assert sorted(store.names("a")) == ["1", "b/2"]
    assert store.folders() == [".hidden", "a", "ab"]
    assert store.folders("absent") == []


def test_remove_takes_a_folder_and_nothing_beside_it(store: Store) -> None:
    for key in ("a/1", "a/b/2", "ab/3"):
        store.write(key, b"")
    store.remove("a")
    store.remove("a")
    assert store.names() == ["ab/3"]


def test_remove_does_not_follow_links(store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("x")
    (store.path / "link").symlink_to(outside)
    store.remove("link")
    assert (outside / "precious").exists() and not store.exists("link")


def test_updates_from_many_threads_lose_nothing(store: Store) -> None:
    def add(number: int) -> None:
        own = Store(store.uri)
        own.update_json("list.json", lambda d: {**d, "names": [*d.get("names", []), number]})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(18)))
    document = store.read_json("list.json")
    assert document is not None and sorted(document["names"]) == list(range(18))


def test_a_move_of_a_folder(store: Store) -> None:
    store.write("a/b/1", b"x")
    store.move("a", "c/d")
    assert store.names() == ["c/d/b/1"]


@pytest.mark.parametrize(
    "action",
    [
        lambda s: s.write("file/below", b""),
        lambda s: s.write("x" * 300, b""),
        lambda s: s.update_json("file/below", dict),
        lambda s: s.move("absent", "b"),
    ],
)
def test_places_that_cannot_be_written(store: Store, action: Callable[[Store], None]) -> None:
    store.write("file", b"")
    with pytest.raises(FailedPrecondition):
        action(store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(store: Store) -> None:
    store.path.chmod(0o555)
    with pytest.raises(FailedPrecondition, match="read-only"):
        store.write("a", b"")


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        ("s3://bucket/a/b", {"driver": "s3", "bucket": "bucket", "path": "a/b/k/"}),
        ("s3://bucket", {"driver": "s3", "bucket": "bucket", "path": "k/"}),
        ("http://host:8/a", {"driver": "http", "base_url": "http://host:8", "path": "/a/k/"}),
        ("/tmp/a", {"driver": "file", "path": "/tmp/a/k/"}),
    ],
)
def test_where_keys_live(uri: str, want: dict[str, str]) -> None:
    store = Store(uri)
    assert {k: v for k, v in store.spec("k").items() if k in want} == want
    assert store.can_write == (not uri.startswith("http"))
    assert store.locate("k") == f"{uri}/k"


def test_http_cannot_list(tmp_path: Path) -> None:
    assert Store("http://127.0.0.1:9/a").names() == []


def test_errors_are_ours(store: Store) -> None:
    with pytest.raises(NoyauError):
        store.write("", b"")
