"""The service that is attacked: a real one, in a process and a folder of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import grpc
from forge import AUDIENCE, ISSUER, Issuer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from noyau.client import Client
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec

START_SECONDS = 240
REQUEST_SECONDS = 3.0
CONCURRENT_CALLS = 40
CALLS_AT_ONCE = 30


class Target:
    """Starts with the context and ends with it.

    Args:
        folder: empty; its `images` is the only place that the service may touch.
        settings: environment variables of the service beside those below.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.issuer = Issuer()
        self.folder = folder
        self.image = folder / "images" / "a.ome.zarr"
        self.address = ""
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.image.mkdir(parents=True)
        _write_image(self.image)
        log = (self.folder / "log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "noyau.cli", "serve", "--address", "127.0.0.1:0", "--root", str(self.image.parent)],
            env={**os.environ, **self._environment(), **self._settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("Noyau listens on "), (line, self.log())
        self.address = line.split()[3].rstrip(";")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _environment(self) -> dict[str, str]:
        home = self.folder / "state"
        return {
            "NOYAU_STATE_DIR": str(home),
            "NOYAU_MODELS_HOME": str(home / "models-home"),
            "NOYAU_MODELS_CACHE": str(home / "models-cache"),
            "NOYAU_JOBS__WORKERS": "0",
            "NOYAU_LOG__FORMAT": "json",
            "NOYAU_LISTEN__REQUEST_SECONDS": str(REQUEST_SECONDS),
            "NOYAU_LISTEN__CONCURRENT_CALLS": str(CONCURRENT_CALLS),
            "NOYAU_LISTEN__MESSAGE_MIB": "4",
            "NOYAU_LIMITS__CALLS_AT_ONCE": str(CALLS_AT_ONCE),
            "NOYAU_LIMITS__CALLS_PER_MINUTE": "1000000",
            "NOYAU_AUTH__TOKENS__ISSUER": ISSUER,
            "NOYAU_AUTH__TOKENS__AUDIENCE": json.dumps([AUDIENCE]),
            "NOYAU_AUTH__TOKENS__KEYS": str(self.issuer.publish(self.folder / "keys.json")),
            "NOYAU_AUTH__OPERATORS": '["role:operator"]',
            "NOYAU_AUTH__AUDIT_FILE": str(self.folder / "audit.jsonl"),
            "OMP_NUM_THREADS": "1",
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host, int(port)

    def client(self, **claims: Any) -> Client:
        """A client with a good token, by default a user's."""
        return Client(self.address, timeout=60, token=self.issuer.token(**{"exp": int(time.time()) + 3600, **claims}))

    def check(self) -> None:
        """Fails unless the service answers health and does what it is for, for a caller who has done nothing."""
        assert self.lives, self.log()
        with grpc.insecure_channel(self.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(service="noyau.v1.JobService"), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with self.client(sub="innocent") as client:
            job = client.submit(SegmentSpec((ImageRef(str(self.image)),)))
            assert client.get(job.id).owner == "token:innocent"
            assert client.cancel(job.id).state is JobState.CANCELLED

    def new_job(self) -> str:
        """A job of an operator's that waits."""
        with self.client(roles=["operator"]) as client:
            return client.submit(SegmentSpec((ImageRef(str(self.image)),))).id

    def memory_mib(self) -> float:
        """What the process holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def log(self) -> str:
        """What the service has logged."""
        return (self.folder / "log").read_text()

    def incidents(self) -> list[dict[str, Any]]:
        """Bugs of ours that the service met."""
        lines = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [line for line in lines if "incident" in line]


def _write_image(folder: Path) -> None:
    """A small OME-Zarr, so that some requests are good."""
    import numpy as np
    import zarr

    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    multiscales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group = zarr.create_group(
        folder, overwrite=True, attributes={"ome": {"version": "0.5", "multiscales": multiscales}}
    )
    group.create_array("0", data=np.zeros((4, 16, 16), np.uint16))
