"""Registering models in a folder: numbers, aliases, history, and what must never happen to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from noyau.domain.catalogue import ModelAction, Origin
from noyau.domain.errors import (
    DamagedData,
    FailedPrecondition,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NoyauError,
)
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry

Make = Callable[..., Path]


def passes(folder: Path) -> None:
    """A package's own test that it passes."""


def fails(folder: Path) -> None:
    raise DamagedData(f"The model in {folder} gives other values than when it was made.")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def shipped(tmp_path: Path, make_model_folder: Make) -> Path:
    """A folder with version 1 of the model `m`, as if it came with the software."""
    (tmp_path / "shipped" / "m").mkdir(parents=True)
    make_model_folder("m", "1", b"shipped").rename(tmp_path / "shipped" / "m" / "1")
    return tmp_path / "shipped"


@pytest.fixture
def registry(home: Path, shipped: Path, tmp_path: Path) -> ModelRegistry:
    return open_registry(home, shipped, tmp_path)


def open_registry(home: Path, shipped: Path, tmp_path: Path, test: Callable[[Path], None] = passes) -> ModelRegistry:
    """What another process would have: nothing but the folders is shared."""
    return ModelRegistry([shipped], ModelHome(str(home), tmp_path / "cache"), test)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".__lock")
    }


def test_a_model_gets_the_next_free_version_and_is_there_for_others(
    registry: ModelRegistry, home: Path, shipped: Path, tmp_path: Path, make_model_folder: Make
) -> None:
    other = open_registry(home, shipped, tmp_path)
    assert other.get("m").ref == "m@1"
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = registry.register(make_model_folder("m", "1", b"new"), by="ada")
    assert made.ref == "m@2"
    assert other.get("m") == made == other.get("m@latest") == other.get("m@2")
    entry = other.entry("m@2")
    assert (entry.by, entry.origin, entry.aliases) == ("ada", Origin.REGISTERED, ("latest",))
    assert entry.registered is not None and before <= entry.registered <= datetime.now(UTC)
    assert made.registered == {"by": "ada", "at": entry.registered.isoformat()}
    folder = other.folder("m@2")
    assert (folder / "weights.safetensors").read_bytes() == b"new"
    assert (folder / "pictures" / "curve.png").read_bytes() == b"picture"
    found = other.catalogue()
    assert [e.info.ref for e in found.entries] == ["m@1", "m@2"]
    assert found.problems == ()


def test_a_package_keeps_its_version_where_it_is_free(registry: ModelRegistry, make_model_folder: Make) -> None:
    assert registry.register(make_model_folder("m", "7.1"), by="").ref == "m@7.1"
    assert registry.register(make_model_folder("m", "7.1"), by="").ref == "m@8"
    assert registry.register(make_model_folder("m", "draft"), by="").ref == "m@9"
    assert registry.register(make_model_folder("m", "../../x"), by="").ref == "m@10"
    assert registry.register(make_model_folder("m", "3"), by="", name="n").ref == "n@3"


WRITER = """
import sys
from pathlib import Path
from noyau.models.home import ModelHome
from noyau.models.registry import ModelRegistry
home, shipped, cache, package, by = sys.argv[1:]
registry = ModelRegistry([Path(shipped)], ModelHome(home, Path(cache)), lambda folder: None)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(4):
    print(registry.register(Path(package), by=by, alias="candidate").version, flush=True)
"""


def test_processes_that_register_one_name_at_once_all_succeed(
    home: Path, shipped: Path, tmp_path: Path, make_model_folder: Make, registry: ModelRegistry
) -> None:
    arguments = [str(p) for p in (home, shipped, tmp_path / "cache")]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, *arguments, str(make_model_folder("m", "1", by.encode())), by],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for by in ("ada", "bob", "cyd")
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=120)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    numbers = sorted(int(number) for found in told for number in found)
    assert numbers == list(range(2, 14))
    for found, by in zip(told, ("ada", "bob", "cyd"), strict=True):
        for number in found:
            assert (registry.folder(f"m@{number}") / "weights.safetensors").read_bytes() == by.encode()
            assert registry.entry(f"m@{number}").by == by
    assert len(registry.history("m")) == 24
    assert registry.catalogue().problems == ()


