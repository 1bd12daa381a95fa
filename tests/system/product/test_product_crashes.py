"""kill -9 at any moment of a real job: it ends with the very labels of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
import pytest
from crash_harness import wait_until
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, Job, JobState, SegmentSpec
from product_kit import VOXEL, Service, label_array, leftovers, volume

KILLS = 25
UNITS_BEFORE_A_KILL = (0, 0, 0, 1, 1, 2)
"""Finished units from one kill to the next; 0 means that the next kill may come before anything was achieved."""


@pytest.fixture
def images(short_folder: Path, make_image: Callable[..., Path]) -> tuple[Path, ...]:
    """Two movies of six time points, so that every stage of the pipeline comes several times."""
    folder = short_folder / "images"
    folder.mkdir()
    paths = []
    for number in range(2):
        frames = np.stack([volume((16, 64, 64), seed) for seed in range(10 * number, 10 * number + 6)])
        paths.append(make_image(folder / f"{number}.ome.zarr", frames, "tzyx", scale=(1.0, *VOXEL)))
    return tuple(paths)


def spec_of(images: tuple[Path, ...]) -> SegmentSpec:
    return SegmentSpec(tuple(ImageRef(str(path)) for path in images), tile=(16, 32, 32), backend="torch")


@dataclass
class Tormentor:
    """Kills server or worker once the job has done a drawn number of further units, after a random delay.

    Attributes:
        seen: the ledger as of the last look: unit and when it was recorded.
        redone: units that were recorded a second time.
        kills: what was killed, by kind.
    """

    service: Service
    job_id: str
    chance: random.Random
    seen: dict[str, int] = field(default_factory=dict)
    redone: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=lambda: {"server": 0, "worker": 0})

    def look(self) -> int:
        """Number of finished units now; remembers those that were recorded again."""
        now = self.service.finished_units(self.job_id)
        self.redone += [unit for unit, when in self.seen.items() if now.get(unit) != when]
        self.seen = now
        return len(now)

    def is_over(self) -> bool:
        return self.service.state_of(self.job_id).is_final

    def kill_once(self) -> None:
        wanted = self.look() + self.chance.choice(UNITS_BEFORE_A_KILL)
        wait_until(lambda: self.look() >= wanted or self.is_over(), 120, "the job does not go on after a kill")
        time.sleep(self.chance.uniform(0, 0.2))
        server, workers = self.service.process, self.service.process.workers()
        if workers and self.chance.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
            self.kills["worker"] += 1
            self._wait_for_a_worker(set(workers))
        else:
            server.kill()
            server.start()
            self.kills["server"] += 1

    def _wait_for_a_worker(self, old: set[int]) -> None:
        """A kill of nothing would not count."""
        wait_until(lambda: bool(set(self.service.process.workers()) - old), 60, "the worker is not replaced")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_25_kills_give_the_labels_of_an_undisturbed_job(images: tuple[Path, ...], short_folder: Path) -> None:
    calm = short_folder / "calm"
    shutil.copytree(images[0].parent, calm)
    with Service(short_folder, [short_folder]) as service:
        with service.client() as client:
            expected = client.result(client.submit(spec_of(tuple(calm / path.name for path in images))).id)
            job_id = client.submit(spec_of(images), idempotency_key="once").id
        tormentor = Tormentor(service, job_id, random.Random(20261122))
        while sum(tormentor.kills.values()) < KILLS and not tormentor.is_over():
            tormentor.kill_once()
        assert sum(tormentor.kills.values()) == KILLS, "the job ended before all kills; give it more units"
        assert min(tormentor.kills.values()) >= 5, tormentor.kills
        with service.client() as client:
            job = client.wait(job_id)
            tormentor.look()
            check_story(service, job)
            assert client.submit(spec_of(images), idempotency_key="once").id == job_id
        assert tormentor.redone == []
        assert job.result is not None and job.result.nuclei == expected.nuclei > 10
        for path in images:
            check_same(path, calm / path.name)
        wait_until(lambda: not service.scratch, 20, "scratch is left behind")
        assert leftovers(images[0].parent) == []


def check_story(service: Service, job: Job) -> None:
    """Succeeded exactly once, with one result per image, after having been started many times."""
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    assert job.result is not None and len(job.result.images) == 2
    assert job.attempts > KILLS // 2
    with service.client() as client:
        assert len(client.list().jobs) == 2
        events = list(client.watch(job.id, follow=False))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    states = [event.payload["state"] for event in events if event.kind is EventKind.STATE]
    assert states.count("SUCCEEDED") == 1 and states[-1] == "SUCCEEDED"
    assert states.count("RUNNING") == job.attempts


def check_same(path: Path, calm: Path) -> None:
    """Labels and tables, byte by byte. Only what names the job may differ."""
    np.testing.assert_array_equal(label_array(path), label_array(calm))
    for room in ("labels", "tables", "noyau"):
        found, wanted = (
            {str(p.relative_to(image)): p for p in (image / room).rglob("*") if p.is_file()} for image in (path, calm)
        )
        assert found.keys() == wanted.keys()
        for name, file in found.items():
            if file.suffix == ".parquet":  # its schema names the job
                pandas.testing.assert_frame_equal(
                    pandas.read_parquet(file), pandas.read_parquet(wanted[name]), check_exact=True
                )
            elif file.name not in ("zarr.json", "provenance.json"):
                assert file.read_bytes() == wanted[name].read_bytes(), name
