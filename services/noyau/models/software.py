"""Versions of the software that a model was made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

PACKAGES = ("noyau", "torch", "monai", "numpy", "safetensors")


def software() -> dict[str, str]:
    """Version by name, of Python and of the packages that a network is made of."""
    found = {"python": python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name).partition("+")[0]  # the builds for a processor bear a local name
        except PackageNotFoundError:
            continue
    return found
