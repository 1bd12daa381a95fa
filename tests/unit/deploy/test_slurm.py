"""The batch script: what Slurm would read of it, and a run of it without Slurm."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from noyau.config import Settings

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "slurm"
SCRIPT = FOLDER / "noyau.sbatch"
WORKERS = FOLDER / "workers.sbatch"
PATIENCE = 200


@pytest.mark.parametrize("script", [SCRIPT, WORKERS], ids=lambda path: path.name)
def test_bash_can_read_it(script: Path) -> None:
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", [SCRIPT, WORKERS], ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not on this machine")
    done = subprocess.run([shellcheck, "--shell=bash", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_slurm_reads() -> None:
    lines = SCRIPT.read_text().splitlines()
    asked = [line for line in lines if line.startswith("#SBATCH")]
    # Slurm stops looking at the first command.
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(lines.index(line) < first for line in asked)
    options = dict(re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in asked)  # type: ignore[union-attr]
    assert options["dependency"] == "singleton"
    assert options["signal"] == "B:TERM@120"
    assert {"nodes", "ntasks", "cpus-per-task", "mem", "gres", "time", "requeue", "output"} <= set(options)


def test_there_is_time_for_an_orderly_end(
    settings_of: Callable[[Mapping[str, str]], Settings], stop_seconds: Callable[[Settings], float]
) -> None:
    warned = int(re.search(r"--signal=B:TERM@(\d+)", SCRIPT.read_text()).group(1))  # type: ignore[union-attr]
    assert warned > stop_seconds(settings_of({}))


def test_workers_ask_slurm_for_what_they_need() -> None:
    lines = WORKERS.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    asked = [line for line in lines if line.startswith("#SBATCH")]
    assert all(lines.index(line) < first for line in asked)
    options = dict(re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in asked)  # type: ignore[union-attr]
    assert options["ntasks-per-node"] == "1"
    # Any number of them may run at a time.
    assert "dependency" not in options
    assert {"nodes", "cpus-per-task", "mem", "gres", "time", "requeue", "output", "signal"} <= set(options)


@pytest.mark.parametrize("script", [SCRIPT, WORKERS], ids=lambda path: path.name)
def test_every_variable_is_a_setting_with_a_value_that_it_takes(
    script: Path, settings_of: Callable[[Mapping[str, str]], Settings], tmp_path: Path
) -> None:
    text = "\n".join(line for line in script.read_text().splitlines() if not line.startswith("#"))
    given = dict(re.findall(r"^\s*(?:export )?(NOYAU_\w+)=(\S+)$", text, flags=re.MULTILINE))
    assert set(given) == set(re.findall(r"NOYAU_\w+", text))
    values = {"$STATE": str(tmp_path), "$DASK_TLS": "/dask", "$TLS": "/tls", "$SOCKETS": "/tmp/s"}
    values |= {"$(hostname -f)": "node1", "${DEVICE:-auto}": "cuda"}
    values["${SLURM_CPUS_PER_TASK:-1}"] = "8"
    for name, text in given.items():
        for written, value in values.items():
            text = text.replace(written, value)
        given[name] = text
    settings = settings_of(given)
    assert settings.jobs.threads == 8
    assert settings.dask.scheduler_file == tmp_path / "scheduler.json"
    assert str(settings.dask.tls_key) == "/dask/node.key"
    if script == SCRIPT:
        assert settings.listen.tls_client_ca == Path("/tls/clients-ca.pem")


@dataclass(frozen=True)
class Batch:
    """A script that runs, its state folder and its output."""

    process: subprocess.Popen[str]
    state: Path
    log: Path

    def address(self) -> str:
        """Waits for the address file."""
        deadline = time.monotonic() + PATIENCE
        while not (self.state / "address").exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return (self.state / "address").read_text().strip()


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[Callable[[str], Batch]]:
    """Starts the script as Slurm would, with a task of one processor, on a folder of images."""
    started: list[subprocess.Popen[str]] = []
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "noyau").write_text(f'#!/bin/sh\nexec {sys.executable} -m noyau.cli "$@"\n')
    (programs / "noyau").chmod(0o755)

    def start(images: str) -> Batch:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOYAU_", "SLURM_"))}
        environment = {
            **kept,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "IMAGES": images,
            "STATE": str(tmp_path / "state"),
            "SLURM_JOB_ID": "4711",
            "SLURM_CPUS_PER_TASK": "1",
        }
        log = tmp_path / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", str(SCRIPT)], env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
            )
        started.append(process)
        return Batch(process, tmp_path / "state", log)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)


def test_it_serves_until_slurm_asks_it_to_end(batch: Callable[[str], Batch], tmp_path: Path) -> None:
    job = batch(str(tmp_path))
    address = job.address()
    folder = Path(address.removeprefix("unix:")).parent
    # Other people on the node must not come in: nothing else protects the socket.
    assert address.startswith("unix:")
    assert folder.stat().st_mode & 0o077 == 0
    assert job.state.stat().st_mode & 0o077 == 0
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        answer = health.Check(health_pb2.HealthCheckRequest(service="noyau.v1.JobService"), timeout=PATIENCE)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    job.process.send_signal(signal.SIGTERM)
    assert job.process.wait(PATIENCE) == 0, job.log.read_text()
    assert not folder.exists()
    assert not (job.state / "address").exists()
    assert (job.state / "jobs.sqlite").exists()
    assert not list(job.state.glob(".output-*"))


def test_a_service_that_cannot_start_fails_the_batch_job(batch: Callable[[str], Batch], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "jobs.sqlite").write_text("no database")
    job = batch(str(tmp_path))
    assert job.process.wait(PATIENCE) != 0
    assert "Traceback" not in job.log.read_text()
    assert not (job.state / "address").exists()


def test_without_images_it_says_what_to_give(batch: Callable[[str], Batch]) -> None:
    job = batch("")
    assert job.process.wait(PATIENCE) != 0
    assert "--export=ALL,IMAGES=" in job.log.read_text()
    assert not job.state.exists()
