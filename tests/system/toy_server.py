"""A service that consists of the job machinery only: `python toy_server.py URL FOLDER WORKERS [JSON of JobTimes]`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from noyau.jobs.config import WorkerConfig
from noyau.jobs.settings import JobLimits, JobTimes
from noyau.jobs.store import JobStore
from noyau.jobs.supervisor import Supervisor


def main() -> None:
    url, folder, workers, *rest = sys.argv[1:]
    times = JobTimes(**json.loads(rest[0])) if rest else JobTimes()
    # Kills in these tests come faster than any real ones; here they must not use up a job's patience.
    limits = JobLimits(max_crashes=50, max_interruptions=50)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    config = WorkerConfig(
        url, str(Path(folder) / "work"), "toy_handlers:build_handlers", {"folder": folder}, limits, times
    )
    with JobStore.open(url, limits) as store, Supervisor(store, config, int(workers)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        stopping.wait()


if __name__ == "__main__":
    main()