def test_aliases_are_set_moved_and_taken_away(registry: ModelRegistry, make_model_folder: Make) -> None:
    registry.register(make_model_folder("m"), by="ada", alias="staging")
    assert registry.aliases("m") == {"staging": "2", "latest": "2"}
    assert registry.get("m@staging").ref == "m@2"
    assert registry.set_alias("m", "staging", "1", "bob").info.ref == "m@1"
    assert registry.set_alias("m", "best", "staging", "bob").info.ref == "m@1"
    assert registry.entry("m@1").aliases == ("best", "staging")
    registry.drop_alias("m", "best", "bob")
    with pytest.raises(NotFound, match="staging"):
        registry.get("m@best")
    with pytest.raises(NotFound, match="staging"):
        registry.drop_alias("m", "best", "bob")


def test_a_bare_name_is_the_newest_version_until_one_is_promoted(
    registry: ModelRegistry, make_model_folder: Make
) -> None:
    registry.register(make_model_folder("m"), by="")
    assert registry.get("m").ref == "m@2"
    registry.set_alias("m", "production", "1", "")
    registry.register(make_model_folder("m"), by="")
    assert registry.get("m").ref == "m@1"
    assert registry.get("m@latest").ref == "m@3"
    registry.set_alias("m", "production", "3", "")
    assert registry.get("m").ref == "m@3"


def test_rolling_back_goes_where_the_alias_was_before(registry: ModelRegistry, make_model_folder: Make) -> None:
    for _ in range(3):
        registry.register(make_model_folder("m"), by="")
    for version in ("4", "2", "2", "3"):
        registry.set_alias("m", "production", version, "ada")
    assert registry.rollback("m", "production", "bob").info.ref == "m@2"
    assert registry.rollback("m", "production", "bob").info.ref == "m@4"
    # Before 4 nothing was promoted; from here on it goes down the versions.
    assert registry.rollback("m", "production", "bob").info.ref == "m@3"
    assert registry.rollback("m", "production", "bob").info.ref == "m@2"
    assert registry.rollback("m", "production", "bob").info.ref == "m@1"
    with pytest.raises(FailedPrecondition, match="no version before 1"):
        registry.rollback("m", "production", "bob")
    told = [(e.action, e.by, e.previous, e.version) for e in registry.history("m") if e.alias]
    assert told[:4] == [
        (ModelAction.ALIAS, "ada", "", "4"),
        (ModelAction.ALIAS, "ada", "4", "2"),
        (ModelAction.ALIAS, "ada", "2", "3"),
        (ModelAction.ROLLBACK, "bob", "3", "2"),
    ]


def test_a_version_that_was_removed_meanwhile_is_passed_over(registry: ModelRegistry, make_model_folder: Make) -> None:
    for _ in range(3):
        registry.register(make_model_folder("m"), by="")
    for version in ("2", "3", "4"):
        registry.set_alias("m", "production", version, "")
    registry.remove("m@3", "")
    assert registry.rollback("m", "production", "").info.ref == "m@2"


def test_a_removed_version_is_gone_and_its_number_never_given_again(
    registry: ModelRegistry, home: Path, make_model_folder: Make
) -> None:
    registry.register(make_model_folder("m"), by="ada")
    assert registry.remove("m@2", "bob").ref == "m@2"
    with pytest.raises(NotFound, match="m@1"):
        registry.get("m@2")
    assert not (home / "m" / "2").exists()
    assert registry.register(make_model_folder("m", "2"), by="").ref == "m@3"
    last = registry.history("m")[1]
    assert (last.action, last.by, last.version) == (ModelAction.REMOVED, "bob", "2")


def test_what_an_alias_points_to_is_not_removed(registry: ModelRegistry, home: Path, make_model_folder: Make) -> None:
    registry.register(make_model_folder("m"), by="", alias="production")
    before = files(home)
    with pytest.raises(FailedPrecondition, match="production"):
        registry.remove("m@2", "")
    for ref in ("m", "m@production", "m@latest"):
        with pytest.raises(FailedPrecondition, match="in full; now it would be m@2"):
            registry.remove(ref, "")
    with pytest.raises(FailedPrecondition, match="not registered"):
        registry.remove("m@1", "")
    for ref in ("m@9", "x@1", "../m@1"):
        with pytest.raises(NotFound):
            registry.remove(ref, "")
    assert files(home) == before


def test_unknown_aliases_name_the_known_ones(registry: ModelRegistry) -> None:
    registry.set_alias("m", "staging", "1", "")
    with pytest.raises(NotFound, match=r"m@1.*aliases: staging \(version 1\), latest \(version 1\)"):
        registry.get("m@production")
    with pytest.raises(NotFound, match="staging"):
        registry.rollback("m", "production", "")
    with pytest.raises(NotFound, match="m@7"):
        registry.set_alias("m", "production", "7", "")
    with pytest.raises(NotFound, match="There is no model 'x'"):
        registry.set_alias("x", "production", "1", "")
    assert registry.aliases("m") == {"staging": "1", "latest": "1"}


