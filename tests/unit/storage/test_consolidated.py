"""Consolidated metadata stay true when groups are added."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from noyau.domain.access import AccessPolicy
from noyau.domain.image import ImageRef
from noyau.sinks import LabelSink, ResultSink
from noyau.sources import open_image
from noyau.storage.consolidated import refresh
from noyau.storage.store import Store


@pytest.mark.filterwarnings("ignore:Consolidated metadata:UserWarning")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_results_are_found_through_consolidated_metadata(
    make_image: Callable[..., Path], tmp_path: Path, version: str
) -> None:
    path, access = make_image(tmp_path / "a", np.ones((2, 3, 4), np.uint8), version=version), AccessPolicy.everything()
    zarr.consolidate_metadata(path)
    info = open_image(ImageRef(str(path)), access=access).info
    for job in ("job1", "job2"):
        sink = LabelSink.create(str(path), "nuclei", like=info, access=access, job=job, overwrite=True)
        sink.clear(0)
        LabelSink.create(str(path), "other", like=info, access=access, job="running")
        results = ResultSink.create(str(path), "nuclei", access=access, job=job, overwrite=True)
        results.write_table({"label": np.zeros(0, int)})
        results.commit()
        sink.commit({"job": job})
    root = zarr.open_group(path, mode="r", use_consolidated=True)
    assert root["labels/nuclei/0"].shape == (2, 3, 4)
    assert root["labels/nuclei"].attrs["noyau"]["job"] == "job2"
    assert root["tables/nuclei"].attrs["type"] == "feature_table"
    assert root["0"].shape == (2, 3, 4)
    assert not any(".partial" in name for name, _ in root.members(max_depth=None))


def test_nothing_is_added_where_there_is_none(make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(tmp_path / "a", np.ones((2, 3, 4), np.uint8))
    before = (path / "zarr.json").read_bytes()
    refresh(Store(str(path)), ("labels",))
    assert (path / "zarr.json").read_bytes() == before and not (path / ".zmetadata").exists()
