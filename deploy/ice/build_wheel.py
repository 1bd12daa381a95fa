"""Builds the wheel of Ice 3.6.5 for this Python and keeps it in the user's cache; `make ice` runs it.

omero-py needs zeroc-ice 3.6, of which PyPI has the source only, and that source does not build on Python 3.11 as it is.
Run again it finds the wheel and says where it is. Two runs at once wait for each other; a run that is stopped leaves
nothing behind that another would take for a wheel.

    python deploy/ice/build_wheel.py [--workers 2] [--install]
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headers import MissingTool, compiler, environment_with_headers
from source_patches import PATCH_LEVEL, PatchError, patch_source

VERSION = "3.6.5"
SHA256 = "4235ffeb605bcd4e22e716577f7d61e4aa1bc82f65276bb542701a81b7933356"
PROOF = "import Ice; Ice.initialize(['--Ice.Plugin.IceSSL=IceSSL:createIceSSL']); assert Ice.intVersion() == 30605"


class BuildError(Exception):
    """A step of the build failed; the text has the end of what it said."""


def cache_folder() -> Path:
    """Where wheels are kept: outside the checkout, so that a fresh clone finds them."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "noyau" / "wheels" / f"ice-{VERSION}-patch{PATCH_LEVEL}"


def wheel_name() -> str:
    """Name that the wheel has for the Python that runs this."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"zeroc_ice-{VERSION}-{python}-{python}-{platform}.whl"


def ready_wheel(workers: int) -> Path:
    """Path of the wheel, built when it is not there yet.

    Raises:
        BuildError, MissingTool, PatchError: It cannot be built here.
        OSError: The cache cannot be written.
    """
    cache = cache_folder()
    wheel = cache / wheel_name()
    if wheel.is_file():
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    with _only_one(cache / "lock"):
        if not wheel.is_file():
            with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as place:
                _build(Path(place), workers).replace(wheel)
    return wheel


def _build(place: Path, workers: int) -> Path:
    """Builds in the empty folder `place` and returns the wheel that imports."""
    compiler()
    environment = environment_with_headers(place / "headers")
    source = _download(place)
    patch_source(source, workers=workers)
    built = place / "built"
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", str(built), str(source)]
    _step("compile Ice", [sys.executable, "-m", "pip", *command], environment)
    wheels = list(built.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildError(f"expected one wheel, found {[w.name for w in wheels]}")
    proof = place / "proof"
    _step("unpack the wheel", [sys.executable, "-m", "zipfile", "-e", str(wheels[0]), str(proof)], environment)
    _step("import Ice", [sys.executable, "-c", PROOF], {**environment, "PYTHONPATH": str(proof)})
    return wheels[0]


def _download(place: Path) -> Path:
    """The unpacked source of Ice; pip checks that it is the archive that the patches are for."""
    wanted = place / "wanted.txt"
    wanted.write_text(f"zeroc-ice=={VERSION} --hash=sha256:{SHA256}\n")
    command = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    _step(
        "download Ice", [sys.executable, "-m", "pip", *command, "-d", str(place), "-r", str(wanted)], dict(os.environ)
    )
    with tarfile.open(next(place.glob("zeroc-ice-*.tar.gz"))) as archive:
        archive.extractall(place, filter="data")
    return place / f"zeroc-ice-{VERSION}"


def _step(what: str, command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise BuildError(
            f"could not {what} (exit code {done.returncode}):\n" + "\n".join(done.stdout.splitlines()[-15:])
        )


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Waits until no other process builds. The lock goes with the process, however it ends."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Prints the path of the wheel; the reason on stderr and exit code 1 when there can be none."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="compilers at once")
    options.add_argument("--install", action="store_true", help="install the wheel into this Python too")
    arguments = options.parse_args()
    try:
        wheel = ready_wheel(arguments.workers)
        if arguments.install:
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
            _step("install the wheel", install, dict(os.environ))
    except (BuildError, MissingTool, PatchError, OSError) as error:
        sys.stderr.write(f"Ice {VERSION} is not available: {error}\n")
        return 1
    sys.stdout.write(f"{wheel}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
