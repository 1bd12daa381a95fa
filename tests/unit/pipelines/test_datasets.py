"""Datasets through every reader, and broken ones: each refused with its reason, and nothing written."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, FailedPrecondition, InvalidInput, NoyauError
from noyau.domain.model import Normalisation
from noyau.pipelines.dataset_check import run_dataset_check
from noyau.pipelines.datasets import open_pairs
from noyau.sources.convert import convert
from numpy.lib import format as npy
from PIL import Image

PARAMS = Normalisation()


def scene(seed: int, shape: tuple[int, ...] = (56, 60), count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Bright ellipsoids on a noisy ground: image and labels, both uint16."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    for label in range(1, count + 1):
        distance = ((grid - rng.uniform(0.1, 0.9, len(shape)) * shape) / rng.uniform(3, 6, len(shape))) ** 2
        labels[(distance.sum(-1) < 1) & (labels == 0)] = label
    return rng.poisson(100 + 120 * (labels > 0)).astype(np.uint16), labels


def zarr_pair(path: Path, seed: int, shape: tuple[int, ...] = (9, 40, 44), name: str = "nuclei") -> Path:
    image, labels = scene(seed, shape)
    np.savez(path.with_suffix(".npz"), image=image, labels=labels)
    from noyau.domain.geometry import VoxelSize

    convert(str(path.with_suffix(".npz")), str(path), voxel_size=VoxelSize(2, 0.5, 0.5), labels=name)
    path.with_suffix(".npz").unlink()
    return path


def test_ome_zarr_pairs(tmp_path: Path) -> None:
    for seed in range(2):
        zarr_pair(tmp_path / f"a{seed}.zarr", seed)
    dataset = open_pairs([str(tmp_path)], access=AccessPolicy.everything())
    assert dataset.ndim == 3 and dataset.pairs[0].found.voxel_size == (2, 0.5, 0.5)
    pair = dataset.pairs[1].load(PARAMS)
    image, labels = scene(1, (9, 40, 44))
    np.testing.assert_array_equal(pair.image, image)
    np.testing.assert_array_equal(pair.labels, labels)


def test_the_only_label_group_is_taken_and_several_must_be_named(tmp_path: Path) -> None:
    path = zarr_pair(tmp_path / "a.zarr", 0, name="corrected")
    everything = AccessPolicy.everything()
    assert len(open_pairs([str(path)], access=everything).pairs) == 1
    listing = path / "labels" / "zarr.json"
    document = json.loads(listing.read_text())
    document["attributes"]["ome"]["labels"].append("second")
    listing.write_text(json.dumps(document))
    with pytest.raises(NoyauError, match="it has corrected, second"):
        open_pairs([str(path)], access=everything)
    assert len(open_pairs([str(path)], labels="corrected", access=everything).pairs) == 1


def test_a_time_series_is_one_specimen_of_many_pairs(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    frames = [scene(seed) for seed in range(3)]
    path = make_image(tmp_path / "movie.zarr", np.stack([image for image, _ in frames]), "tyx", scale=[1, 0.5, 0.5])
    make_image(path / "labels" / "nuclei", np.stack([labels for _, labels in frames]), "tyx", scale=[1, 0.5, 0.5])
    listing = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "labels": ["nuclei"]}}}
    (path / "labels" / "zarr.json").write_text(json.dumps(listing))
    dataset = open_pairs([str(path)], access=AccessPolicy.everything())
    assert [p.place.stem for p in dataset.pairs] == ["movie_t000", "movie_t001", "movie_t002"]
    assert {p.specimen for p in dataset.pairs} == {f"{tmp_path.name}/movie"} and dataset.ndim == 2
    np.testing.assert_array_equal(dataset.pairs[2].load(PARAMS).image, frames[2][0])
    np.testing.assert_array_equal(dataset.pairs[2].load(PARAMS).labels, frames[2][1])


def test_the_fields_of_a_plate_are_pairs(tmp_path: Path, make_image: Callable[..., Path]) -> None:
    plate = tmp_path / "plate.zarr"
    for seed, place in enumerate(("A/1/0", "A/1/1")):
        field = zarr_pair(tmp_path / "one.zarr", seed, (1, 56, 60))
        (plate / place).parent.mkdir(parents=True, exist_ok=True)
        field.rename(plate / place)
    for folder, ome in (
        (plate, {"plate": {"wells": [{"path": "A/1"}]}}),
        (plate / "A", {}),
        (plate / "A" / "1", {"well": {"images": [{"path": "0"}, {"path": "1"}]}}),
    ):
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **ome}}}
        (folder / "zarr.json").write_text(json.dumps(group))
    dataset = open_pairs([str(tmp_path)], access=AccessPolicy.everything())
    assert [p.place.stem for p in dataset.pairs] == ["plate_A_1_0", "plate_A_1_1"]


def test_boxes_of_a_volume(tmp_path: Path) -> None:
    image, labels = scene(0, (16, 40, 44), 5)
    corners = [np.argwhere(labels == i) for i in np.unique(labels)[1:]]
    boxes = np.array([[*c.min(0), *(c.max(0) + 1)] for c in corners])
    np.savez(tmp_path / "a.npz", image=image, boxes=boxes)
    (pair,) = (ref.load(PARAMS) for ref in open_pairs([str(tmp_path)], access=AccessPolicy.everything()).pairs)
    assert pair.kind == "boxes" and len(pair.objects.ids) == len(boxes) and pair.known is not None
    assert (labels[pair.known & (pair.labels > 0)] > 0).mean() > 0.9 and not labels[
        pair.known & (pair.labels == 0)
    ].any()


def test_tiff_folders_and_ome_tiff_with_its_voxel_size(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    meta = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeY": 0.25,
        "PhysicalSizeZ": 1500,
        "PhysicalSizeZUnit": "nm",
    }
    for seed in range(2):
        image, labels = scene(seed, (7, 40, 44))
        tifffile.imwrite(tmp_path / "images" / f"a{seed}.ome.tif", image, metadata=meta)
        tifffile.imwrite(tmp_path / "masks" / f"a{seed}.tif", labels)
    dataset = open_pairs([str(tmp_path)], access=AccessPolicy.everything())
    assert dataset.ndim == 3 and dataset.pairs[0].found.voxel_size == (1.5, 0.25, 0.25)
    np.testing.assert_array_equal(dataset.pairs[1].load(PARAMS).labels, scene(1, (7, 40, 44))[1])


def test_rgb_tiff_and_points_beside_it(tmp_path: Path) -> None:
    image, labels = scene(0)
    coloured = np.stack([image // 4, image, image // 2], -1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", coloured, photometric="rgb")
    (tmp_path / "a_points.csv").write_text("y,x\n" + "".join(f"{y},{x}\n" for y, x in np.argwhere(labels)[::40]))
    dataset = open_pairs([str(tmp_path)], access=AccessPolicy.everything())
    pair = dataset.pairs[0].load(PARAMS)
    assert pair.kind == "points" and pair.image.shape == (56, 60)
    assert {"colours", "radius"} <= {p.kind for p in dataset.problems}


def test_the_check_writes_picture_and_record(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for seed, name in enumerate(("e1_t1", "e1_t2", "e2_t1", "e2_t2")):
        image, labels = scene(seed, (6, 40, 44))
        np.savez(folder / f"{name}.npz", image=image, labels=np.where(labels == 1, -1, labels.astype(np.int32)))
    picture, record = tmp_path / "p.png", tmp_path / "r.json"
    report = run_dataset_check([str(folder)], val_percent=40, picture=picture, record=record)
    assert report.is_sound and report.files == (str(picture), str(record))
    assert json.loads(record.read_text()) == report.record
    with Image.open(picture) as shown:
        assert shown.width > 600
        pixels = np.asarray(shown).reshape(-1, 3).astype(int)
    assert (np.ptp(pixels, axis=1) > 90).sum() > 200, "there are no coloured outlines"
    with pytest.raises(AlreadyExists):
        run_dataset_check([str(folder)], picture=picture)
    run_dataset_check([str(folder)], picture=picture, overwrite=True)
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        run_dataset_check([str(folder)], record=tmp_path / "absent" / "r.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.png", "r.json", "set"]


# Everything below breaks one pair, `bad`, of a folder with three good ones.


def npz(folder: Path, **changes: np.ndarray) -> None:
    image, labels = scene(90)
    np.savez_compressed(folder / "bad.npz", **{"image": image, "labels": labels, **changes})


def tiff(folder: Path, image: np.ndarray | bytes, labels: np.ndarray | bytes) -> None:
    for name, content in (("bad.tif", image), ("bad_mask.tif", labels)):
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            tifffile.imwrite(folder / name, content)


def shape_mismatch(folder: Path) -> None:
    npz(folder, labels=np.ones((5, 6), int))


def transposed(folder: Path) -> None:
    npz(folder, labels=scene(90)[1].T)


def float_labels(folder: Path) -> None:
    npz(folder, labels=scene(90)[1] / 3)


def negative_labels(folder: Path) -> None:
    npz(folder, labels=scene(90)[1].astype(np.int16) - 5)


def all_ignored(folder: Path) -> None:
    npz(folder, labels=np.full((56, 60), -1))


def binary_mask(folder: Path) -> None:
    npz(folder, labels=(scene(90)[1] > 0).astype(np.uint8) * 255)


def colour_mask(folder: Path) -> None:
    image, labels = scene(90)
    tiff(folder, image, np.stack([labels] * 3, -1).astype(np.uint8))


def black_image(folder: Path) -> None:
    npz(folder, image=np.zeros((56, 60), np.uint16))


def not_a_number(folder: Path) -> None:
    image = scene(90)[0].astype(np.float32)
    image[7, 8] = np.nan
    npz(folder, image=image)


def no_labels(folder: Path) -> None:
    np.savez(folder / "bad.npz", image=scene(90)[0])


def no_image(folder: Path) -> None:
    np.savez(folder / "bad.npz", labels=scene(90)[1])


def other_dimensions(folder: Path) -> None:
    image, labels = scene(90, (20, 30, 32))
    np.savez(folder / "bad.npz", image=image, labels=labels)


def truncated(folder: Path) -> None:
    npz(folder)
    path = folder / "bad.npz"
    path.write_bytes(path.read_bytes()[:-200])


def pickled(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {folder.parent}/pwned",)

    np.savez(folder / "bad.npz", image=scene(90)[0], labels=np.array([Evil()], dtype=object))


def hundred_gigabytes(folder: Path) -> None:
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": (2000, 5000, 5000)})
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        archive.writestr("image.npy", header.getvalue())
        archive.writestr("labels.npy", header.getvalue())


def zip_bomb(folder: Path) -> None:
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (60_000_000,)})
    with zipfile.ZipFile(folder / "bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", header.getvalue() + bytes(60_000_000))


def zip_slip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        archive.writestr("../../pwned", b"x")


def many_members(folder: Path) -> None:
    with zipfile.ZipFile(folder / "bad.npz", "w") as archive:
        for index in range(1500):
            archive.writestr(f"a{index}.npy", b"")


def no_tiff(folder: Path) -> None:
    tiff(folder, b"GIF89a, really", scene(90)[1])


def cut_tiff(folder: Path) -> None:
    tiff(folder, *scene(90))
    whole = (folder / "bad.tif").read_bytes()
    (folder / "bad.tif").write_bytes(whole[: len(whole) // 2])


def tiff_bomb(folder: Path) -> None:
    """A valid header of 200 bytes that claims 100,000 x 100,000 pixels."""
    entries = [(256, 4, 1, 100_000), (257, 4, 1, 100_000), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 100_000), (279, 4, 1, 100)]
    table = b"".join(struct.pack("<HHII", *e) for e in entries)
    tiff(folder, b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4), scene(90)[1])


def circular_tiff(folder: Path) -> None:
    """A directory whose successor is itself."""
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    table = b"".join(struct.pack("<HHII", *e) for e in entries)
    body = struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", 8)
    tiff(folder, b"II*\0" + body + bytes(80), scene(90)[1])


def lost_mask(folder: Path) -> None:
    tifffile.imwrite(folder / "bad.tif", scene(90)[0])


def bad_points(folder: Path) -> None:
    tifffile.imwrite(folder / "bad.tif", scene(90)[0])
    (folder / "bad.csv").write_text("y,x\n5,5\n5000,5\n")


def link_outside(folder: Path) -> None:
    outside = folder.parent / "secret.npz"
    np.savez(outside, image=scene(90)[0], labels=scene(90)[1])
    (folder / "bad.npz").symlink_to(outside)


def dangling_link(folder: Path) -> None:
    (folder / "bad.npz").symlink_to(folder / "gone.npz")


def zarr_without_labels(folder: Path) -> None:
    path = zarr_pair(folder / "bad.zarr", 90, (1, 56, 60))
    shutil.rmtree(path / "labels")


def damaged_zarr(folder: Path) -> None:
    path = zarr_pair(folder / "bad.zarr", 90, (1, 56, 60))
    (path / "zarr.json").write_text("{")


def other_labels(folder: Path) -> None:
    image = np.load(folder / "good0.npz")["image"]
    np.savez(folder / "bad.npz", image=image, labels=scene(90)[1])


def foreign_labels(folder: Path) -> None:
    npz(folder, labels=scene(91)[1])


BROKEN: dict[Callable[[Path], None], str] = {
    shape_mismatch: "labels of shape",
    transposed: "another order",
    float_labels: "not labels",
    negative_labels: "negative value -5",
    all_ignored: "ignored",
    binary_mask: "values 0 and 255",
    colour_mask: "colour picture",
    black_image: "every voxel has the value 0",
    not_a_number: "NaN or infinity",
    no_labels: "has no labels",
    no_image: "holds no image",
    other_dimensions: "has 2 dimensions",
    truncated: "not an npz file, or it is cut off",
    pickled: "pickle",
    hundred_gigabytes: "more than the limit",
    zip_bomb: "more than the limit",
    zip_slip: "holds no image",
    many_members: "no pair of images",
    no_tiff: "not a TIFF",
    cut_tiff: "decoded|damaged|cut off",
    tiff_bomb: "more than the limit",
    circular_tiff: "shape",
    lost_mask: "has no labels",
    bad_points: "outside of its image",
    link_outside: "outside the folders",
    dangling_link: "nothing at",
    zarr_without_labels: "has no labels",
    damaged_zarr: "zarr.json",
    other_labels: "better than its own",
    foreign_labels: "do not agree",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda f: f.__name__)
def test_a_broken_pair_is_refused_with_its_reason_and_the_others_are_used(
    tmp_path: Path, broken: Callable[[Path], None]
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for seed in range(3):
        image, labels = scene(seed)
        np.savez(folder / f"good{seed}.npz", image=image, labels=labels)
    broken(folder)
    before = listing(tmp_path)
    access = AccessPolicy(roots=(str(folder),), max_voxels=50_000_000)
    dataset = open_pairs([str(folder)], ndim=2, access=access, on_bad="skip")
    assert [p.place.stem for p in dataset.pairs] == ["good0", "good1", "good2"]
    errors = [p for p in dataset.errors if p.pair == "set/bad"]
    assert len(errors) == 1 and len(dataset.errors) == 1
    with pytest.raises(NoyauError, match=BROKEN[broken]) as caught:
        open_pairs([str(folder)], ndim=2, access=access, on_bad="stop")
    assert caught.value.cause == errors[0].cause and "bad" in caught.value.cause
    assert listing(tmp_path) == before


def listing(folder: Path) -> set[tuple[str, int]]:
    return {(str(p), p.lstat().st_size) for p in folder.rglob("*")}


def test_a_bad_pair_stops_or_is_skipped_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="ignore"):
        open_pairs([str(tmp_path)], access=AccessPolicy.everything(), on_bad="ignore")
