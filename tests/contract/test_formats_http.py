"""OME-Zarr over HTTP from a plain file server in a process of its own."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import DamagedData, FailedPrecondition, InvalidInput, NotFound, PermissionRefused, Unavailable
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.sinks import LabelSink, preflight
from noyau.sources import expand, open_image, open_labels
from noyau.storage.options import StorageOptions

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of a file server."""
    folder = tmp_path_factory.mktemp("http")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(port: int) -> None:
    for _ in range(300):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("HEAD", "/")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError("the file server did not start")


@pytest.fixture
def access() -> AccessPolicy:
    return AccessPolicy(remote_hosts=("127.0.0.1",))


@pytest.fixture(params=["0.4", "0.5"])
def image(
    request: pytest.FixtureRequest, make_image: Make, server: tuple[str, Path], volume: np.ndarray
) -> tuple[str, Path]:
    """URL and folder of an image with one label group."""
    path = make_image(server[1] / f"a-{request.param}.zarr", volume, version=request.param, chunks=(2, 3, 4))
    return f"{server[0]}/{path.name}", path


@pytest.fixture
def volume() -> np.ndarray:
    return np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8) + 7


def test_an_image_is_read(image: tuple[str, Path], access: AccessPolicy, volume: np.ndarray) -> None:
    assert expand(ImageRef(image[0]), access=access) == [ImageRef(image[0])]
    with open_image(ImageRef(image[0] + "/"), access=access) as source:
        np.testing.assert_array_equal(source.read(Box.of(volume.shape)), volume)


@pytest.mark.parametrize(
    ("name", "path"), [("a b.zarr", "a%20b.zarr"), ("a b.zarr", "a b.zarr"), ("é#1", "%C3%A9%231")]
)
def test_escaped_addresses(
    make_image: Make, server: tuple[str, Path], access: AccessPolicy, volume: np.ndarray, name: str, path: str
) -> None:
    make_image(server[1] / name, volume)
    with open_image(ImageRef(f"{server[0]}/{path}"), access=access) as source:
        np.testing.assert_array_equal(source.read(Box.of(volume.shape)), volume)


def test_a_redirection_is_not_followed(access: AccessPolicy) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(InvalidInput, match="redirection"):
            open_image(ImageRef(f"http://127.0.0.1:{server.server_port}/a"), access=access)
        server.shutdown()
        thread.join()


def test_results_need_another_place_and_get_one(
    image: tuple[str, Path], access: AccessPolicy, volume: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(FailedPrecondition, match="--output"):
        preflight(image[0], "nuclei", access=access)
    out = str(tmp_path / "out.zarr")
    preflight(out, "nuclei", access=access, image=image[0])
    info = open_image(ImageRef(image[0]), access=access).info
    sink = LabelSink.create(out, "nuclei", like=info, access=access, job="j", image=image[0])
    for box in sink.units():
        sink.write(box, volume[box.slices].astype(np.uint32))
    sink.commit()
    np.testing.assert_array_equal(open_labels(out, access=access).read(Box.of(volume.shape)), volume)


def test_a_missing_chunk_is_named(image: tuple[str, Path], access: AccessPolicy, volume: np.ndarray) -> None:
    chunk = next(p for p in (image[1] / "0").rglob("1") if p.is_file())
    chunk.unlink()
    with pytest.raises(DamagedData, match=str(chunk.relative_to(image[1]))):
        open_image(ImageRef(image[0]), access=access).read(Box.of(volume.shape))


def test_refusals(server: tuple[str, Path], access: AccessPolicy) -> None:
    with pytest.raises(NotFound, match="There is nothing at"):
        open_image(ImageRef(f"{server[0]}/absent"), access=access)
    with pytest.raises(PermissionRefused, match="remote_hosts"):
        open_image(ImageRef(f"{server[0]}/absent"), access=AccessPolicy(remote_hosts=("example.org",)))
    with pytest.raises(Unavailable):
        open_image(ImageRef("http://127.0.0.1:9/a"), access=access, options=StorageOptions(retries=1))
