"""The further processes of a training job that works on several GPUs; the job's own process leads.

Each is given the request, the plan and the access policy on its standard input, reads the data for itself, and takes
its share of every batch. It ends with the job's process.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import FailedPrecondition, NotFound
from noyau.domain.progress import SilentReporter
from noyau.domain.training_jobs import TrainSpec
from noyau.models.package import read_package
from noyau.pipelines.train_data import read_data, with_synthetic
from noyau.pipelines.train_plan import read_plan
from noyau.pipelines.train_run import Origin, train_on
from noyau.training.ranks import Ranks, device_of_rank, join_ranks, leave_ranks

_LOCAL_HOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1


@contextmanager
def several(spec: TrainSpec, folder: Path, parent: Path | None, access: AccessPolicy) -> Iterator[Ranks]:
    """Starts `spec.processes - 1` further processes, joins them, and ends them with the context.

    Args:
        spec: the job's request.
        folder: of the run, with its plan.
        parent: package that is started from.
        access: where data may live.
    """
    if spec.processes == 1:
        yield Ranks()
        return
    device = _device(folder)
    names = {"MASTER_ADDR": _LOCAL_HOST, "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(spec.processes)}
    task = {"spec": asdict(spec), "access": asdict(access), "folder": str(folder), "parent": str(parent or "")}
    others: list[subprocess.Popen[bytes]] = []
    own = {**names, "RANK": "0", "LOCAL_RANK": "0"}
    try:
        for number in range(1, spec.processes):
            place = {"RANK": str(number), "LOCAL_RANK": str(number)}
            others.append(_start({**os.environ, **names, **place}, task))
        os.environ.update(own)
        yield join_ranks(device)
    finally:
        leave_ranks()
        for name in own:
            os.environ.pop(name, None)
        for process in others:
            process.kill()
            process.wait()


def _start(environment: dict[str, str], task: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "noyau.pipelines.train_processes"], stdin=subprocess.PIPE, stdout=2,
        env=environment,
    )  # fmt: skip
    if process.stdin is not None:
        process.stdin.write(json.dumps(task).encode())
        process.stdin.close()
    return process


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((_LOCAL_HOST, 0))
        return int(found.getsockname()[1])


def _device(folder: Path) -> str:
    plan = read_plan(folder)
    if plan is None:
        raise NotFound(f"There is no plan in '{folder}'.")
    if ":" in plan.config.device:
        raise FailedPrecondition(
            f"Several processes cannot share the device '{plan.config.device}'.", "Ask for the device cuda or cpu."
        )
    return plan.config.device


def main() -> None:
    """Joins the run that standard input describes, and takes part until it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    task = json.loads(sys.stdin.read())
    spec: TrainSpec = TypeAdapter(TrainSpec).validate_python(task["spec"])
    access: AccessPolicy = TypeAdapter(AccessPolicy).validate_python(task["access"])
    folder = Path(task["folder"])
    plan = read_plan(folder)
    if plan is None:
        raise NotFound(f"There is no plan in '{folder}'.")
    config = replace(plan.config, device=device_of_rank(plan.config.device))
    ranks = join_ranks(config.device)
    data = read_data(spec, config.ndim, access, SilentReporter())
    data = with_synthetic(data, spec, config, SilentReporter()).fitted(config)
    parent = read_package(Path(task["parent"])) if task["parent"] else None
    try:
        train_on(config, data, SilentReporter(), Origin(parent, plan.found), ranks=ranks)
    finally:
        leave_ranks()


if __name__ == "__main__":
    main()
