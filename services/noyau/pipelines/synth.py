"""Synthetic images as files: pairs for training, or OME-Zarr with the truth beside the image."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, FailedPrecondition, InvalidInput, LimitExceeded, NoyauError
from noyau.domain.geometry import VoxelSize
from noyau.domain.progress import Reporter, SilentReporter
from noyau.sources.convert import convert
from noyau.training.synthetic import SyntheticVolume, generate, recipe_named
from noyau.training.synthetic.preview import draw_preview
from noyau.training.synthetic.voxels import draw_voxel_size

TRUTH = "truth"
ZARR_SUFFIX = ".ome.zarr"
FORMATS = ("npz", "zarr")


@dataclass(frozen=True)
class SynthFile:
    """One image that was made: where it is, its nuclei, its seed, and its preview (empty where there is none)."""

    path: str
    nuclei: int
    seed: int
    voxel_size: VoxelSize
    preview: str = ""


def run_synth(
    out: str,
    shape: Sequence[int],
    voxel_size: VoxelSize | None,
    seed: int = 0,
    recipe_name: str = "wide",
    n: int = 1,
    *,
    fmt: str | None = None,
    ngff: str = "0.5",
    count: int | None = None,
    density: float | None = None,
    overwrite: bool = False,
    preview: bool = True,
    access: AccessPolicy | None = None,
    reporter: Reporter | None = None,
) -> list[SynthFile]:
    """Makes synthetic images. Image i has the seed `seed + i`, so any of them can be made again alone.

    Args:
        out: `something.npz` or `something.ome.zarr` for one image, else a folder that gets
            `<recipe>_<seed>.npz` or `.ome.zarr` files, with `.json` (what was drawn) and `.png` (preview) beside them.
        shape: voxels z/y/x; one plane makes 2D images, whose npz arrays are y/x.
        voxel_size: micrometres z/y/x; None draws one per image.
        seed: of the first image.
        recipe_name: `embryo`, `tissue`, `culture_2d` or `wide`.
        n: number of images.
        fmt: `npz` or `zarr`; None goes by the name of `out`, npz for a folder.
        ngff: version of the OME-Zarr: `0.5` or `0.4`.
        count, density: nuclei per image, or fraction of the space they fill; None draws them.
        overwrite: replace files that exist; otherwise that is an error.
        preview: also write the picture.
        access: where files may be written; None means wherever the user can.
        reporter: told the progress and asked whether to stop, once per image.

    Raises:
        NotFound: there is no such recipe.
        InvalidInput: shape, count or format make no sense.
        AlreadyExists: a file is there already.
        FailedPrecondition, LimitExceeded: the place cannot be written to, or is full.
    """
    access, reporter = access or AccessPolicy.everything(), reporter or SilentReporter()
    recipe = recipe_named(recipe_name)
    kind, targets = _targets(out, fmt, recipe_name, range(seed, seed + n), access, overwrite)
    reporter.stage("synthesise")
    made = []
    for i, target in enumerate(targets):
        reporter.check()
        size = voxel_size or draw_voxel_size(seed + i, flat=shape[0] == 1)
        volume = generate(shape, size, seed + i, recipe, count=count, density=density)
        made.append(_Writer(kind, ngff, overwrite, preview, access).write(target, volume, seed + i))
        reporter.progress(i + 1, n, "image")
    return made


def _targets(
    out: str, fmt: str | None, recipe_name: str, seeds: range, access: AccessPolicy, overwrite: bool
) -> tuple[str, list[str]]:
    """The format, and the checked path of each image."""
    if not seeds:
        raise InvalidInput(f"{len(seeds)} images cannot be made.", "Ask for one or more.")
    kind, single = _format(out, fmt, len(seeds))
    suffix = ".npz" if kind == "npz" else ZARR_SUFFIX
    names = [out] if single else [f"{out.rstrip('/')}/{recipe_name}_{seed:06d}{suffix}" for seed in seeds]
    targets = [access.check(name, write=True) for name in names]
    if not overwrite and (existing := [t for t in targets if "://" not in t and Path(t).exists()]):
        raise AlreadyExists(f"'{existing[0]}' exists already.", "Choose another name, or replace it with --overwrite.")
    return kind, targets


def _format(out: str, fmt: str | None, n: int) -> tuple[str, bool]:
    """`npz` or `zarr`, and whether `out` is the file itself rather than a folder."""
    named = "npz" if out.endswith(".npz") else "zarr" if out.rstrip("/").endswith(".zarr") else None
    if fmt is not None and (fmt not in FORMATS or named not in (None, fmt)):
        raise InvalidInput(f"'{out}' cannot be written as '{fmt}'.", f"Known formats: {', '.join(FORMATS)}.")
    if named is not None and n > 1:
        raise InvalidInput(f"{n} images do not fit into the one file '{out}'.", "Name a folder.")
    if "://" in out and not out.startswith("file://") and named != "zarr":
        raise InvalidInput(f"'{out}' is remote, where only single OME-Zarr images are written.", "Name a local folder.")
    return fmt or named or "npz", named is not None


@dataclass(frozen=True)
class _Writer:
    """Writes one image with what belongs to it; the image comes last, so where it is all is."""

    kind: str
    ngff: str
    overwrite: bool
    preview: bool
    access: AccessPolicy

    def write(self, target: str, volume: SyntheticVolume, seed: int) -> SynthFile:
        beside = self._beside(target, volume) if "://" not in target else {}
        try:
            if beside:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            for path, content in beside.items():
                _replace(path, content)
            if self.kind == "npz":
                _save_pair(Path(target), volume)
            else:
                _save_zarr(target, volume, self.ngff, self.overwrite, self.access)
        except (OSError, NoyauError) as error:
            if beside and not Path(target).exists():
                for path in beside:
                    with suppress(OSError):  # the first error is the one to tell
                        path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _told(error, target) from error
            raise
        picture = next((str(path) for path in beside if path.suffix == ".png"), "")
        return SynthFile(target, volume.count, seed, volume.voxel_size, picture)

    def _beside(self, target: str, volume: SyntheticVolume) -> dict[Path, bytes]:
        stem = target.removesuffix(".npz").removesuffix(".zarr").removesuffix(".ome")
        files = {Path(f"{stem}.json"): json.dumps(volume.record, indent=1).encode()}
        if self.preview:
            files[Path(f"{stem}.png")] = draw_preview(volume)
        return files


def _save_pair(path: Path, volume: SyntheticVolume) -> None:
    """Writes keys `image`, `labels` (y/x where there is one plane) and `voxel_size` (micrometres z/y/x)."""
    flat = volume.image.shape[0] == 1
    image, labels = (volume.image[0], volume.labels[0]) if flat else (volume.image, volume.labels)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, image=image, labels=labels, voxel_size=np.array(tuple(volume.voxel_size)))
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _save_zarr(target: str, volume: SyntheticVolume, ngff: str, overwrite: bool, access: AccessPolicy) -> None:
    """Goes through an npz in a private folder, so that there is one writer of OME-Zarr images only."""
    with tempfile.TemporaryDirectory(prefix="noyau-synth-") as folder:
        pair = Path(folder) / "pair.npz"
        _save_pair(pair, volume)
        # The private folder is ours; the target was checked against the caller's policy before.
        everything = AccessPolicy.everything(access.s3_endpoint)
        convert(
            str(pair), target, voxel_size=volume.voxel_size, ngff=ngff, overwrite=overwrite, labels=TRUTH,
            access=everything,
        )  # fmt: skip


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _told(error: OSError, target: str) -> FailedPrecondition | LimitExceeded:
    reason = error.strerror or str(error)
    if error.errno == 28:
        return LimitExceeded(f"'{target}' cannot be written: {reason}.", "Make room, or name another place.")
    return FailedPrecondition(f"'{target}' cannot be written: {reason}.", "Name a place that can be written to.")
