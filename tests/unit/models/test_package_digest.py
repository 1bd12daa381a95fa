"""Equal weights have equal digests, whenever and wherever a package is written."""

from __future__ import annotations

from pathlib import Path

from noyau.models.package import read_package, write_package
from noyau.models.registry import shipped_packages


def test_equal_weights_have_equal_digests(tmp_path: Path) -> None:
    shipped = next(folder for folder in sorted((shipped_packages() / "nuclei-2d").iterdir()) if folder.is_dir())
    loaded = read_package(shipped)
    state = loaded.network.state_dict()
    written = {write_package(tmp_path / str(i), loaded.info, state, "card").digest for i in range(8)}
    assert len(written) == 1
