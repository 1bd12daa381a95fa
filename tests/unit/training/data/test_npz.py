"""npz files are read without trust."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded, NotFound, NoyauError
from noyau.training.data.npz import read_npz
from numpy.lib import format as npy

LIMIT = 10_000


def header(shape: tuple[int, ...], dtype: str = "<u2") -> bytes:
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def write(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_what_is_stored_is_read(tmp_path: Path) -> None:
    image, labels = np.arange(12.0).reshape(3, 4), np.arange(12).reshape(3, 4)
    path = tmp_path / "a.npz"
    np.savez(path, raw=image, masks=labels, voxel_size=[0.5, 0.25], points=[[1.0, 2.0]], ignore=11)
    sample = read_npz(str(path), LIMIT)
    np.testing.assert_array_equal(sample.image.values, image)
    assert sample.labels is not None and tuple(sample.image.voxel_size or ()) == (1.0, 0.5, 0.25)
    np.testing.assert_array_equal(sample.labels.values, labels)
    assert sample.ignore == 11 and sample.points is not None and sample.points.shape == (1, 2)
    assert read_npz(str(path), LIMIT, labelled=False).labels is None


def test_other_arrays_are_never_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, image=np.ones((2, 2)), note=np.array([{"a": 1}], dtype=object), junk=np.zeros(100_000))
    assert read_npz(str(path), LIMIT).image.values.shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ({"image.npy": header((1000, 1000, 50_000))}, LimitExceeded, "claims 50,000,000,000"),
        ({"image.npy": header((50, 50))}, DamagedData, "cut off"),
        ({"image.npy": header((2, 2), "|O") + b"cos\nsystem\n(S'touch pwned'\ntR."}, InvalidInput, "pickle"),
        ({"image.npy": header((2, 2), "<c8") + bytes(32)}, InvalidInput, "complex64"),
        ({"image.npy": header((2, 2), "<U4") + bytes(64)}, InvalidInput, "no numbers"),
        ({"image.npy": b"\x93NUMPY\x09\x00rest"}, DamagedData, "cannot be read"),
        ({"image.npy": b""}, DamagedData, "cannot be read"),
        ({"image.npy": header((-5, 5))}, DamagedData, "claims the shape"),
        ({"labels.npy": header((1,)) + bytes(2)}, NotFound, "holds no image"),
        ({}, NotFound, "holds nothing"),
    ],
)
def test_bad_archives_are_refused(
    tmp_path: Path, content: dict[str, bytes], kind: type[NoyauError], words: str
) -> None:
    path = write(tmp_path / "bad.npz", content)
    with pytest.raises(kind, match=words) as caught:
        read_npz(str(path), LIMIT)
    assert "bad.npz" in caught.value.cause


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Megabytes of zeros shrink to kilobytes; what the header says counts, and no more than that is unpacked."""
    honest = write(tmp_path / "a.npz", {"image.npy": header((5_000_000,)) + bytes(10_000_000)})
    assert honest.stat().st_size < 50_000
    with pytest.raises(LimitExceeded, match="5,000,000"):
        read_npz(str(honest), LIMIT)
    lying = write(tmp_path / "b.npz", {"image.npy": header((2, 2)) + bytes(10_000_000)})
    assert read_npz(str(lying), LIMIT).image.values.nbytes == 8


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, image=np.random.default_rng(0).integers(0, 99, (50, 50)))
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DamagedData, match=r"a\.npz"):
            read_npz(str(path), LIMIT)


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, image=np.random.default_rng(0).integers(0, 99, (50, 50)))
    whole = bytearray(path.read_bytes())
    whole[200:260] = bytes(60)
    path.write_bytes(whole)
    with pytest.raises(DamagedData, match="image"):
        read_npz(str(path), LIMIT)