def test_an_alias_to_a_version_that_vanished_is_told_and_not_replaced_by_another(
    registry: ModelRegistry, shipped: Path, make_model_folder: Make
) -> None:
    registry.register(make_model_folder("m"), by="")
    registry.set_alias("m", "production", "1", "")
    shutil.rmtree(shipped / "m" / "1")
    for ref in ("m", "m@production"):
        with pytest.raises(NotFound, match="'m@production' points to version 1, which is not there"):
            registry.get(ref)
    registry.set_alias("m", "production", "2", "")
    assert registry.get("m").ref == "m@2"


@pytest.mark.parametrize("name", ["../evil", "..", "a/b", ".m", "", "a@1"])
def test_names_that_lead_elsewhere_are_refused(
    registry: ModelRegistry, home: Path, make_model_folder: Make, name: str, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    package = make_model_folder("m")
    with pytest.raises(InvalidInput, match="cannot be the name"):
        registry.register(package, by="", name=name)
    with pytest.raises(InvalidInput, match="cannot be the name"):
        registry.register(make_model_folder(name), by="")
    with pytest.raises(NotFound):
        registry.set_alias(name, "production", "1", "")
    with pytest.raises(NotFound):
        registry.history(name)
    assert not home.exists()
    assert [p for p in sorted(tmp_path.iterdir()) if not p.name.startswith("package-")] == before


@pytest.mark.parametrize("alias", ["latest", "1", "../a", "A"])
def test_aliases_that_cannot_be_are_refused(registry: ModelRegistry, make_model_folder: Make, alias: str) -> None:
    with pytest.raises(InvalidInput):
        registry.register(make_model_folder(), by="", alias=alias)
    for change in (lambda: registry.set_alias("m", alias, "1", ""), lambda: registry.rollback("m", alias, "")):
        with pytest.raises(InvalidInput):
            change()
    assert registry.history("m") == ()


def test_a_package_that_fails_its_own_test_is_not_registered(
    home: Path, shipped: Path, tmp_path: Path, make_model_folder: Make
) -> None:
    registry = open_registry(home, shipped, tmp_path, fails)
    with pytest.raises(DamagedData, match="other values"):
        registry.register(make_model_folder(), by="", alias="production")
    assert not home.exists()
    assert registry.get("m").ref == "m@1"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "versions": {"2": {}}}', b"\xff"])
def test_a_damaged_index_is_told_and_stays_as_it_is(
    registry: ModelRegistry, home: Path, make_model_folder: Make, text: bytes
) -> None:
    registry.register(make_model_folder("other"), by="")
    registry.register(make_model_folder("m"), by="")
    (home / "m" / "index.json").write_bytes(text)
    before = files(home)
    for use in (
        lambda: registry.get("m"),
        lambda: registry.set_alias("m", "production", "1", ""),
        lambda: registry.rollback("m", "production", ""),
        lambda: registry.register(make_model_folder("m"), by=""),
        lambda: registry.remove("m@2", ""),
    ):
        with pytest.raises(DamagedData, match=r"m/index\.json"):
            use()
    assert files(home) == before
    assert registry.get("other").ref == "other@1"
    found = registry.catalogue()
    assert [e.info.ref for e in found.entries] == ["m@1", "other@1"]
    assert [problem.what for problem in found.problems] == ["m"]


def test_one_damaged_package_does_not_hide_the_others(
    registry: ModelRegistry, home: Path, make_model_folder: Make
) -> None:
    registry.register(make_model_folder("m"), by="")
    registry.register(make_model_folder("m"), by="")
    (home / "m" / "2" / "model.json").write_text("{")
    document = json.loads((home / "m" / "3" / "model.json").read_text())
    (home / "m" / "3" / "model.json").write_text(json.dumps({**document, "digest": "sha256:other"}))
    found = registry.catalogue()
    assert [e.info.ref for e in found.entries] == ["m@1"]
    assert [problem.what for problem in found.problems] == ["m@2", "m@3"]
    assert "were registered" in found.problems[1].cause
    assert [info.ref for info in registry.list()] == ["m@1"]


