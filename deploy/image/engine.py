"""The Docker engine as the build scripts use it: through its command line, with errors that say what to do."""

from __future__ import annotations

import collections
import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

GIB = 2**30
_LAST_LINES = 15
# By when an engine that works has answered, however busy the machine is.
_PATIENCE_SECONDS = 60.0


class ImageError(Exception):
    """An image cannot be made here; the text names the cause and the remedy."""


def docker() -> str:
    """Path of docker's command line.

    Raises:
        ImageError: there is none.
    """
    found = shutil.which("docker")
    if found is None:
        raise ImageError(
            "docker is not on this machine's path. Install Docker Engine (Debian: apt-get install docker.io)."
        )
    return found


def require_engine() -> str:
    """Path of the command line of an engine that answers.

    Raises:
        ImageError: there is no docker, or no engine answers, or it may not be used.
    """
    program = docker()
    try:
        done = subprocess.run(
            [program, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"The Docker engine gave no answer in {_PATIENCE_SECONDS:.0f} s. Restart it.") from error
    if done.returncode == 0:
        return program
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if "permission denied" in said.lower():
        raise ImageError(f"You may not use the Docker engine ({said}). Join the group docker, or become root.")
    raise ImageError(f"No Docker engine answers ({said}). Start it: systemctl start docker, or as root: dockerd.")


def has_image(name: str) -> bool:
    """Whether the engine has the image."""
    return subprocess.run([docker(), "image", "inspect", name], capture_output=True).returncode == 0


def image_label(name: str, label: str) -> str:
    """A label of an image; empty where the image or the label is absent."""
    wanted = f'{{{{ index .Config.Labels "{label}" }}}}'
    done = subprocess.run([docker(), "image", "inspect", "--format", wanted, name], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def require_space(needed: int, folder: Path) -> None:
    """Refuses to begin what would fill a disk.

    Args:
        needed: bytes that must be free.
        folder: a folder on that disk; what is not there (an engine on another machine) is not checked.

    Raises:
        ImageError: less is free.
    """
    if not folder.exists():
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ImageError(
            f"{folder} has {free / GIB:.1f} GiB left, and {needed / GIB:.0f} GiB are needed. "
            "Make room: docker system prune, and rm -rf build."
        )


def engine_folder() -> Path:
    """Where the engine keeps images; it need not be on this machine."""
    done = subprocess.run([docker(), "info", "--format", "{{.DockerRootDir}}"], capture_output=True, text=True)
    return Path(done.stdout.strip() or "/var/lib/docker")


def run(what: str, command: list[str], feed: Callable[[IO[bytes]], None] | None = None) -> None:
    """Runs a step; its output goes to standard error as it comes.

    Args:
        what: words for an error, after "could not".
        command: program and arguments.
        feed: writes the step's standard input; called in a thread.

    Raises:
        ImageError: it failed; with the end of what it said.
    """
    last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    stdin = subprocess.PIPE if feed else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        feeder = _Feeder(process.stdin, feed) if feed and process.stdin else None
        if feeder:
            feeder.start()
        for line in process.stdout or ():
            text = line.decode(errors="replace").rstrip()
            last.append(text)
            sys.stderr.write(text + "\n")
        if feeder:
            feeder.join()
    if process.returncode != 0:
        raise ImageError(explain(what, "\n".join(last)))
    if feeder and feeder.failure:
        raise ImageError(explain(what, str(feeder.failure)))


def explain(what: str, said: str) -> str:
    """The cause of a failed step as the operator should read it."""
    low = said.lower()
    if "no space left on device" in low or "disk quota exceeded" in low:
        return f"Could not {what}: the disk is full. Make room (docker system prune, rm -rf build) and run it again."
    return f"Could not {what}:\n{said}"


class _Feeder(threading.Thread):
    """Writes the input of a step. One that ends early closes it; the step's own words then say why."""

    def __init__(self, stream: IO[bytes], feed: Callable[[IO[bytes]], None]) -> None:
        super().__init__(name="feed")
        self._stream = stream
        self._feed = feed
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            with contextlib.suppress(BrokenPipeError), self._stream:
                self._feed(self._stream)
        except Exception as error:
            self.failure = error
