"""A worker process: `python -m noyau.jobs.worker`, started by a supervisor with its settings on standard input.

It claims one job after the other and lives as long as its supervisor does. The supervisor ends it by closing the pipe
(at once) or by the word `drain` (after the current job).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from noyau.domain.errors import NoyauError
from noyau.domain.meters import Meter
from noyau.domain.observing import Scope, current, within
from noyau.jobs.codec import kind_of
from noyau.jobs.config import WorkerConfig
from noyau.jobs.context import Handlers, load_handlers, load_tracer
from noyau.jobs.database import Database
from noyau.jobs.identity import ProcessIdentity
from noyau.jobs.offspring import die_with_parent, read_first_line
from noyau.jobs.recovering import Loss
from noyau.jobs.runner import JobRunner
from noyau.jobs.store import JobStore

_LOG = logging.getLogger(__name__)
DRAIN = "drain"
_CLEANUP_POLL_SECONDS = 1.0
_UNAVAILABLE_PAUSE_SECONDS = 1.0
EXIT_ORPHAN = 76


def main() -> int:
    """Reads the settings, then works until told to stop. Returns the exit status."""
    config = WorkerConfig.from_json(read_first_line())
    die_with_parent()
    # Ctrl-C in a terminal reaches the whole process group; stopping is the supervisor's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    draining = threading.Event()
    threading.Thread(target=_listen, args=(draining,), name="noyau-stdin", daemon=True).start()
    try:
        scope = Scope(tracer=load_tracer(config.tracer, config.handler_settings), meter=Meter())
        with within(scope):
            return _serve(config, draining)
    except NoyauError as error:
        _LOG.error("the worker cannot start: %s", error)
        return 1


def _serve(config: WorkerConfig, draining: threading.Event) -> int:
    """Works in the current scope, which the handlers see as well."""
    handlers = load_handlers(config.handlers, config.handler_settings)
    store = JobStore(Database.open(config.database), config.limits)
    try:
        work(store, handlers, config, draining)
    finally:
        store.close()
        current().tracer.close()
    return 0


def work(store: JobStore, handlers: Handlers, config: WorkerConfig, draining: threading.Event) -> None:
    """Claims and runs jobs until `draining` is set."""
    runner = JobRunner(store, Path(config.workdir), config.times, scope=current())
    me = str(ProcessIdentity.of())
    unsure = False
    next_cleanup = 0.0
    while not draining.is_set():
        try:
            if unsure:
                # A claim may have succeeded although its answer got lost. This worker runs nothing now.
                store.recover_worker(me, Loss.RELEASE, "Its worker lost touch with the job database")
                unsure = False
            if time.monotonic() >= next_cleanup and not _clean_one(store, runner, handlers, me):
                next_cleanup = time.monotonic() + _CLEANUP_POLL_SECONDS
            lease = store.claim(me, kinds=tuple(handlers), lease_seconds=config.times.lease)
            if lease is None:
                draining.wait(config.times.claim_poll)
            else:
                runner.run(lease, handlers[kind_of(lease.job.spec)])
        except NoyauError as error:
            unsure = True
            _LOG.warning("the worker waits for the job database: %s", error)
            draining.wait(_UNAVAILABLE_PAUSE_SECONDS)


def _clean_one(store: JobStore, runner: JobRunner, handlers: Handlers, me: str) -> bool:
    """Removes what one ended job left behind; False where there is none."""
    left = store.claim_cleanup(me, kinds=tuple(handlers))
    if left is not None:
        runner.clean(left, handlers[kind_of(left.spec)])
    return left is not None


def _listen(draining: threading.Event) -> None:
    """Waits for `drain` or for the end of the pipe, which means that the supervisor is gone."""
    while text := os.read(0, 64):
        if DRAIN.encode() in text:
            draining.set()
    os._exit(EXIT_ORPHAN)


if __name__ == "__main__":
    sys.exit(main())
