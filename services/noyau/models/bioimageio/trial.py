"""A first run of another maker's program or graph in a process of its own, which may do nothing but compute.

Before it is loaded, the process gives up the right to write (files of no size), to compute for ever, and, for a
TorchScript program, to open files and sockets (no further descriptors; the reader of ONNX graphs, which run no
operations on files, needs them). A crash of a parser ends that process and not the service. It is run
as `python -m noyau.models.bioimageio.trial FOLDER`; the folder holds the weights and the test tensors.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from noyau.domain.errors import DeadlineExceeded, InvalidInput, NoyauError, error_from_kind

SECONDS = 300
MEMORY = 64 * 2**30
TASK, WEIGHTS, TENSOR = "task.json", "weights.bin", "input.npy"
_PREFIX = "noyau-trial:"


def try_out(folder: Path, architecture: str, content: bytes, processing: dict[str, Any], tensor: np.ndarray) -> None:
    """Runs the test input through a program in a process of its own.

    Args:
        folder: an empty folder for the task; the caller removes it.
        architecture: `torchscript` or `onnx`.
        content: the file.
        processing: see `noyau.models.bioimageio.reading`.
        tensor: the test input.

    Raises:
        DeadlineExceeded: it computes for too long.
        InvalidInput: it crashes.
        NoyauError: what the process said.
    """
    folder.mkdir(parents=True)
    (folder / TASK).write_text(json.dumps({"architecture": architecture, "processing": processing}))
    (folder / WEIGHTS).write_bytes(content)
    np.save(folder / TENSOR, tensor, allow_pickle=False)
    keep = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS", "HOME", "LANG")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment.update(CUDA_VISIBLE_DEVICES="", OPENVINO_TELEMETRY_DISABLE="1")
    command = [sys.executable, "-W", "ignore", "-m", "noyau.models.bioimageio.trial", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, env=environment, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise DeadlineExceeded(f"The {architecture} network did not answer its test input in {SECONDS} s.") from error
    said = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith(_PREFIX)]
    if done.returncode != 0 or not said:
        raise InvalidInput(
            f"The {architecture} network ended the process that tried it (code {done.returncode}).",
            "Ask its makers for weights in another format.",
        )
    verdict = json.loads(said[-1].removeprefix(_PREFIX))
    if verdict:
        raise error_from_kind(verdict["kind"], verdict["cause"], verdict["remedy"])


def main(folder: Path) -> None:
    """What the process does."""
    from noyau.models.foreign.networks import build_foreign, state_of
    from noyau.models.foreign.running import run_foreign

    task = json.loads((folder / TASK).read_text())
    content, tensor = (folder / WEIGHTS).read_bytes(), np.load(folder / TENSOR, allow_pickle=False)
    _warm_up(task["processing"], tensor)
    _give_up_rights(is_program=task["architecture"] == "torchscript")
    verdict: dict[str, str] = {}
    try:
        network = build_foreign(task["architecture"], {}, state_of(task["architecture"], content))
        run_foreign(network, task["processing"], tensor)
    except NoyauError as error:
        verdict = {"kind": error.kind.value, "cause": error.cause, "remedy": error.remedy}
    except Exception as error:  # whatever the program raises is its verdict
        # The last line is what went wrong; those before it tell where in the program.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300].rstrip(".")
        cause = f"The {task['architecture']} network cannot take its own test input: {reason}."
        verdict = {"kind": "INVALID_ARGUMENT", "cause": cause, "remedy": ""}
    os.write(1, f"\n{_PREFIX}{json.dumps(verdict)}\n".encode())


def _warm_up(processing: dict[str, Any], tensor: np.ndarray) -> None:
    """Loads what numpy and torch load with the first use, while files may still be opened."""
    import torch

    from noyau.domain.processing import freeze, steps_from

    freeze(steps_from(processing["input"]["steps"]), tensor)
    layer = torch.nn.Conv2d(1, 1, 3)
    with torch.inference_mode():
        torch.jit.script(layer)(torch.zeros(1, 1, 8, 8))


def _give_up_rights(*, is_program: bool) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if is_program:
        # Descriptors that are open stay open; none can be added, and nothing can be started that needs one.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
