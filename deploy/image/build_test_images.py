"""Builds the images that the container tests need beside Noyau's own; `make test-containers` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import base
import context
import wheelhouse
from engine import ImageError, docker, has_image, image_label, require_engine, run

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "tests/containers/images"
LABEL = "org.noyau.source"
NAMES = ("postgres", "s3")
WHEELS = {"s3": ["moto[s3,server]>=5"]}


def tag(name: str) -> str:
    """Name of a test image."""
    return f"noyau-test-{name}:1"


def source(name: str) -> str:
    """Names everything that a test image is made of."""
    return context.digest(ROOT, (f"{FOLDER}/{name}", *wheelhouse.LOCKS))


def build(name: str) -> str:
    """Builds one test image, unless it is there and nothing it is made of has changed."""
    image, recipe = tag(name), f"{FOLDER}/{name}"
    if has_image(image) and image_label(image, LABEL) == source(name):
        return image
    places = [recipe]
    if name in WHEELS:
        places.append(wheelhouse.filled(name, WHEELS[name]).relative_to(ROOT).as_posix())
    label = f"{LABEL}={source(name)}"
    command = [docker(), "build", "--file", f"{recipe}/Dockerfile", "--label", label, "--tag", image, "-"]
    run(f"build {image}", command, lambda stream: context.send(ROOT, places, stream))
    return image


def main() -> int:
    """Prints their names; the reason on standard error and exit code 1 where one cannot be built."""
    try:
        require_engine()
        base.ensure_base()
        names = [build(name) for name in NAMES]
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(" ".join(names) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
