"""Archives of ours: what they hold, and that they come back byte for byte."""

from __future__ import annotations

import hashlib
import io
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from noyau.domain.errors import AlreadyExists, DamagedData, InvalidInput, NotFound, NoyauError
from noyau.domain.intensity import percentiles, rescale
from noyau.domain.processing import apply, freeze, steps_from
from noyau.models.bioimageio import export, import_archive
from noyau.models.bioimageio.rdf import own_processing
from noyau.models.bioimageio.torchscript import check_torchscript
from noyau.models.package import read_package
from PIL import Image


def test_an_archive_comes_back_byte_for_byte(own_package, tmp_path):
    archive = export(own_package, tmp_path / "tiny.zip")
    info = import_archive(archive, tmp_path / "models")
    assert info == read_package(own_package).info
    folder = tmp_path / "models" / "tiny" / "2"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {p.name: p.read_bytes() for p in own_package.iterdir()}
    with pytest.raises(AlreadyExists, match="tiny@2"):
        import_archive(archive, tmp_path / "models")
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["tiny"]


def test_the_description_says_what_others_need(own_files):
    document = yaml.safe_load(own_files["bioimageio.yaml"])
    assert document["format_version"].startswith("0.5.") and document["type"] == "model"
    assert document["name"] == "noyau tiny" and document["license"] == "CC0-1.0" and document["version"] == "2"
    assert document["authors"] == [{"name": "A. Maker"}] and document["cite"][0]["doi"] == "10.1234/discs"
    (source,) = document["inputs"]
    y = source["axes"][2]
    assert (y["unit"], y["scale"], y["size"]) == ("micrometer", 0.5, {"min": 20, "step": 2})
    assert [step["id"] for step in source["preprocessing"]] == ["ensure_dtype", "scale_range", "clip"]
    assert document["outputs"][0]["axes"][1]["channel_names"] == ["foreground", "offset_y", "offset_x"]
    assert document["outputs"][0]["axes"][2]["halo"] == 8
    assert "discs" in document["training_data"]["description"]
    training = document["config"]["bioimageio"]["training"]
    assert training["initial_learning_rate"] == 0.003 and training["training_duration"] == 0.05
    assert document["config"]["noyau"]["software"]["torch"]
    assert b"Validation" in own_files["documentation.md"] and b"Finds little" in own_files["documentation.md"]
    assert Image.open(io.BytesIO(own_files["cover.png"])).size == (512, 256)
    assert b"torch==" in own_files["environment.yaml"]


def test_dark_nuclei_are_prepared_by_the_steps_of_the_description_as_by_us(own_package):
    info = read_package(own_package).info
    info = replace(info, normalisation=replace(info.normalisation, low=25.0, high=99.8, inverted=True))
    image = np.random.default_rng(0).normal(500, 100, (40, 50))
    steps = steps_from(own_processing(info)["input"]["steps"])
    theirs = apply(freeze(steps, image), image.astype(np.float32))
    ours = rescale(image, *percentiles(image, info.normalisation)).clip(*info.normalisation.clip)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    ends = next(step for step in own_processing(info)["input"]["steps"] if step["id"] == "scale_range")["kwargs"]
    assert ends["min_percentile"] < ends["max_percentile"]


def test_every_file_has_its_digest(own_files):
    named = {}

    def collect(value):
        if isinstance(value, dict):
            if "source" in value:
                named[value["source"]] = value["sha256"]
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(yaml.safe_load(own_files["bioimageio.yaml"]))
    assert set(named) == set(own_files) - {"bioimageio.yaml", "cover.png"}
    assert all(hashlib.sha256(own_files[name]).hexdigest() == digest for name, digest in named.items())


def test_the_program_gives_the_test_output_and_would_pass_our_own_check(own_files):
    check_torchscript(own_files["weights.torchscript"], "weights.torchscript")
    image = np.load(io.BytesIO(own_files["test_input.npy"]))
    low, high = np.percentile(image.astype(float), [50.0, 99.5])
    prepared = np.clip((image - low) / (high - low + 1e-6), -0.5, 20.0).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.load(io.BytesIO(own_files["weights.torchscript"]))
    with torch.inference_mode():
        found = network(torch.from_numpy(prepared)).numpy()
    assert np.allclose(found, np.load(io.BytesIO(own_files["test_output.npy"])), atol=1e-4)
    assert found[:, 0].min() >= 0 and found[:, 0].max() <= 1 and np.ptp(found) > 0


def test_an_archive_that_is_there_stays(own_package, tmp_path):
    target = tmp_path / "tiny.zip"
    target.write_bytes(b"mine")
    with pytest.raises(AlreadyExists, match="--overwrite"):
        export(own_package, target)
    assert target.read_bytes() == b"mine"
    assert export(own_package, target, overwrite=True).stat().st_size > 1000


def test_a_full_disk_leaves_no_half_archive(own_package, small_disk, tmp_path):
    folder = shutil.copytree(own_package, tmp_path / "large")
    (folder / "noise.png").write_bytes(np.random.default_rng(0).bytes(400_000))
    with pytest.raises(NoyauError, match="no space"):
        export(folder, small_disk / "tiny.zip")
    assert list(small_disk.iterdir()) == []


def test_nothing_to_export_or_import(tmp_path, own_package):
    with pytest.raises(NotFound):
        export(tmp_path / "none", tmp_path / "x.zip")
    with pytest.raises(NotFound, match=r"none\.zip"):
        import_archive(tmp_path / "none.zip", tmp_path)
    with pytest.raises(NoyauError):
        export(own_package, tmp_path / "no" / "folder" / "x.zip")


def test_a_changed_card_is_noticed(own_files, pack, tmp_path):
    with pytest.raises(DamagedData, match=r"README\.md.*does not match the digest"):
        import_archive(pack({**own_files, "README.md": b"# better\n"}, digests=False), tmp_path / "models")


def test_models_of_others_are_not_passed_on_as_ours(foreign, tmp_path, no_trial):
    info = import_archive(foreign(), tmp_path / "models")
    with pytest.raises(InvalidInput, match="another maker's archive"):
        export(tmp_path / "models" / info.name / info.version, tmp_path / "x.zip")
