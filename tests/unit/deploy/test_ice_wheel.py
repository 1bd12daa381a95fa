"""The build of Ice's wheel: what it changes in the source, where it keeps the result, what it says when it cannot."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "ice"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The scripts as modules; they are no package because they run before anything is installed."""
    monkeypatch.syspath_prepend(str(FOLDER))
    modules = {}
    for name in ("source_patches", "headers", "build_wheel"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        modules[name] = module
    return modules


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The lines of Ice's source that matter."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Slice.cpp").write_text("#include <compile.h>\n#include <eval.h>\n\nint x;\n")
    (tmp_path / "src" / "Util.cpp").write_text("PyFrameObject *f = PyThreadState_GET()->frame;\n")
    (tmp_path / "setup.py").write_text("extra_compile_args=[]\n\nsetup(\n    name='zeroc-ice')\n")
    return tmp_path


def test_the_source_is_changed_where_python_311_needs_it(scripts: dict[str, ModuleType], source: Path) -> None:
    scripts["source_patches"].patch_source(source, workers=2)
    assert (source / "src" / "Slice.cpp").read_text() == "#include <compile.h>\n\nint x;\n"
    assert (source / "src" / "Util.cpp").read_text() == "PyFrameObject *f = PyEval_GetFrame();\n"


def test_setup_compiles_several_files_at_once_and_every_file_once(
    scripts: dict[str, ModuleType], source: Path, tmp_path: Path
) -> None:
    scripts["source_patches"].patch_source(source, workers=3)
    text = (source / "setup.py").read_text()
    assert text.index("CCompiler.compile =") < text.index("\nsetup(\n")
    names: dict[str, object] = {"extra_compile_args": []}
    # What stands before the call of setup() is plain Python that can be run by itself.
    exec(text[: text.index("from distutils.ccompiler")], names)
    compiled = []

    class Compiler:
        def _setup_compile(self, *args: object) -> tuple[object, ...]:
            build = {f"{n}.o": (f"{n}.cpp", ".cpp") for n in range(7)}
            return [], list(build), [], [], build

        def _get_cc_args(self, *args: object) -> list[str]:
            return []

        def _compile(self, target: str, source: str, *args: object) -> None:
            compiled.append((target, source))

    made = names["_compile_at_once"](Compiler(), [])  # type: ignore[operator]
    assert sorted(compiled) == [(f"{n}.o", f"{n}.cpp") for n in range(7)]
    assert made == [f"{n}.o" for n in range(7)]


@pytest.mark.parametrize("file", ["src/Slice.cpp", "src/Util.cpp", "setup.py"])
def test_another_source_is_refused(scripts: dict[str, ModuleType], source: Path, file: str) -> None:
    (source / file).write_text("something else\n")
    with pytest.raises(scripts["source_patches"].PatchError, match=Path(file).name):
        scripts["source_patches"].patch_source(source)


def test_a_missing_file_is_named(scripts: dict[str, ModuleType], source: Path) -> None:
    (source / "src" / "Util.cpp").unlink()
    with pytest.raises(scripts["source_patches"].PatchError, match=r"Util\.cpp"):
        scripts["source_patches"].patch_source(source)


def test_the_wheel_is_kept_in_the_cache_of_the_user(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = scripts["build_wheel"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "noyau" / "wheels" / f"ice-3.6.5-patch{scripts['source_patches'].PATCH_LEVEL}"
    assert build.cache_folder() == folder
    builds = []

    def fake(place: Path, workers: int) -> Path:
        builds.append(place)
        made = place / "made.whl"
        made.write_bytes(b"wheel")
        return made

    monkeypatch.setattr(build, "_build", fake)
    first, second = build.ready_wheel(2), build.ready_wheel(2)
    assert first == second == folder / build.wheel_name()
    assert first.read_bytes() == b"wheel"
    assert len(builds) == 1
    assert sorted(p.name for p in folder.iterdir()) == sorted(["lock", first.name])


def test_a_build_that_fails_leaves_nothing_and_says_why(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = scripts["build_wheel"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fails(place: Path, workers: int) -> Path:
        (place / "half").write_bytes(b"x")
        raise scripts["headers"].MissingTool("no header bzlib.h (Debian, Ubuntu: apt-get install libbz2-dev)")

    monkeypatch.setattr(build, "_build", fails)
    monkeypatch.setattr(sys, "argv", ["build_wheel.py"])
    # The script catches the class that it imported, which is this module's.
    monkeypatch.setattr(build, "MissingTool", scripts["headers"].MissingTool)
    assert build.main() == 1
    assert "libbz2-dev" in capsys.readouterr().err
    assert [p.name for p in build.cache_folder().iterdir()] == ["lock"]


def test_absent_headers_are_named_with_their_packages(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = scripts["headers"]
    monkeypatch.setattr(headers, "missing_headers", lambda environment: ["openssl/ssl.h"])
    monkeypatch.setattr(headers.shutil, "which", lambda name: None)
    with pytest.raises(headers.MissingTool, match=r"openssl/ssl\.h .*libssl-dev"):
        headers.environment_with_headers(tmp_path)


def test_fetched_headers_are_found_by_compiler_and_linker(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    environment = scripts["headers"].with_paths({"CPATH": "old", "HOME": "h"}, tmp_path)
    assert environment["CPATH"].split(":")[0] == str(tmp_path / "usr" / "include")
    assert environment["CPATH"].endswith(":old")
    assert str(tmp_path / "usr" / "lib") in environment["LIBRARY_PATH"]
    assert environment["HOME"] == "h"


def test_a_header_that_is_nowhere_is_missing(scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    headers = scripts["headers"]
    monkeypatch.setattr(headers, "PACKAGES", {"no/such/header.h": ("x-dev",), "vector": ("y-dev",)})
    monkeypatch.setattr(headers, "PYTHON_HEADER", "cstdio")
    assert headers.missing_headers({"PATH": "/usr/bin:/bin"}) == ["no/such/header.h"]
