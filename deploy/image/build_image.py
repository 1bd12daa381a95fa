"""Builds the container image of Noyau; `make image` runs it.

    python deploy/image/build_image.py [--variant cpu|cuda]

Makes the base image where no registry can be reached, fills the wheelhouse, builds, and writes the list of contents
beside the wheelhouse (build/image/). What has not changed is not done again.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tomllib
from pathlib import Path

import base
import context
import wheelhouse
from engine import GIB, ImageError, docker, engine_folder, require_engine, require_space, run

ROOT = Path(__file__).resolve().parents[2]
OWN = ("pyproject.toml", "README.md", "services")
RECIPE = ("deploy/Dockerfile", "deploy/image/sbom.py")
SOURCE_LABEL = "org.noyau.source"
SBOM = "/usr/share/doc/noyau/sbom.cdx.json"
# Wheels, what they unpack to, and the copy of it in the last stage.
_NEEDED = {"cpu": 8 * GIB, "cuda": 32 * GIB}


def version() -> str:
    """Of the package, which is the image's too."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def tag(variant: str) -> str:
    """Name of the image, as the manifests have it."""
    return f"noyau:{version()}" + ("" if variant == "cpu" else f"-{variant}")


def source() -> str:
    """Names everything of ours that goes into the image."""
    return context.digest(ROOT, (*OWN, *RECIPE, *wheelhouse.LOCKS))


def build(variant: str) -> str:
    """Builds the image of a variant and returns its name.

    Raises:
        ImageError: it cannot be built here; the text says why, and what to do.
    """
    require_engine()
    require_space(_NEEDED[variant], engine_folder())
    base.ensure_base()
    house = wheelhouse.ready(variant)
    name = tag(variant)
    revision, created = _commit()
    given = {
        "VARIANT": variant,
        "VERSION": version(),
        "REVISION": revision,
        "CREATED": created,
        "SOURCE": source(),
    }
    arguments = [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
    places = (*OWN, *RECIPE, house.relative_to(ROOT).as_posix())
    run(
        f"build {name}",
        [docker(), "build", "--file", "deploy/Dockerfile", *arguments, "--tag", name, "-"],
        lambda stream: context.send(ROOT, places, stream),
    )
    return name


def write_sbom(name: str) -> Path:
    """Copies the list of contents out of an image."""
    command = [docker(), "run", "--rm", "--network=none", "--entrypoint=cat", name, SBOM]
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise ImageError(f"{name} has no list of contents: {done.stderr.decode(errors='replace').strip()}")
    path = ROOT / "build" / "image" / f"{name.replace(':', '-')}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(done.stdout)
    part.replace(path)
    return path


def size(name: str) -> int:
    """Bytes of an image with all its layers."""
    command = [docker(), "image", "inspect", "--format", "{{.Size}}", name]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _commit() -> tuple[str, str]:
    """Revision and time of the source: of the last commit where there is one, so that the same source is the same."""
    done = subprocess.run(["git", "log", "-1", "--format=%H %ct"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        return "unknown", "1970-01-01T00:00:00Z"
    revision, seconds = done.stdout.split()
    changed = subprocess.run(["git", "status", "--porcelain", "--", *OWN, *RECIPE], cwd=ROOT, capture_output=True)
    time = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return revision + ("-changed" if changed.stdout else ""), time.strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    """Prints name, size and list of contents; the reason on standard error and exit code 1 where it cannot be built."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--variant", choices=wheelhouse.VARIANTS, default="cpu")
    arguments = options.parse_args()
    try:
        name = build(arguments.variant)
        listed = write_sbom(name)
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{name}: {size(name) / 2**20:.0f} MiB; contents: {listed}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
