"""Finds out whether the C++ headers that Ice needs are there, and gets them without changing the machine.

On Debian and Ubuntu the packages are downloaded and unpacked into a folder of the build (`apt-get download` needs no
privileges), so nothing is installed. Elsewhere the message names what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Header -> the Debian packages that have it and the library to link with.
PACKAGES: dict[str, tuple[str, ...]] = {
    "openssl/ssl.h": ("libssl-dev", "libssl3"),
    "bzlib.h": ("libbz2-dev", "libbz2-1.0"),
}
PYTHON_HEADER = "Python.h"


class MissingTool(Exception):
    """Something that is needed to build Ice is not on this machine; the text says what and how to get it."""


def compiler() -> str:
    """Name of the C++ compiler.

    Raises:
        MissingTool: There is none.
    """
    name = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(name) is None:
        raise MissingTool(f"no C++ compiler: {name} was not found (Debian, Ubuntu: apt-get install g++)")
    return name


def missing_headers(environment: Mapping[str, str]) -> list[str]:
    """The headers that the compiler does not find with the paths of `environment`."""
    return [h for h in (PYTHON_HEADER, *PACKAGES) if not _compiles(h, environment)]


def environment_with_headers(folder: Path) -> dict[str, str]:
    """The environment to build in; absent headers are fetched into `folder`.

    Raises:
        MissingTool: They are absent and cannot be fetched.
    """
    environment = dict(os.environ)
    missing = missing_headers(environment)
    if PYTHON_HEADER in missing:
        raise MissingTool("no header Python.h (Debian, Ubuntu: apt-get install python3.11-dev)")
    if not missing:
        return environment
    names = [p for header in missing for p in PACKAGES[header]]
    _fetch(names, folder)
    environment = with_paths(environment, folder)
    if still := missing_headers(environment):
        raise MissingTool(_advice(still))
    return environment


def with_paths(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """`environment` in which the compiler and linker also look into packages unpacked in `folder`."""
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    include = folder / "usr" / "include"
    libraries = [folder / "usr" / "lib" / triplet, folder / "lib" / triplet]
    extended = dict(environment)
    for name, places in (("CPATH", [include, include / triplet]), ("LIBRARY_PATH", libraries)):
        old = [environment[name]] if environment.get(name) else []
        extended[name] = os.pathsep.join([*map(str, places), *old])
    return extended


def _fetch(names: Sequence[str], folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise MissingTool(_advice([h for h, p in PACKAGES.items() if set(p) & set(names)]))
    with tempfile.TemporaryDirectory() as place:
        command = ["apt-get", "-qq", "download", *names]
        if _run(command, Path(place)) and (os.geteuid() != 0 or _run(["apt-get", "-qq", "update"], Path(place))):
            raise MissingTool(_advice([h for h, p in PACKAGES.items() if set(p) & set(names)]))
        packages = sorted(Path(place).glob("*.deb"))
        if not packages and _run(command, Path(place)):
            raise MissingTool(_advice([h for h, p in PACKAGES.items() if set(p) & set(names)]))
        for package in sorted(Path(place).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def _run(command: Sequence[str], folder: Path) -> int:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def _advice(headers: Sequence[str]) -> str:
    names = " ".join(PACKAGES[h][0] for h in headers if h in PACKAGES)
    return f"no header {', '.join(headers)} (Debian, Ubuntu: apt-get install {names})"


def _compiles(header: str, environment: Mapping[str, str]) -> bool:
    command = [compiler(), "-x", "c++", "-fsyntax-only", f"-I{sysconfig.get_paths()['include']}", "-"]
    text = f"#include <{header}>\n"
    return subprocess.run(command, input=text, text=True, env=dict(environment), capture_output=True).returncode == 0
