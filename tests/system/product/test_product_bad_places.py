"""Places that cannot be written to, disks that fill up, callers that hurry or send rubbish."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from bad_input import Case, check_message, check_refused
from crash_harness import wait_until
from noyau.client import Client
from noyau.domain.errors import DeadlineExceeded, LimitExceeded
from product_kit import VOXEL, Service, leftovers, listing

Make = Callable[..., Path]
_LIBC = ctypes.CDLL(None, use_errno=True)
_RDONLY, _REMOUNT, _DETACH = 1, 32, 2


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 1 MiB under the service's folder (mount(2); needs root)."""
    folder = place / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or _LIBC.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip("no file system can be mounted here (it takes root)")
    yield folder
    assert _LIBC.umount2(bytes(folder), _DETACH) == 0


def nothing(place: Path, image: Path) -> list[str]:
    return []


def test_a_read_only_image(service: Service, small_disk: Path, make_image: Make, embryo: np.ndarray) -> None:
    image = make_image(small_disk / "a.ome.zarr", embryo[:, :48, :48], scale=VOXEL)
    assert _LIBC.mount(b"tmpfs", bytes(small_disk), b"tmpfs", _REMOUNT | _RDONLY, b"size=1m") == 0
    case = Case("read-only", nothing, 11, "read-only")
    check_refused(service, small_disk, ["segment", str(image), "--quiet"], case)
    # The remedy that the message names.
    output = small_disk.parent / "out.ome.zarr"
    assert service.cli("segment", str(image), "--output", str(output), "--quiet").code == 0


def test_a_read_only_output(service: Service, small_disk: Path, tiny_image: Path) -> None:
    assert _LIBC.mount(b"tmpfs", bytes(small_disk), b"tmpfs", _REMOUNT | _RDONLY, b"size=1m") == 0
    words = ["segment", str(tiny_image), "--output", str(small_disk / "o.ome.zarr"), "--quiet"]
    check_refused(service, tiny_image, words, Case("read-only", nothing, 11, "read-only"))


def test_a_disk_that_fills_up_in_the_middle(service: Service, small_disk: Path, embryo_image: Path) -> None:
    """The preflight finds room for a file, the results do not fit; all of it is taken back, and a later try works."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (1024 - 24) * 1024)
    words = ["segment", str(embryo_image), "--output", str(small_disk / "o.ome.zarr")]
    told = service.cli(*words, "--quiet")
    assert told.code == 8, told
    check_message(told.err, "no space left")
    wait_until(lambda: not service.scratch and list(listing(small_disk)) == ["filler"], 20, "something is left behind")
    filler.unlink()
    assert service.cli(*words, "--quiet").code == 0
    assert leftovers(small_disk) == []


def test_a_deadline_that_passes(service: Service) -> None:
    with Client(service.address, preview_timeout=0.2) as client, pytest.raises(DeadlineExceeded) as caught:
        client.preview(np.zeros((64, 512, 512), np.uint8), model="nuclei-3d")
    check_message(f"noyau: {caught.value}", "")
    with service.client() as client:
        assert client.models(), "the service goes on"


def test_a_message_over_the_limit(service: Service) -> None:
    with service.client() as client:
        before = len(client.list(page_size=1000).jobs)
        with pytest.raises(LimitExceeded):
            client.preview(np.zeros((70, 1024, 1024), np.uint8))
        assert len(client.list(page_size=1000).jobs) == before


@pytest.mark.parametrize("rubbish", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b""])
def test_a_message_that_is_none(service: Service, rubbish: bytes) -> None:
    with grpc.insecure_channel(service.address) as channel:
        call = channel.unary_unary("/noyau.v1.JobService/Submit")
        with pytest.raises(grpc.RpcError) as caught:
            call(rubbish, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert "Traceback" not in (caught.value.details() or "")
    with service.client() as client:
        assert client.models(), "the service goes on"
