"""Fills the folder of wheels that the image is made of, so that the image itself is built without a network.

    python deploy/image/wheelhouse.py [--variant cpu|cuda]

Versions are those of requirements.lock. Run again with the same lock files it does nothing; after a change it fetches
what is new. A run that is stopped leaves the previous wheelhouse as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from engine import ImageError, explain

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ROOT / "build" / "wheelhouse"
LOCKS = ("requirements.lock", "requirements-omero.lock")
VARIANTS = ("cpu", "cuda")
# Everything that the service can use is in the image. These are for developers.
LEFT_OUT = ("bioimageio", "test")
TOOLS = ("pip", "setuptools>=77")
CPU_TORCH = "https://download.pytorch.org/whl/cpu"


def extras() -> list[str]:
    """Extras of the package that go into the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return sorted(set(project["optional-dependencies"]) - set(LEFT_OUT))


def wanted() -> list[str]:
    """Requirements of the package with its extras, without the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = list(project["dependencies"])
    for extra in extras():
        found += project["optional-dependencies"][extra]
    return sorted(set(found))


def fingerprint(variant: str, requirements: list[str]) -> str:
    """Changes when the wheels must be others."""
    digest = hashlib.sha256("\n".join([variant, *TOOLS, *requirements]).encode())
    for name in LOCKS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def ready(variant: str) -> Path:
    """The folder of wheels of a variant, filled when it is not there or not up to date.

    Raises:
        ImageError: a wheel cannot be had.
    """
    return filled(variant, wanted(), torch=_torch(variant))


def filled(name: str, requirements: list[str], torch: str | None = None) -> Path:
    """A folder `name` with the wheels of some requirements and of what they need, and with the tools in `build/`.

    Args:
        name: of the folder.
        requirements: as in requirements.lock, which gives the versions.
        torch: the very torch that is wanted, None where it is not needed.

    Raises:
        ImageError: a wheel cannot be had.
    """
    house = HOUSES / name
    mark = fingerprint(name, requirements)
    # Beside the wheels and not among them: the same wheels are the same layer of the image.
    stamp = HOUSES / f"{name}.complete"
    if house.is_dir() and stamp.is_file() and stamp.read_text() == mark:
        return house
    HOUSES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOUSES, prefix=f".{name}-") as place:
        new = Path(place) / "new"
        _fill(new, house, requirements, torch)
        stamp.unlink(missing_ok=True)
        if house.exists():
            house.rename(Path(place) / "old")
        new.rename(house)
    stamp.write_text(mark)
    return house


def _fill(new: Path, old: Path, requirements: list[str], torch: str | None) -> None:
    near = [f"--find-links={folder}" for folder in (old, old / "build") if folder.is_dir()]
    if torch:
        if "+cpu" in torch:
            _download(new, ["--no-deps", torch], near, ["--index-url", CPU_TORCH])
            near.append(f"--find-links={new}")
        requirements = [*requirements, torch]
    if any(one.startswith("zeroc-ice") for one in requirements):
        near.append(f"--find-links={_ice()}")
    pins = [f"--constraint={ROOT / name}" for name in LOCKS]
    _download(new, [*pins, *requirements], near, [])
    _download(new / "build", [*TOOLS], near, [])


def _download(into: Path, what: list[str], near: list[str], index: list[str]) -> None:
    """Downloads wheels: without a network if all are near, else from the index."""
    base = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--dest={into}", *near]
    tries = [["--no-index"], index] if near else [index]
    for options in tries:
        done = subprocess.run([*base, *options, *what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            return
    lines = [line for line in done.stdout.splitlines() if not line.startswith("WARNING: Location")]
    raise ImageError(explain("fetch the wheels of the image", "\n".join(lines[-8:])))


def _ice() -> Path:
    """Folder with the wheel of Ice, built if need be (5 minutes)."""
    script = ROOT / "deploy" / "ice" / "build_wheel.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    if done.returncode != 0:
        raise ImageError(f"The image needs Ice for OMERO. {done.stderr.strip()}")
    return Path(done.stdout.strip().splitlines()[-1]).parent


def _torch(variant: str) -> str:
    found = re.search(r"^torch==([0-9.]+)", (ROOT / LOCKS[0]).read_text(), flags=re.MULTILINE)
    if found is None:
        raise ImageError(f"{LOCKS[0]} names no version of torch. Write it again: make lock.")
    return f"torch=={found.group(1)}" + ("+cpu" if variant == "cpu" else "")


def main() -> int:
    """Prints where the wheels are; the reason on standard error and exit code 1 where they cannot be had."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--variant", choices=VARIANTS, default="cpu")
    arguments = options.parse_args()
    try:
        house = ready(arguments.variant)
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    size = sum(file.stat().st_size for file in house.rglob("*.whl"))
    sys.stdout.write(f"{house} ({size / 2**20:.0f} MiB)\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
