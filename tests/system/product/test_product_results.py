"""What a job leaves beside an image opens in the tools that people use, in both versions of the format."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from product_kit import VOXEL, Service, cli, label_array, leftovers, spawn, volume

Make = Callable[..., Path]


@pytest.fixture(params=["0.4", "0.5"])
def segmented(
    request: pytest.FixtureRequest, service: Service, place: Path, embryo: np.ndarray, make_image: Make
) -> Path:
    """An image of that version after a real job."""
    path = make_image(place / "a.ome.zarr", embryo, version=request.param, scale=VOXEL, chunks=(16, 64, 64))
    told = service.cli("segment", str(path), "--quiet")
    assert told.code == 0, told.err
    return path


@pytest.mark.filterwarnings("ignore")
def test_ome_zarr_and_ngio_open_labels_and_table(segmented: Path, embryo: np.ndarray) -> None:
    ngio = pytest.importorskip("ngio")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    labels = label_array(segmented)
    nodes = {node.zarr.basename(): node for node in Reader(parse_url(segmented))()}
    np.testing.assert_array_equal(np.asarray(nodes["a.ome.zarr"].data[0]), embryo)
    np.testing.assert_array_equal(np.asarray(nodes["nuclei"].data[0]), labels)
    container = ngio.open_ome_zarr_container(segmented)
    found = container.get_label("nuclei", path="0")
    np.testing.assert_array_equal(found.get_as_numpy(), labels)
    assert (found.pixel_size.z, found.pixel_size.y, found.pixel_size.x) == VOXEL
    table = container.get_table("nuclei")
    assert table.table_type() == "feature_table" and table.reference_label == "nuclei"
    frame = table.dataframe.reset_index()
    assert frame["label"].tolist() == list(range(1, int(labels.max()) + 1))
    np.testing.assert_allclose(frame["volume_um3"], np.bincount(labels.ravel())[1:] * np.prod(VOXEL), rtol=1e-6)


def test_the_files_for_people_and_the_provenance(segmented: Path) -> None:
    import pyarrow.parquet

    labels, folder = label_array(segmented), segmented / "noyau" / "nuclei"
    rows = list(csv.DictReader((folder / "nuclei.csv").read_text().splitlines()))
    assert [int(row["label"]) for row in rows] == list(range(1, int(labels.max()) + 1))
    assert pyarrow.parquet.read_table(folder / "nuclei.parquet").num_rows == len(rows) > 5
    told = json.loads((folder / "provenance.json").read_text())
    assert told["model"]["name"].startswith("nuclei-3d@") and told["model"]["digest"].startswith("sha256:")
    assert told["result"]["nuclei"] == len(rows)
    assert (folder / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_measuring_again_gives_the_same_table(service: Service, embryo_image: Path) -> None:
    assert service.cli("segment", str(embryo_image), "--quiet").code == 0
    table = embryo_image / "noyau" / "nuclei" / "nuclei.csv"
    first = table.read_text()
    refused = service.cli("measure", str(embryo_image), "--quiet")
    assert refused.code == 5, refused
    told = service.cli("measure", str(embryo_image), "--quiet", "--overwrite")
    assert told.code == 0, told.err
    # Only the network knows how sure it was: a table measured from labels has no column for it.
    assert rows_without(table.read_text(), "certainty") == rows_without(first, "certainty")
    assert "certainty" in first and "certainty" not in table.read_text()
    assert leftovers(embryo_image) == []


def rows_without(table: str, column: str) -> list[dict[str, str]]:
    return [
        {name: value for name, value in row.items() if name != column} for row in csv.DictReader(table.splitlines())
    ]


@pytest.mark.slow
def test_the_lines_that_must_work_as_they_stand(tmp_path: Path) -> None:
    """Volumes from npz, two images in one job, a plane as well; relative paths, a private service."""
    for name, seed in (("a", 1), ("b", 2)):
        np.savez(tmp_path / f"{name}.npz", image=volume((16, 64, 64), seed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in "ab":
            paths = str(tmp_path / f"{name}.npz"), str(tmp_path / f"{name}.ome.zarr")
            assert cli("convert", *paths, "--voxel-size", "1.75,0.8,0.8").code == 0
    command = "segment a.ome.zarr b.ome.zarr --model nuclei-3d --labels nuclei --tile 32,64,64 --local --json"
    process = spawn(*command.split(), folder=tmp_path)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    job = json.loads(out)["job"]
    assert [image["uri"] for image in job["result"]["images"]] == [str(tmp_path / f"{n}.ome.zarr") for n in "ab"]
    for name, image in zip("ab", job["result"]["images"], strict=True):
        assert label_array(tmp_path / f"{name}.ome.zarr").max() == image["nuclei"] > 0
    assert leftovers(tmp_path) == []


def test_a_plane_from_npz(service: Service, place: Path) -> None:
    np.savez(place / "p.npz", image=volume((1, 160, 160), 3, "culture_2d")[0])
    image = place / "p.ome.zarr"
    assert cli("convert", str(place / "p.npz"), str(image), "--voxel-size", "0.5,0.5").code == 0
    told = service.cli("segment", str(image), "--json", "--quiet")
    assert told.code == 0, told.err
    result = json.loads(told.out)["job"]["result"]
    assert result["model"].startswith("nuclei-2d@") and result["nuclei"] == label_array(image).max() > 0
    assert label_array(image).shape == (160, 160)
