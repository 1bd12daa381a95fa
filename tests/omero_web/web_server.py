"""The real OMERO.web in front of the OMERO server of the tests.

It is started by the two commands behind `omero web start`, which itself refuses to run as root, as CI does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import omeroweb
from omero.config import ConfigXml

# A slow machine with other tests beside; idle it takes ten seconds.
START_SECONDS = 240
STOP_SECONDS = 30
WHITENOISE = {"index": 0, "class": "whitenoise.middleware.WhiteNoiseMiddleware"}
IVIEWER = [
    "omero_iviewer",
    "omero_iviewer_index",
    {
        "supported_objects": ["images", "dataset", "well"],
        "script_url": "omero_iviewer/openwith.js",
        "label": "OMERO.iviewer",
    },
]


class OmeroWeb:
    """OMERO.web with OMERO.iviewer in a process of its own.

    Attributes:
        url: Where it answers, without a slash at the end.
    """

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Starts it and waits until it answers.

        Args:
            folder: For its settings, sessions and static files; may not exist yet.
            host, port: Of the OMERO server, which it reaches over TLS.
        """
        self._folder = folder
        self._number = _free_port()
        self.url = f"http://127.0.0.1:{self._number}"
        self._configure(host, port)
        self._log = (folder / "omero-web.log").open("wb")
        self._run(["manage.py", "collectstatic", "--noinput", "--verbosity=0"]).wait(timeout=START_SECONDS)
        self._process = self._run(["-m", "gunicorn", *_gunicorn(self._number), "omeroweb.wsgi:application"])
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it with all its workers."""
        # gunicorn takes this for "at once"; the usual signal lets idle browsers keep it waiting.
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its workers end by themselves when they miss it.
            self._process.kill()
            self._process.wait()
        self._log.close()

    def log(self) -> str:
        """The end of what it said and logged."""
        paths = [self._folder / "omero-web.log", *sorted((self._folder / "var" / "log").glob("*.log"))]
        return "\n".join(path.read_text(errors="replace")[-4000:] for path in paths if path.is_file())

    def _configure(self, host: str, port: int) -> None:
        grid = self._folder / "etc" / "grid"
        grid.mkdir(parents=True)
        (self._folder / "var").mkdir()
        config = ConfigXml(str(grid / "config.xml"))
        try:
            for name, value in self._settings(host, port).items():
                config[name] = value
        finally:
            config.close()

    def _settings(self, host: str, port: int) -> Mapping[str, str]:
        return {
            "omero.web.server_list": json.dumps([[host, port, "omero"]]),
            "omero.web.secure": "true",
            "omero.web.check_version": "false",
            # Its login page would ask GitHub for the newest versions.
            "omero.web.login.show_client_downloads": "false",
            "omero.web.middleware": json.dumps([WHITENOISE, *_default_middleware()]),
            "omero.web.apps": json.dumps(["omero_iviewer"]),
            "omero.web.viewer.view": "omero_iviewer.views.index",
            "omero.web.open_with": json.dumps([IVIEWER]),
        }

    def _run(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMERODIR": str(self._folder), "OMERO_USERDIR": str(self._folder)}
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=Path(omeroweb.__file__).parent,
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/webclient/login/", timeout=60):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.3)
        raise RuntimeError(f"OMERO.web did not start:\n{self.log()}")


def _gunicorn(port: int) -> list[str]:
    return [
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "1",
        "--threads",
        "8",
        "--timeout",
        "240",
        "--no-control-socket",
    ]


def _default_middleware() -> list[dict[str, object]]:
    names = (
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    )
    return [{"index": number, "class": name} for number, name in enumerate(names, start=1)]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
