"""The base image: pulled where a registry can be reached, otherwise made from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine import GIB, ImageError, docker, has_image, require_space, run

BASE = "debian:bookworm-slim"
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://security.debian.org/debian-security"
# What the Dockerfile would install: with it in the base, the image is built without a network.
PACKAGES = ("ca-certificates", "python3.11")
_PULL_SECONDS = 300.0
# As in Debian's own slim image: documentation and translations stay out, licences stay in.
_SLIM = """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
"""
_FINISH = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y dist-upgrade
apt-get -qq -y install --no-install-recommends {packages}
apt-get clean
find /usr/share/doc -depth -type f ! -name copyright -delete
find /usr/share/doc -depth -type d -empty -delete
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/man/* /usr/share/info/* /usr/share/locale/*
mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial
"""


def ensure_base() -> None:
    """Leaves the engine with an image named `BASE`.

    Raises:
        ImageError: it can neither be pulled nor made here.
    """
    if has_image(BASE) or _pulled():
        return
    sys.stderr.write(f"{BASE} cannot be pulled; it is made with debootstrap (some minutes)\n")
    made(SUITE)


def _pulled() -> bool:
    try:
        done = subprocess.run([docker(), "pull", "--quiet", BASE], capture_output=True, timeout=_PULL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def made(suite: str) -> None:
    """Makes the base image with debootstrap.

    Raises:
        ImageError: debootstrap is absent, or not run as root, or fails.
    """
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise ImageError(
            f"{BASE} cannot be pulled and debootstrap, which would make it, is not here. "
            f"Install it (apt-get install debootstrap), or load the image: docker load < {SUITE}.tar"
        )
    if os.geteuid() != 0:
        raise ImageError(
            f"{BASE} cannot be pulled, and only root can make it. Run once as root: make image-base, "
            f"or load the image: docker load < {SUITE}.tar"
        )
    require_space(2 * GIB, Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="noyau-base-") as place:
        root = Path(place) / "root"
        run(f"make {BASE}", [program, "--variant=minbase", suite, str(root), MIRROR])
        _finish(root, suite)
        run(f"import {BASE}", _import(), lambda stream: _tar(root, stream.fileno()))


def _finish(root: Path, suite: str) -> None:
    """Brings security updates and the packages, and takes out what a container has no use for."""
    lines = [f"deb {MIRROR} {name} main" for name in (suite, f"{suite}-updates")]
    lines.append(f"deb {SECURITY} {suite}-security main")
    (root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_SLIM)
    # No service starts while packages are installed.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    script = _FINISH.format(packages=" ".join(PACKAGES))
    run("finish the base image", ["chroot", str(root), "/bin/sh", "-c", script])
    # The engine gives every container its own.
    for name in ("etc/resolv.conf", "etc/hostname"):
        (root / name).unlink(missing_ok=True)


def _import() -> list[str]:
    labels = ["--change", 'CMD ["bash"]', "--change", "LABEL org.noyau.base=debootstrap"]
    return [docker(), "import", *labels, "-", BASE]


def _tar(root: Path, stream: int) -> None:
    command = ["tar", "--numeric-owner", "--one-file-system", "-C", str(root), "-c", "."]
    done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise ImageError(done.stderr.strip() or "tar failed")


def main() -> int:
    """Makes sure of the base image alone."""
    from engine import require_engine

    try:
        require_engine()
        ensure_base()
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
