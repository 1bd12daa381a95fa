"""A running service is scraped while it works: its jobs, calls and workers are in the figures."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pytest
from noyau.client import Client
from noyau.config import Settings
from noyau.domain.errors import NotFound
from noyau.domain.jobs import JobState
from noyau.domain.training_jobs import SynthSpec
from noyau.main import Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": folder / "state",
            "models_home": str(folder / "models"),
            "listen": {"address": f"unix:{folder / 's.sock'}"},
            "metrics": {"address": "127.0.0.1:0"},
            "access": {"roots": [str(folder)]},
            "jobs": {"threads": 1},
        }
    )


def scrape(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def work(address: str, folder: Path) -> None:
    """One job that succeeds, one call that fails. Runs in a thread beside the service's loop."""
    with Client(address) as client:
        spec = SynthSpec(str(folder / "made"), ndim=2, count=1, seed=1, shape=(1, 64, 64))
        job = client.wait(client.submit(spec, group="lab").id)
        assert job.state is JobState.SUCCEEDED, job.error
        with pytest.raises(NotFound):
            client.get("0000")


async def test_a_running_service_tells_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for start in (1, 2):
        service = Service(settings(tmp_path), warm=False)
        await service.start()
        try:
            if start == 1:
                await asyncio.to_thread(work, service.address, tmp_path)
            found = await asyncio.to_thread(scrape, service.metrics_address)
        finally:
            await service.stop()
        # The same after a restart: jobs are counted from the store.
        assert found['noyau_jobs_ended_total{kind="synth",state="succeeded"}'] == 1
        assert found['noyau_group_jobs_total{group="lab",state="succeeded"}'] == 1
        assert found['noyau_stage_runs_total{kind="synth",stage="synthesise"}'] >= 1
        assert found['noyau_workers{state="alive"}'] <= 1
        if start == 1:
            assert found['noyau_workers{state="alive"}'] == 1
            assert found['noyau_rpcs_total{code="OK",method="/noyau.v1.JobService/Submit"}'] == 1
            assert found['noyau_rpcs_total{code="NOT_FOUND",method="/noyau.v1.JobService/Get"}'] == 1
