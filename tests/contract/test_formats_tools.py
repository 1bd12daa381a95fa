"""What we write opens in the tools that people use: ome-zarr and ngio, in both versions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.sinks import LabelSink, ResultSink
from noyau.sources import open_image
from noyau.sources.convert import convert

SHAPE = (6, 300, 280)
SIZE = VoxelSize(2.0, 0.5, 0.25)
Written = tuple[Path, str, np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def their_warnings() -> Iterator[None]:
    """What other tools warn about is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(
    scope="module", params=[("0.4", "zyx"), ("0.5", "zyx"), ("0.4", "czyx"), ("0.5", "czyx"), ("0.5", "tczyx")]
)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, np.ndarray, np.ndarray]:
    """An image with labels and a table, as a job would write them: path, axes, pixels, labels."""
    version, axes = request.param
    folder = tmp_path_factory.mktemp("tools")
    lead = {"zyx": (), "czyx": (2,), "tczyx": (2, 2)}[axes]
    pixels = np.random.default_rng(0).integers(0, 60000, (*lead, *SHAPE), np.uint16)
    np.save(folder / "a.npy", pixels)
    path = folder / "a.ome.zarr"
    access = AccessPolicy.everything()
    convert(str(folder / "a.npy"), str(path), axes=axes, voxel_size=SIZE, ngff=version)
    info = open_image(ImageRef(str(path)), access=access).info
    sink = LabelSink.create(str(path), "nuclei", like=info, access=access, job="job1")
    labels = np.random.default_rng(1).integers(0, 5, (info.times, *SHAPE), np.uint32)
    for time in range(info.times):
        for box in sink.units():
            sink.write(box, labels[time][box.slices], time=time)
    sink.build_pyramid()
    results = ResultSink.create(str(path), "nuclei", access=access, job="job1")
    results.write_table({"label": np.arange(1, 5), "volume_um3": np.array([1.5, 2.5, np.nan, 4.5])})
    results.commit()
    sink.commit({"model": "m@1"}, labels=range(1, 5))
    return path, axes, pixels, labels if axes.startswith("t") else labels[0]


def test_ngio_reads_image_labels_and_table(written: Written) -> None:
    ngio = pytest.importorskip("ngio")
    path, _, pixels, labels = written
    container = ngio.open_ome_zarr_container(path)
    assert container.list_labels() == ["nuclei"] and container.list_tables() == ["nuclei"]
    image, found = container.get_image(path="0"), container.get_label("nuclei", path="0")
    np.testing.assert_array_equal(image.get_as_numpy(), pixels)
    np.testing.assert_array_equal(found.get_as_numpy(), labels)
    for size in (image.pixel_size, found.pixel_size):
        assert (size.z, size.y, size.x) == tuple(SIZE) and size.space_unit == "micrometer"
    table = container.get_table("nuclei")
    assert table.table_type() == "feature_table" and table.reference_label == "nuclei"
    frame = table.dataframe.reset_index()
    assert frame["label"].tolist() == [1, 2, 3, 4] and frame["volume_um3"].tolist()[:2] == [1.5, 2.5]


def test_ngio_finds_the_labels_of_a_coarse_level(written: Written) -> None:
    ngio = pytest.importorskip("ngio")
    container = ngio.open_ome_zarr_container(written[0])
    coarse = container.get_image(path="1")
    found = container.get_label("nuclei", pixel_size=coarse.pixel_size)
    assert found.shape[-3:] == coarse.shape[-3:] == (6, 150, 140)
    np.testing.assert_array_equal(found.get_as_numpy(), written[3][..., ::2, ::2])


def test_ome_zarr_reads_image_and_labels(written: Written) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    path, axes, pixels, labels = written
    nodes = {node.zarr.basename(): node for node in Reader(parse_url(path))()}
    np.testing.assert_array_equal(np.asarray(nodes["a.ome.zarr"].data[0]), pixels)
    assert [a["name"] for a in nodes["a.ome.zarr"].metadata["axes"]] == list(axes)
    found = nodes["nuclei"]
    np.testing.assert_array_equal(np.asarray(found.data[0]), labels)
    assert [a["name"] for a in found.metadata["axes"]] == [a for a in axes if a != "c"]
    assert found.metadata["coordinateTransformations"][0][0]["scale"][-3:] == list(SIZE)
    assert len(found.metadata["color"]) == 4


def test_zarr_python_reads_every_array_and_group(written: Written) -> None:
    import zarr

    root = zarr.open_group(written[0], mode="r")
    names = {name for name, _ in root.members(max_depth=None)}
    assert {"0", "1", "labels", "labels/nuclei", "labels/nuclei/0", "tables/nuclei"} <= names
    np.testing.assert_array_equal(root["labels/nuclei/0"][...], written[3])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("compressor", ["zstd", "blosc", "gzip", "none"])
def test_images_that_ome_zarr_wrote_are_read(tmp_path: Path, version: str, compressor: str) -> None:
    import zarr
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_image
    from zarr import codecs

    pixels = np.random.default_rng(0).integers(1, 60000, (2, 5, 70, 80), np.uint16)
    rules = format_from_version(version)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=rules.zarr_format)
    options: dict[str, object] = {"chunks": (1, 5, 32, 32)}
    if compressor != "zstd" and version == "0.5":
        chosen = {"blosc": codecs.BloscCodec(), "gzip": codecs.GzipCodec(), "none": None}[compressor]
        options["compressors"] = chosen
    size = dict(zip("zyx", SIZE, strict=True))
    write_image(
        pixels,
        group,
        fmt=rules,
        axes="czyx",
        scale=size,
        axes_units=dict.fromkeys("zyx", "micrometer"),
        scale_factors=(),
        storage_options=options,
    )
    with open_image(ImageRef(str(tmp_path / "a.zarr")), access=AccessPolicy.everything()) as source:
        assert source.info.voxel_size == SIZE
        for channel in range(2):
            np.testing.assert_array_equal(source.read(Box.of((5, 70, 80)), channel=channel), pixels[channel])


def test_real_volumes_survive(shared_data: Path, tmp_path: Path, make_image: Callable[..., Path]) -> None:
    for number, src in enumerate(sorted((shared_data / "bbbc050").glob("Emb10*.npz"))[:2]):
        made = convert(str(src), str(tmp_path / f"{number}.zarr"), voxel_size=VoxelSize(1.75, 0.8, 0.8))
        with np.load(src) as archive, open_image(ImageRef(made.uri), access=AccessPolicy.everything()) as source:
            np.testing.assert_array_equal(source.read(Box.of(source.info.shape)), archive["image"])
