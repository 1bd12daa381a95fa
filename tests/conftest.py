"""Fixtures that every room may use."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands that run inside the test process configure logging; the next test must not inherit it."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = [h for h in root.handlers if h in handlers or type(h) is not logging.StreamHandler]


@pytest.fixture(autouse=True, scope="session")
def _no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What somebody registered on this machine must not take part in tests, in no process of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOYAU_MODELS_HOME", str(tmp_path_factory.mktemp("models-home")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_counts() -> None:
    """A shell that runs `make test` in the background has it, and all that it starts, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real microscopy data beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("NOYAU_SHARED", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "bbbc050").is_dir():
        pytest.skip(f"real images are not on this machine ({folder.name} is absent; set NOYAU_SHARED)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the maintenance database of a real PostgreSQL that runs for the session, also for root."""
    # Not in pytest's own folder: every session closes that to other users, and as root the server runs as one.
    folder = Path(tempfile.mkdtemp(prefix="noyau-pg-"))
    with warnings.catch_warnings():
        # The wheel warns about the machine's folders, which is not our concern.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pgserver")
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """URL of an empty PostgreSQL database; every test gets the same one, emptied."""
    import psycopg

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        # Emptying is ten times faster than a new database, and tests do not outlive power cuts.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_server


@pytest.fixture
def make_image() -> Callable[..., Path]:
    """Writes an OME-Zarr with zarr-python, an implementation that is not the one under test. See `write_ome_zarr`."""
    return write_ome_zarr


@pytest.fixture
def make_model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder that looks like a model package, without any network: enough for what never loads weights."""

    def make(name: str = "m", version: str = "1", weights: bytes = b"weights", **changes: Any) -> Path:
        folder = Path(tempfile.mkdtemp(dir=tmp_path, prefix="package-"))
        document = {
            "format": 1,
            "name": name,
            "version": version,
            "digest": f"sha256:{hashlib.sha256(weights).hexdigest()}",
            "ndim": 2,
            "architecture": "vote-unet",
            "arguments": {},
            "voxel_size": None,
            "diameter": 20.0,
            "halo": [0, 4, 4],
            "stride": [1, 1, 1],
            "tile": [1, 64, 64],
            "normalisation": {"low": 50.0, "high": 99.5, "gain": 3.0, "clip": [-0.5, 20.0]},
            "vote": {},
        }
        (folder / "model.json").write_text(json.dumps({**document, **changes}))
        (folder / "weights.safetensors").write_bytes(weights)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "curve.png").write_bytes(b"picture")
        return folder

    return make


def write_ome_zarr(
    path: Path,
    levels: np.ndarray | Sequence[np.ndarray],
    axes: str = "zyx",
    *,
    version: str = "0.5",
    scale: Sequence[float] | None = None,
    unit: str | None = "micrometer",
    channels: Sequence[str] = (),
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
) -> Path:
    """Writes levels (finest first, each a power of two smaller in space) with the given axes as an NGFF image."""
    import zarr

    arrays = [levels] if isinstance(levels, np.ndarray) else list(levels)
    size = list(scale or [1.0] * len(axes))
    datasets = []
    root = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2, overwrite=True)
    for number, pixels in enumerate(arrays):
        extra = (
            {"dimension_names": list(axes)}
            if version == "0.5"
            else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        )
        array = root.create_array(
            str(number),
            shape=pixels.shape,
            dtype=pixels.dtype,
            chunks=tuple(chunks) if chunks else pixels.shape,
            shards=tuple(shards) if shards else None,
            config={"write_empty_chunks": True},
            **extra,
        )
        array[...] = pixels
        steps = [s * (2**number if a in "zyx" else 1) for s, a in zip(size, axes, strict=True)]
        datasets.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": steps}]})
    kinds = {"t": "time", "c": "channel"}
    named = [
        {"name": a, "type": kinds.get(a, "space"), **({"unit": unit} if unit and a in "zyx" else {})} for a in axes
    ]
    ngff: dict[str, Any] = {"multiscales": [{"axes": named, "datasets": datasets, "version": version}]}
    if channels:
        ngff["omero"] = {"channels": [{"label": c} for c in channels]}
    root.attrs.update({"ome": {"version": version, **ngff}} if version == "0.5" else ngff)
    return path


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real S3 server (moto's) in a process of its own, on a free port of the loopback."""
    pytest.importorskip("moto.server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a quarter of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=256k") != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    assert libc.umount2(bytes(folder), 2) == 0


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a new, empty bucket; credentials are in the environment, where S3 tools look for them."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"images-{uuid.uuid4().hex}"
    client = boto3.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket=bucket)
    client.close()
    return bucket


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the S3 server ended with code {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the S3 server did not start within a minute")
