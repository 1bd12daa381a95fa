"""Evaluation of files and OME-Zarr images: pairing, reading, per image and pooled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound, PermissionRefused
from noyau.domain.geometry import VoxelSize
from noyau.pipelines import evaluate
from noyau.pipelines.evaluate import run_evaluate
from noyau.pipelines.pairing import image_name, pair_by_name
from noyau.training.metrics import score

ACCESS = AccessPolicy()


def labels(seed: int, shape: tuple[int, ...] = (6, 30, 30)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(shape, np.uint16)
    for value in range(1, 9):
        start = [rng.integers(0, n - 2) for n in shape]
        out[tuple(slice(a, a + 5) for a in start)] = value
    return out


def save(path: Path, array: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez_compressed(path, labels=array, image=array * 3)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array)
    return str(path)


def zarr_labels(path: Path, array: np.ndarray, group: str = "nuclei") -> str:
    """An OME-Zarr 0.5 image that holds nothing but a label group."""
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=3)
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scale = {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 0.5, 0.5]}], "path": "0"}
    multiscales = [{"name": group, "axes": axes, "datasets": [scale]}]
    root.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    root.create_array("0", data=array, chunks=array.shape)
    root.create_group("labels").attrs["ome"] = {"version": "0.5", "labels": [group]}
    inner = root["labels"].create_group(group)
    inner.attrs["ome"] = {"version": "0.5", "multiscales": multiscales, "image-label": {"version": "0.5"}}
    inner.create_array("0", data=array.astype(np.uint32), chunks=array.shape)
    return str(path)


def test_folders_are_paired_by_name_and_pooled(tmp_path: Path) -> None:
    truth = {f"im{k}": labels(k) for k in range(4)}
    predicted = {name: np.roll(array, 1, axis=-1) for name, array in truth.items()}
    for name, array in truth.items():
        save(tmp_path / "truth" / f"{name}.npz", array)
    for name, suffix in zip(list(truth)[:3], (".tif", ".npy", ".npz"), strict=True):
        save(tmp_path / "pred" / f"{name}{suffix}", predicted[name])
    report = run_evaluate([str(tmp_path / "pred")], [str(tmp_path / "truth")], access=ACCESS, thresholds=(0.5, 0.6))
    assert [i.name for i in report.images] == ["im0", "im1", "im2"]
    assert report.unused == ("im3",)
    for image in report.images:
        expected = score(truth[image.name], predicted[image.name], (0.5, 0.6))
        assert image.score.f1(0.6) == expected.f1(0.6)
        assert image.score.seg == pytest.approx(expected.seg)
    assert report.pooled.counts.images == 3
    assert report.pooled.pred == sum(i.score.pred for i in report.images)
    low, high = report.intervals.low["f1"][1], report.intervals.high["f1"][1]
    assert low <= report.pooled.f1(0.6) <= high and low < high


def test_report_is_a_table_and_plain_json(tmp_path: Path) -> None:
    truth, prediction = save(tmp_path / "a.npz", labels(1)), save(tmp_path / "b.npy", labels(2))
    report = run_evaluate([prediction], [truth], access=ACCESS, thresholds=(0.5, 0.75))
    rows = report.rows()
    assert [r["image"] for r in rows] == ["b", "pooled"]
    assert {"true", "predicted", "ap@0.5", "f1@0.75", "pq@0.5", "seg", "dice", "count_error"} <= set(rows[0])
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["images"][0]["seg"] == rows[0]["seg"] == document["pooled"]["seg"]
    assert document["images"][0]["detection_f1"] is None
    assert document["intervals"]["low"]["f1@0.5"] <= document["pooled"]["f1@0.5"]


def test_label_groups_of_ome_zarr_and_their_voxel_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "UNIT", (4, 16, 7))
    true = labels(3)
    predicted = np.roll(true, 1, axis=0)
    image = zarr_labels(tmp_path / "a.ome.zarr", predicted)
    truth = save(tmp_path / "a.npz", true)
    for place, name in ((image, "nuclei"), (image, None), (f"{image}/labels/nuclei", None)):
        report = run_evaluate([place], [truth], access=ACCESS, labels=name, radius_um=2.5)
        assert report.images[0].name == "a"
        expected = score(true, predicted, evaluate.THRESHOLDS, voxel_size=VoxelSize(2, 0.5, 0.5), radius_um=2.5)
        assert report.rows()[0]["detection_f1"] == expected.value("detection_f1") > 0
        assert report.pooled.counts.tp.tolist() == expected.counts.tp.tolist()


def test_names() -> None:
    for uri in (
        "/x/Emb10_t001.ome.zarr/labels/nuclei",
        "Emb10_t001.npz",
        "s3://b/Emb10_t001.zarr/",
        "Emb10_t001.OME.TIF",
    ):
        assert image_name(uri) == "Emb10_t001"


def test_what_does_not_fit_together_is_named(tmp_path: Path) -> None:
    a, b = save(tmp_path / "p" / "a.npz", labels(1)), save(tmp_path / "p" / "b.npz", labels(2))
    short = save(tmp_path / "t" / "a.npz", labels(1, (5, 30, 30)))
    with pytest.raises(InvalidInput, match=r"'a' differ.*\(6, 30, 30\).*\(5, 30, 30\)"):
        run_evaluate([a], [short], access=ACCESS)
    with pytest.raises(InvalidInput, match=r"no truth for 1 of 2 predictions.*'b'"):
        run_evaluate([a, b], [short], access=ACCESS)
    with pytest.raises(InvalidInput, match="Two predictions have the name 'a'"):
        pair_by_name([a, short], [a, b], ACCESS)
    with pytest.raises(InvalidInput, match="how large its voxels"):
        run_evaluate([a], [b], access=ACCESS, radius_um=2.0)
    with pytest.raises(InvalidInput, match="thresholds"):
        run_evaluate([a], [b], access=ACCESS, thresholds=(50,))
    with pytest.raises(NotFound, match=r"c\.npz"):
        run_evaluate([str(tmp_path / "c.npz")], [a], access=ACCESS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="holds no labels"):
        run_evaluate([str(tmp_path / "empty")], [a], access=ACCESS)
    with pytest.raises(PermissionRefused):
        run_evaluate([a], [short], access=AccessPolicy(roots=(str(tmp_path / "p"),)))


def test_real_labels_against_themselves(shared_data: Path) -> None:
    folder = shared_data / "bbbc050"
    embryo = sorted(str(p) for p in folder.glob("Emb10_t*.npz"))
    report = run_evaluate(embryo, [str(folder)], access=ACCESS, voxel_size=VoxelSize(1.75, 0.8, 0.8), radius_um=3.0)
    assert len(report.images) == len(embryo) and len(report.unused) == 99 - len(embryo)
    last = report.rows()[-1]
    assert last["true"] == last["predicted"] > 50
    assert last["f1@0.9"] == last["seg"] == last["detection_f1"] == last["dice"] == 1.0


def test_true_objects_that_only_mark_nuclei_are_left_out(tmp_path: Path) -> None:
    true, pred = np.zeros((8, 40, 40), np.uint16), np.zeros((8, 40, 40), np.uint16)
    true[2:6, 2:12, 2:12] = pred[2:6, 2:12, 3:12] = 1
    true[3:5, 20:22, 20:22] = 2  # a mark ...
    pred[2:6, 16:26, 16:26] = 5  # ... and what the model makes of the nucleus
    pred[2:6, 30:38, 30:38] = 6  # there is nothing in the truth
    pred[4, 20:22, 20:22] = 7  # another object, on the mark alone
    one, two = save(tmp_path / "p" / "a.npy", pred), save(tmp_path / "t" / "a.npy", true)
    plain = run_evaluate([one], [two], access=ACCESS).rows()[-1]
    assert (plain["true"], plain["predicted"]) == (2, 4)
    report = run_evaluate([one], [two], access=ACCESS, ignore_below=20)
    row = report.rows()[-1]
    assert (row["true"], row["predicted"]) == (1, 2)
    assert row["f1@0.5"] == pytest.approx(2 / 3)
    assert row["seg"] == pytest.approx(0.9)
    assert report.to_json()["ignore_below"] == 20


def test_what_is_matched_to_an_outlined_nucleus_counts_though_a_mark_lies_in_it(tmp_path: Path) -> None:
    true = np.zeros((8, 40, 40), np.uint16)
    true[2:6, 2:12, 2:12] = 9
    pred = (true > 0).astype(np.uint16)
    true[3, 4:6, 4:6] = 3
    row = run_evaluate(
        [save(tmp_path / "p" / "a.npy", pred)],
        [save(tmp_path / "t" / "a.npy", true)],
        access=ACCESS,
        ignore_below=20,
    ).rows()[-1]
    assert (row["true"], row["predicted"], row["f1@0.9"]) == (1, 1, 1.0)