def test_a_full_disk_leaves_nothing_and_the_next_registration_works(
    small_disk: Path, shipped: Path, tmp_path: Path, make_model_folder: Make
) -> None:
    registry = open_registry(small_disk / "home", shipped, tmp_path)
    registry.register(make_model_folder("m", weights=b"x" * 1000), by="")
    before = files(small_disk)
    with pytest.raises(LimitExceeded, match="no space left"):
        registry.register(make_model_folder("m", weights=bytes(2**20)), by="", alias="production")
    assert sorted(files(small_disk)) == sorted(before)
    assert registry.get("m").ref == "m@2"
    assert registry.aliases("m") == {"latest": "2"}
    assert registry.register(make_model_folder("m", weights=b"y" * 1000), by="").ref == "m@3"


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, shipped: Path, make_model_folder: Make) -> None:
    (tmp_path / "file").write_text("no folder")
    registry = open_registry(tmp_path / "file", shipped, tmp_path)
    with pytest.raises(NoyauError) as caught:
        registry.register(make_model_folder(), by="")
    assert "NOYAU_MODELS_HOME" in caught.value.remedy
    none = ModelRegistry([shipped])
    for use in (lambda: none.register(make_model_folder(), by=""), lambda: none.set_alias("m", "best", "1", "")):
        with pytest.raises(FailedPrecondition, match="no place for new models"):
            use()


def test_what_is_no_package_is_not_registered(registry: ModelRegistry, tmp_path: Path, make_model_folder: Make) -> None:
    with pytest.raises(NotFound):
        registry.register(tmp_path / "nothing", by="")
    linked = make_model_folder()
    (linked / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="link"):
        registry.register(linked, by="")
    swapped = make_model_folder()
    (swapped / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(DamagedData, match="not those"):
        registry.register(swapped, by="")
    assert [e.info.ref for e in registry.catalogue().entries] == ["m@1"]
    assert registry.catalogue().problems == ()


def test_the_same_registration_again_gives_the_version_that_is_there(
    registry: ModelRegistry, make_model_folder: Make
) -> None:
    package = make_model_folder()
    first = registry.register(package, by="", key="job-1")
    assert registry.register(package, by="", key="job-1", alias="best") == first
    assert registry.aliases("m")["best"] == first.version
    assert registry.register(package, by="", key="job-2").ref == "m@3"


class Killed(BaseException):
    """Stands for a process that ends without a chance to tidy up."""


@pytest.mark.parametrize("key", ["job-1", ""])
def test_a_registration_that_was_killed_is_done_again_and_swept_away(
    registry: ModelRegistry, home: Path, make_model_folder: Make, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        # Neither entered nor taken back.
        patch.setattr("noyau.models.registering._enter", die)
        patch.setattr(ModelHome, "clear", die)
        registry.register(make_model_folder(), by="", key=key)
    assert (home / "m" / "2").is_dir()
    assert [e.info.ref for e in registry.catalogue().entries] == ["m@1"]
    if not key:
        index = json.loads((home / "m" / "index.json").read_text())
        index["reserved"]["2"]["at"] = "2020-01-01T00:00:00Z"
        (home / "m" / "index.json").write_text(json.dumps(index))
    assert registry.register(make_model_folder(), by="", key=key).ref == "m@2"
    assert json.loads((home / "m" / "index.json").read_text())["reserved"] == {}


def test_a_package_that_somebody_put_into_the_home_by_hand_is_named(
    registry: ModelRegistry, home: Path, make_model_folder: Make
) -> None:
    (home / "m").mkdir(parents=True)
    make_model_folder("m", "5").rename(home / "m" / "5")
    found = registry.catalogue()
    assert [e.info.ref for e in found.entries] == ["m@1"]
    assert [p.what for p in found.problems] == ["m@5"]
    assert registry.register(make_model_folder("m", "5"), by="").ref == "m@6"


def test_a_damaged_index_is_made_again_from_the_packages(
    registry: ModelRegistry, home: Path, make_model_folder: Make
) -> None:
    for number in range(3):
        registry.register(make_model_folder("m", weights=bytes([number])), by="ada")
    before = registry.entry("m@2")
    (home / "m" / "3" / "weights.safetensors").write_bytes(b"damaged as well")
    with pytest.raises(FailedPrecondition, match="not damaged"):
        registry.repair("m", "bob")
    (home / "m" / "index.json").write_bytes(b"{")
    found, left_out = registry.repair("m", "bob")
    assert list(found) == ["2", "4"]
    assert [sentence.split(":")[0] for sentence in left_out] == ["m@3"]
    assert registry.entry("m@2") == before
    assert registry.aliases("m") == {"latest": "4"}
    assert [path.read_bytes() for path in (home / "m").glob("index.json.*.damaged")] == [b"{"]
    assert registry.register(make_model_folder("m"), by="").ref == "m@5"
    for name, error in (("../m", InvalidInput), ("none", NotFound)):
        with pytest.raises(error):
            registry.repair(name, "")
