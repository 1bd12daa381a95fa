"""Synthetic images as files: pairs for training, or OME-Zarr with the truth beside the image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, FailedPrecondition, InvalidInput, LimitExceeded, NoyauError
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.jobs import JobResult
from noyau.domain.progress import Reporter, SilentReporter
from noyau.domain.training_jobs import SynthSpec
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.pair_files import replace_file, save_npz, save_zarr
from noyau.training.synthetic import SyntheticVolume, generate, recipe_named
from noyau.training.synthetic.preview import draw_preview
from noyau.training.synthetic.volume import GENERATOR_VERSION
from noyau.training.synthetic.voxels import draw_voxel_size

TRUTH = "truth"
ZARR_SUFFIX = ".ome.zarr"
FORMATS = ("npz", "zarr")
RECORD = "synthetic.json"
SHAPES: dict[int, Index3] = {3: (48, 192, 192), 2: (1, 512, 512)}
"""Voxels of an image where the request names none, by dimensions."""
_JOB = "synth"


@dataclass(frozen=True)
class SynthFile:
    """One image that was made: where it is, its nuclei, its seed, and its preview (empty where there is none)."""

    path: str
    nuclei: int
    seed: int
    voxel_size: VoxelSize
    preview: str = ""


def run(spec: SynthSpec, context: PipelineContext) -> JobResult:
    """Makes the images of a job. A restarted job keeps what it has made.

    A folder also gets a record, `synthetic.json`, which lists the images with their seeds and nuclei.

    Raises:
        NoyauError: as `run_synth`.
    """
    shape = spec.shape or SHAPES[_dimensions(spec)]
    if (shape[0] == 1) != (spec.ndim == 2):
        raise InvalidInput(f"A {spec.ndim}D image cannot have the shape {shape}.", "A 2D image has one plane.")
    recipe_named(spec.recipe)
    book = UnitBook(context.ledger)
    seeds = range(spec.seed, spec.seed + spec.count)
    begun = bool(book.finished(_JOB, "begun"))
    # What is there when the job begins is somebody else's; what is there later this job made.
    _targets(spec.output, spec.fmt, spec.recipe, seeds, context.access, spec.overwrite or begun)
    book.mark(_JOB, "begun", "all")
    context.reporter.stage("synthesise")
    made: list[SynthFile] = []
    for done, seed in enumerate(seeds, start=1):
        context.reporter.check()
        known = book.finished(_JOB, "image").get(str(seed))
        made.append(_one(spec, shape, seed, context) if known is None else _from_payload(known["file"]))
        if known is None:
            book.mark(_JOB, "image", str(seed), {"file": asdict(made[-1])})
        context.reporter.progress(done, spec.count, "image")
    files = [path for file in made for path in (file.path, file.preview) if path]
    if not _is_single(spec):
        files.append(_write_record(spec, made, context.access))
    return JobResult(nuclei=sum(file.nuclei for file in made), files=tuple(files))


def cleanup(spec: SynthSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job half wrote; finished images stay."""
    seeds = range(spec.seed, spec.seed + spec.count)
    _, targets = _targets(spec.output, spec.fmt, spec.recipe, seeds, context.access, overwrite=True)
    for target in (Path(t) for t in targets if "://" not in t):
        for partial in target.parent.glob(f".{target.name}*.partial"):
            rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)


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


def _dimensions(spec: SynthSpec) -> int:
    if spec.ndim not in SHAPES:
        raise InvalidInput(f"A synthetic image has 2 or 3 dimensions, not {spec.ndim}.")
    return spec.ndim


def _is_single(spec: SynthSpec) -> bool:
    """The output is the image itself, not a folder."""
    return _format(spec.output, spec.fmt, spec.count)[1]


def _one(spec: SynthSpec, shape: Index3, seed: int, context: PipelineContext) -> SynthFile:
    """Makes the image of one seed, in the place that it has in the whole set."""
    kind, (target,) = _targets(spec.output, spec.fmt, spec.recipe, range(seed, seed + 1), context.access, True)
    size = spec.voxel_size or draw_voxel_size(seed, flat=spec.ndim == 2)
    recipe = recipe_named(spec.recipe)
    volume = generate(shape, size, seed, recipe, count=spec.nuclei, density=spec.density)
    return _Writer(kind, "0.5", True, spec.previews, context.access).write(target, volume, seed)


def _from_payload(values: Mapping[str, Any]) -> SynthFile:
    return SynthFile(**{**values, "voxel_size": VoxelSize(**values["voxel_size"])})


def _write_record(spec: SynthSpec, made: Sequence[SynthFile], access: AccessPolicy) -> str:
    """The list of all images of a folder."""
    path = Path(access.check(spec.output, write=True)) / RECORD
    document = {
        "generator": GENERATOR_VERSION,
        "request": {**asdict(spec), "output": path.parent.name},
        "images": [{**asdict(file), "path": Path(file.path).name, "preview": Path(file.preview).name} for file in made],
    }
    try:
        replace_file(path, json.dumps(document, indent=1).encode())
    except OSError as error:
        raise _told(error, str(path)) from error
    return str(path)


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
                replace_file(path, content)
            if self.kind == "npz":
                save_npz(Path(target), volume.image, volume.labels, volume.voxel_size)
            else:
                save_zarr(
                    target, volume.image, volume.labels, volume.voxel_size,
                    group=TRUTH, ngff=self.ngff, overwrite=self.overwrite, access=self.access,
                )  # fmt: skip
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


def _told(error: OSError, target: str) -> FailedPrecondition | LimitExceeded:
    reason = error.strerror or str(error)
    if error.errno == 28:
        return LimitExceeded(f"'{target}' cannot be written: {reason}.", "Make room, or name another place.")
    return FailedPrecondition(f"'{target}' cannot be written: {reason}.", "Name a place that can be written to.")
