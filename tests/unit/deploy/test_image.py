"""The build of the container image: what goes in, what is done again, and what is said where it cannot be built."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from noyau.cli import build_app
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "image"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
NAMES = ("engine", "context", "wheelhouse", "base", "sbom", "build_image", "build_test_images")
Scripts = dict[str, ModuleType]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Scripts:
    """The scripts as modules; they are no package because they run before anything is installed."""
    modules = {}
    for name in NAMES:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        modules[name] = module
    return modules


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program named docker, a shell script with the given lines, on a path that has no other."""

    def install(lines: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "docker"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return program

    return install


def refused(script: ModuleType, error: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def test_without_docker_it_says_what_to_install(scripts: Scripts, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    for name in ("build_image", "build_test_images", "base"):
        done = subprocess.run(
            [sys.executable, str(FOLDER / f"{name}.py")], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 1, name
        assert "docker.io" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "systemctl start docker"),
        ("permission denied while trying to connect to the Docker daemon socket", "group docker"),
    ],
)
def test_an_engine_that_does_not_answer(
    scripts: Scripts, fake_docker: Callable[[str], Path], said: str, remedy: str
) -> None:
    fake_docker(f"echo '{said}' >&2; exit 1")
    engine = scripts["engine"]
    assert remedy in refused(engine, engine.ImageError, engine.require_engine)


def test_a_disk_that_is_too_small_is_told_before_and_during(
    scripts: Scripts, tmp_path: Path, fake_docker: Callable[[str], Path]
) -> None:
    engine = scripts["engine"]
    told = refused(engine, engine.ImageError, lambda: engine.require_space(2**60, tmp_path))
    assert "docker system prune" in told
    engine.require_space(2**60, tmp_path / "on another machine")
    program = fake_docker("echo 'write /layer: no space left on device'; exit 1")
    told = refused(engine, engine.ImageError, lambda: engine.run("build it", [str(program)]))
    assert "disk is full" in told
    assert "docker system prune" in told


def test_a_step_that_fails_shows_its_last_words(scripts: Scripts, fake_docker: Callable[[str], Path]) -> None:
    engine = scripts["engine"]
    # It reads nothing of a large input: that must neither hang nor hide why it ended.
    program = fake_docker("echo 'unknown instruction: FORM'; exit 7")
    told = refused(
        engine, engine.ImageError, lambda: engine.run("build it", [str(program)], lambda s: s.write(b"x" * 2**22))
    )
    assert told == "Could not build it:\nunknown instruction: FORM"


def test_an_input_that_cannot_be_made_fails_the_step(scripts: Scripts, fake_docker: Callable[[str], Path]) -> None:
    engine = scripts["engine"]

    def feed(stream: object) -> None:
        raise OSError("a file went away")

    program = fake_docker("cat > /dev/null")
    told = refused(engine, engine.ImageError, lambda: engine.run("build it", [str(program)], feed))
    assert "a file went away" in told


def test_without_debootstrap_or_root_the_ways_out_are_named(
    scripts: Scripts, fake_docker: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, error = scripts["base"], scripts["engine"].ImageError
    program = fake_docker("exit 1")
    found = {"docker": str(program)}
    monkeypatch.setattr(base.shutil, "which", lambda name, path=None: found.get(name))
    assert "apt-get install debootstrap" in refused(base, error, base.ensure_base)
    found["debootstrap"] = "/usr/sbin/debootstrap"
    monkeypatch.setattr(base.os, "geteuid", lambda: 1000)
    assert "as root" in refused(base, error, base.ensure_base)


def test_a_base_that_is_there_is_taken(scripts: Scripts, fake_docker: Callable[[str], Path]) -> None:
    fake_docker('[ "$1 $2" = "image inspect" ]')
    scripts["base"].ensure_base()


def test_every_feature_is_in_the_image(scripts: Scripts) -> None:
    wheelhouse = scripts["wheelhouse"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(wheelhouse.extras()) | set(wheelhouse.LEFT_OUT) == set(project["optional-dependencies"])
    wanted = wheelhouse.wanted()
    assert set(project["dependencies"]) <= set(wanted)
    assert {"omero", "openvino"} <= set(wheelhouse.extras())
    assert not [one for one in wanted if one.startswith(("pytest", "moto"))]


def test_torch_is_the_one_of_the_lock(scripts: Scripts) -> None:
    wheelhouse = scripts["wheelhouse"]
    locked = re.search(r"^torch==(\S+)$", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert locked is not None
    assert wheelhouse._torch("cpu") == f"torch=={locked.group(1)}+cpu"
    assert wheelhouse._torch("cuda") == f"torch=={locked.group(1)}"


def test_wheels_are_fetched_once_and_again_after_a_change(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse = scripts["wheelhouse"]
    monkeypatch.setattr(wheelhouse, "HOUSES", tmp_path)
    calls = []

    def download(into: Path, what: list[str], near: list[str], index: list[str]) -> None:
        calls.append((what, near))
        into.mkdir(parents=True, exist_ok=True)
        (into / f"wheel-{len(calls)}.whl").write_bytes(b"")

    monkeypatch.setattr(wheelhouse, "_download", download)
    house = wheelhouse.filled("s3", ["moto"])
    first = sorted(path.name for path in house.rglob("*.whl"))
    assert wheelhouse.filled("s3", ["moto"]) == house
    assert len(calls) == 2
    wheelhouse.filled("s3", ["moto", "boto3"])
    assert len(calls) == 4
    assert f"--find-links={house}" in calls[2][1], "what is there is not fetched again"
    assert sorted(path.name for path in house.rglob("*.whl")) != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s3", "s3.complete"], "nothing half-written is left"


def test_wheels_that_cannot_be_had_leave_the_old_ones(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse, error = scripts["wheelhouse"], scripts["engine"].ImageError
    monkeypatch.setattr(wheelhouse, "HOUSES", tmp_path)
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "old.whl").write_bytes(b"")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    told = refused(wheelhouse, error, lambda: wheelhouse.filled("s3", ["noyau-no-such-distribution"]))
    assert "noyau-no-such-distribution" in told
    assert [path.name for path in (tmp_path / "s3").iterdir()] == ["old.whl"]
    assert [path.name for path in tmp_path.iterdir()] == ["s3"]


def test_the_context_is_the_same_whoever_sends_it(scripts: Scripts, tmp_path: Path) -> None:
    context = scripts["context"]
    for name, mode in (("one", 0o600), ("two", 0o664)):
        folder = tmp_path / name / "services"
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__pycache__" / "a.pyc").write_bytes(os.urandom(8))
        (folder / "a.py").write_text("x = 1\n")
        (folder / "a.py").chmod(mode)
        os.utime(folder / "a.py", (mode, mode))
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "run").chmod(0o755)
    sent = []
    for name in ("one", "two"):
        stream = io.BytesIO()
        context.send(tmp_path / name, ["services"], stream)
        sent.append(stream.getvalue())
    assert hashlib.sha256(sent[0]).digest() == hashlib.sha256(sent[1]).digest()
    with tarfile.open(fileobj=io.BytesIO(sent[0])) as archive:
        assert [(m.name, m.mode, m.uid) for m in archive] == [
            ("services/a.py", 0o644, 0),
            ("services/run", 0o755, 0),
        ]
    before = context.digest(tmp_path / "one", ["services"])
    assert before == context.digest(tmp_path / "two", ["services"])
    (tmp_path / "two" / "services" / "a.py").write_text("x = 2\n")
    assert before != context.digest(tmp_path / "two", ["services"])


def test_everything_that_the_recipe_copies_is_sent(scripts: Scripts) -> None:
    build = scripts["build_image"]
    sent = [*build.OWN, *build.RECIPE, "build/wheelhouse"]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)
    for place in (word for line in copied for word in line.split()):
        assert any(place.startswith(one) for one in sent), place
        assert place.startswith("build/") or (ROOT / place).exists(), place


def test_the_recipe_names_the_version_the_command_and_the_check(scripts: Scripts) -> None:
    assert f"ARG VERSION={scripts['build_image'].version()}\n" in DOCKERFILE
    assert scripts["build_image"].tag("cpu") == f"noyau:{scripts['build_image'].version()}"
    assert scripts["build_image"].tag("cuda").endswith("-cuda")
    check = json.loads(re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)[0])
    (entry,) = json.loads(re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)[0])
    command = json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)[0])
    assert (check[0], entry) == ("noyau", "noyau")
    for words in (check[1:], command):
        assert CliRunner().invoke(build_app(), [*words, "--help"]).exit_code == 0


def test_the_recipe_ends_as_an_ordinary_user_and_names_settings_that_exist(
    settings_of: Callable[[dict[str, str]], object],
) -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert users[-1] == "10001:10001"
    settings_of(dict(re.findall(r"(NOYAU_[A-Z_]+)=(\S+)", DOCKERFILE)))


def test_nothing_in_the_recipe_needs_buildkit() -> None:
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE


def test_the_list_of_contents_names_every_distribution_once(scripts: Scripts) -> None:
    listed = scripts["sbom"].document("noyau", "1", "2026-01-01T00:00:00Z")
    again = scripts["sbom"].document("noyau", "1", "2026-01-01T00:00:00Z")
    assert listed == again
    purls = [one["purl"] for one in listed["components"]]
    assert len(purls) == len(set(purls))
    assert any(purl.startswith("pkg:pypi/numpy@") for purl in purls)
    if shutil.which("dpkg-query"):
        assert any(purl.startswith("pkg:deb/debian/") for purl in purls)
    licences = {one["name"]: one.get("licenses") for one in listed["components"]}
    assert licences["numpy"]
    json.dumps(listed)
