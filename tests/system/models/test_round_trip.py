"""The shipped models leave as bioimage.io archives, pass the test of bioimageio.core, and come back as they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from noyau.inference.cache import BackendCache
from noyau.models.bioimageio import export, import_archive
from noyau.models.registry import ModelRegistry, shipped_packages
from noyau.pipelines import preview

MODELS = ("nuclei-2d", "nuclei-3d")
# In a process of its own, as another user of the archives would: it must not learn from what is loaded here.
TEST = """
import json, sys
from bioimageio.core import test_model
found = {}
for path in sys.argv[1:]:
    summary = test_model(path, devices=["cpu"])
    errors = [str(error.msg) for detail in summary.details for error in detail.errors]
    found[path] = {"status": summary.status, "errors": errors, "steps": [detail.name for detail in summary.details]}
found["torchvision"] = "torchvision" in sys.modules
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_export_core_test_import_same_labels(tmp_path: Path) -> None:
    pytest.importorskip("bioimageio.core", reason="the extra 'bioimageio' is not installed")
    archives = {name: export(newest(name), tmp_path / f"{name}.zip") for name in MODELS}

    environment = {**os.environ, "BIOIMAGEIO_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", TEST, *map(str, archives.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    verdicts = json.loads(done.stdout.splitlines()[-1])
    assert not verdicts["torchvision"]
    for name, archive in archives.items():
        verdict = verdicts[str(archive)]
        assert verdict["status"] == "passed", verdict["errors"]
        reproduced = " ".join(step for step in verdict["steps"] if "Reproduce test outputs" in step)
        assert "pytorch_state_dict" in reproduced and "torchscript" in reproduced

        imported = import_archive(archive, tmp_path / "models")
        registry = ModelRegistry([tmp_path / "models"])
        assert registry.get(name) == imported
        image = blobs(imported.ndim)
        before = labels(image, ModelRegistry([shipped_packages()]), imported.ref)
        assert before.max() >= 3
        assert np.array_equal(before, labels(image, registry, imported.ref))


def newest(name: str) -> Path:
    """The package of the newest shipped version."""
    return max((shipped_packages() / name).iterdir(), key=lambda path: int(path.name))


def labels(image: np.ndarray, registry: ModelRegistry, model: str) -> np.ndarray:
    backends = BackendCache()
    found = preview.run(image, registry=registry, backends=backends, model=model, device="cpu", backend="torch").labels
    backends.close()
    assert found is not None
    return found


def blobs(ndim: int) -> np.ndarray:
    """Bright round spots, uint16 z/y/x, as wide as the model's nuclei."""
    shape = (24, 96, 96) if ndim == 3 else (1, 128, 128)
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    image = np.random.default_rng(0).normal(200, 10, shape)
    places = [(12, 24, 24), (12, 24, 70), (11, 70, 30), (13, 68, 72)] if ndim == 3 else []
    places += [(0, y, x) for y in (30, 90) for x in (30, 90)] if ndim == 2 else []
    for z, y, x in places:
        far = ((grid[0] - z) / 4.0) ** 2 + ((grid[1] - y) / 8.5) ** 2 + ((grid[2] - x) / 8.5) ** 2
        image += 900 / (1 + np.exp(6 * (np.sqrt(far) - 1)))
    return np.asarray(np.clip(image, 0, 65535), np.uint16)
