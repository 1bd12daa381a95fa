"""A model package as a bioimage.io archive (model description 0.5).

The archive holds our package as it is, with its safetensors weights, and beside it what other software needs: the
network as TorchScript, its weights as a PyTorch state dict, a test input with its output, an environment, the model
card and pictures. `config.noyau` names the files of the package with their digests, so that reading our own archive
back gives the same package, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
import yaml

from noyau.domain.errors import AlreadyExists, InvalidInput
from noyau.domain.geometry import Index3
from noyau.domain.model import ModelInfo
from noyau.models.bioimageio import names
from noyau.models.bioimageio.card import documentation, environment
from noyau.models.bioimageio.network import ExportedNetwork, exported_arguments
from noyau.models.bioimageio.pictures import cover
from noyau.models.bioimageio.rdf import Facts, description, own_processing
from noyau.models.foreign.networks import is_foreign
from noyau.models.foreign.running import run_foreign
from noyau.models.package import CARD_FILE, LoadedModel, read_package
from noyau.models.sample import draw_image
from noyau.storage.failures import write_error

EPOCH = (1980, 1, 1, 0, 0, 0)


def export(folder: Path, zip_path: Path, *, overwrite: bool = False) -> Path:
    """Writes a model package as an archive and returns its path.

    Args:
        folder: the package.
        zip_path: the archive; its folder must exist.
        overwrite: replace an archive that is there.

    Raises:
        NotFound, DamagedData: there is no package, or it is damaged or fails its own test.
        AlreadyExists: the archive is there.
        InvalidInput: the model came from another maker; share the archive that it came in.
        NoyauError: the archive cannot be written.
    """
    if zip_path.exists() and not overwrite:
        raise AlreadyExists(f"The archive '{zip_path}' is there already.", "Give --overwrite to replace it.")
    loaded = read_package(folder)
    if is_foreign(loaded.info.architecture):
        raise InvalidInput(
            f"The model {loaded.info.ref} was imported from another maker's archive.",
            "Share the archive that it came in.",
        )
    _write_zip(zip_path, _files(folder, loaded))
    return zip_path


def _files(folder: Path, loaded: LoadedModel) -> dict[str, bytes]:
    """Everything in the archive, by name; the description first."""
    info = loaded.info
    network = ExportedNetwork(loaded.network, info.normalisation.gain, exported_arguments(info)["logits"]).eval()
    image, output = _test_pair(info, network)
    package = _package_files(folder)
    files = {
        names.TEST_INPUT: _npy(image),
        names.TEST_OUTPUT: _npy(output),
        names.STATE_DICT: _state_dict(network),
        names.TORCHSCRIPT: _torchscript(network, image.shape[2:]),
        names.ENVIRONMENT: environment(info).encode(),
        names.COVER: cover(image[0, 0], output[0, 0]),
        **package,
    }
    card = package.get(CARD_FILE, b"").decode("utf-8", "replace")
    files[names.DOCUMENTATION] = documentation(info, card).encode()
    facts = Facts(
        info=info,
        minimum=_smallest(info),
        channels=output.shape[1],
        pytorch=torch.__version__.partition("+")[0],
        digests={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        package=tuple(package),
    )
    text = yaml.safe_dump(description(facts), sort_keys=False, allow_unicode=True, width=120)
    return {names.RDF: text.encode(), **files}


def _package_files(folder: Path) -> dict[str, bytes]:
    """The files of the package itself, pictures among them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
    }


def _smallest(info: ModelInfo) -> Index3:
    """The smallest input z/y/x that leaves something when the halo is cut off."""
    z, y, x = (-(-(2 * h + 2 * s) // s) * s for h, s in zip(info.halo, info.stride, strict=True))
    return (z if info.ndim == 3 else 1, y, x)


def _test_pair(info: ModelInfo, network: ExportedNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Test input (1, 1, *spatial) and output (1, channels, *spatial), float32."""
    image = draw_image(info, _smallest(info)).astype(np.float32)
    tensor = (image if info.ndim == 3 else image[0])[None, None]
    return tensor, run_foreign(network, own_processing(info), tensor)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _state_dict(network: ExportedNetwork) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(network.state_dict()), buffer)
    return buffer.getvalue()


def _torchscript(network: ExportedNetwork, spatial: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # torch announces another format; bioimage.io knows this one.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        traced: Any = torch.jit.trace(network, torch.zeros(1, 1, *spatial))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _write_zip(target: Path, files: dict[str, bytes]) -> None:
    beside = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, content)
        beside.replace(target)
    except OSError as error:
        raise write_error(error, f"'{target}'") from error
    finally:
        if beside.exists():
            beside.unlink()
