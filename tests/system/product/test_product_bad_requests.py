"""Bad requests as a user types them: one clear sentence, the right exit code, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_input import Case, check_refused
from product_kit import Service, cli

Make = Callable[..., Path]


def outside(place: Path) -> Path:
    """A folder that the service may not touch."""
    folder = place.parent.parent / f"outside-{place.name}"
    folder.mkdir(exist_ok=True)
    return folder


def link_out(place: Path, image: Path) -> list[str]:
    target = outside(place) / "real.ome.zarr"
    image.rename(target)
    (place / "link.ome.zarr").symlink_to(target)
    return [str(place / "link.ome.zarr")]


def output_through_link(place: Path, image: Path) -> list[str]:
    (place / "link").symlink_to(outside(place))
    return [str(image), "--output", str(place / "link" / "out.ome.zarr")]


def plain_file(place: Path, image: Path) -> list[str]:
    np.savez(place / "a.npz", image=np.ones((4, 8, 8)), mask=np.ones((4, 8, 8)))
    return [str(place / "a.npz")]


def folder_of_something(place: Path, image: Path) -> list[str]:
    (place / "folder").mkdir()
    (place / "folder" / "notes.txt").write_text("no image")
    return [str(place / "folder")]


def occupied_output(place: Path, image: Path) -> list[str]:
    return [str(image), "--output", folder_of_something(place, image)[0]]


def twice(place: Path, image: Path) -> list[str]:
    return [str(image), str(image)]


def option(*words: str) -> Callable[[Path, Path], list[str]]:
    return lambda place, image: [str(image), *words]


SEGMENT = [
    Case("missing-path", lambda place, image: [str(place / "absent.ome.zarr")], 4, "There is nothing at"),
    Case("no-zarr", folder_of_something, 3, "is not a Zarr"),
    Case("file-to-convert", plain_file, 3, "noyau convert"),
    Case("outside-the-roots", lambda place, image: [str(outside(place))], 6, "outside the folders"),
    Case("dots-lead-out", lambda place, image: [f"{place}/../../{outside(place).name}"], 6, "outside the folders"),
    Case("link-out", link_out, 6, "outside the folders"),
    Case("output-outside", lambda place, image: [str(image), "--output", str(outside(place) / "o")], 6, "outside"),
    Case("output-through-link", output_through_link, 6, "outside"),
    Case("output-is-a-file", lambda place, image: [str(image), "--output", plain_file(place, image)[0]], 3, "file"),
    Case("output-is-something-else", occupied_output, 3, "neither an OME-Zarr nor an empty folder"),
    Case("the-same-twice", twice, 3, "would write to"),
    Case("foreign-bucket", lambda place, image: ["s3://somebody/a.ome.zarr"], 6, "'somebody'"),
    Case("foreign-host", lambda place, image: ["https://example.org/a.ome.zarr"], 6, "'example.org'"),
    Case("unknown-scheme", lambda place, image: ["ftp://example.org/a"], 3, "ftp"),
    Case("unknown-channel", option("--channel", "GFP"), 4, "'GFP' does not exist"),
    Case("channel-too-high", option("--channel", "3"), 3, "Channel 3 does not exist"),
    Case("unknown-level", option("--level", "4"), 3, "Level 4"),
    Case("negative-level", option("--level", "-1"), 3, "Level -1"),
    Case("unknown-time", option("--time", "0-5"), 3, "Time points 0 to 5"),
    Case("time-backwards", option("--time", "3-1"), 3, "cannot exist"),
    Case("time-in-words", option("--time", "all"), 3, "no time points"),
    Case("unknown-model", option("--model", "nuclei-4d"), 4, "nuclei-3d"),
    Case("unknown-version", option("--model", "nuclei-3d@99"), 4, "nuclei-3d@99"),
    Case("model-for-planes", option("--model", "nuclei-2d"), 3, "for 2D images"),
    Case("unknown-device", option("--device", "tpu"), 3, "'tpu' is unknown"),
    Case("unknown-backend", option("--backend", "caffe"), 3, "'caffe' is unknown"),
    Case("tile-over-the-limit", option("--tile", "4000,4000,4000"), 8, "limit"),
    Case("empty-tile", option("--tile", "0,64,64"), 3, "is empty"),
    Case("tile-in-words", option("--tile", "large"), 3, "not made of numbers"),
    Case("voxel-size-in-words", option("--voxel-size", "small"), 3, "not made of numbers"),
    Case("voxel-size-zero", option("--voxel-size", "0,1,1"), 3, "oxel size"),
    Case("voxel-size-not-finite", option("--voxel-size", "nan,1,1"), 3, "oxel size"),
    Case("grid-over-the-limit", option("--voxel-size", "900,900,900"), 8, "on the model's grid"),
    Case("foreground-above-1", option("--foreground", "1.5"), 3, "between 0 and 1"),
    Case("negative-volume", option("--min-volume", "-3"), 3, "smallest volume"),
    Case("zero-diameter", option("--diameter", "0"), 3, "diameter"),
    Case("no-batch", option("--batch", "0"), 3, "batch"),
    Case("labels-name-climbs", option("--labels", "../x"), 3, "cannot name a label group"),
]


@pytest.mark.parametrize("case", SEGMENT, ids=lambda case: case.name)
def test_segment_refuses(case: Case, service: Service, place: Path, tiny_image: Path) -> None:
    check_refused(service, place, ["segment", *case.arguments(place, tiny_image), "--quiet"], case)


def test_a_gpu_that_is_not_there(service: Service, place: Path, tiny_image: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    case = Case("gpu", option("--device", "cuda"), 11, "this machine has no usable GPU")
    check_refused(service, place, ["segment", *case.arguments(place, tiny_image)], case)


def test_existing_labels_are_kept(service: Service, place: Path, embryo_image: Path) -> None:
    assert service.cli("segment", str(embryo_image), "--quiet").code == 0
    case = Case("again", option(), 5, "--overwrite")
    check_refused(service, place, ["segment", str(embryo_image)], case)
    unknown = Case("channel", option(), 4, "'GFP' does not exist")
    check_refused(service, place, ["measure", str(embryo_image), "--channel", "GFP", "--overwrite"], unknown)
    assert service.cli("segment", str(embryo_image), "--quiet", "--overwrite").code == 0


MEASURE = [
    Case("no-labels", option(), 4, "nuclei"),
    Case("missing-path", lambda place, image: [str(place / "absent")], 4, "There is nothing at"),
    Case("outside", lambda place, image: [str(outside(place))], 6, "outside the folders"),
]


@pytest.mark.parametrize("case", MEASURE, ids=lambda case: case.name)
def test_measure_refuses(case: Case, service: Service, place: Path, tiny_image: Path) -> None:
    check_refused(service, place, ["measure", *case.arguments(place, tiny_image)], case)


CONVERT = [
    Case("missing-file", lambda place, image: [str(place / "no.npz"), str(place / "o.zarr")], 4, "no.npz"),
    Case("unknown-type", lambda place, image: [str(image / "zarr.json"), str(place / "o.zarr")], 3, "zarr.json"),
    Case("exists", lambda place, image: [plain_file(place, image)[0], str(image)], 5, "--overwrite"),
    Case(
        "no-such-array",
        lambda place, image: [plain_file(place, image)[0], str(place / "o.zarr"), "--key", "pixels"],
        4,
        "image, mask",
    ),
    Case(
        "wrong-axes",
        lambda place, image: [plain_file(place, image)[0], str(place / "o.zarr"), "--axes", "tzcyx"],
        3,
        "axes",
    ),
]


@pytest.mark.parametrize("case", CONVERT, ids=lambda case: case.name)
def test_convert_refuses(case: Case, service: Service, place: Path, tiny_image: Path) -> None:
    check_refused(None, place, ["convert", *case.arguments(place, tiny_image)], case)


@pytest.mark.parametrize("words", [("jobs", "show"), ("jobs", "watch"), ("jobs", "cancel"), ("models", "show")])
def test_what_the_service_does_not_know(words: tuple[str, str], service: Service, place: Path) -> None:
    check_refused(
        service, place, [*words, "nothing-of-that-name"], Case("unknown", option(), 4, "nothing-of-that-name")
    )


def test_no_service_answers(place: Path, tiny_image: Path) -> None:
    told = cli("segment", str(tiny_image), "--server", f"unix:{place}/nobody.sock")
    assert told.code == 7 and told.err.startswith("noyau: ") and "Traceback" not in told.err
    assert list(place.iterdir()) == [tiny_image]
