"""Watching a job to its end over a connection that may break."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from noyau.api.wire.errors import error_from_rpc
from noyau.api.wire.events import event_from_wire
from noyau.client.proofs import Metadata
from noyau.domain.errors import Unauthenticated, Unavailable
from noyau.domain.jobs import Event, EventKind, JobState
from noyau.v1 import jobs_pb2, jobs_pb2_grpc

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


class Watcher:
    """Streams events, and opens the stream again from the last number when it broke.

    Args:
        stub: the service.
        target: its address, for error texts.
        patience: seconds without any event or answer after which a lost service is given up.
        proofs: metadata that says who asks, as it is at the moment.
    """

    def __init__(
        self,
        stub: jobs_pb2_grpc.JobServiceStub,
        target: str,
        patience: float,
        proofs: Callable[[], Metadata | None] = lambda: None,
    ) -> None:
        self._stub = stub
        self._target = target
        self._patience = patience
        self._proofs = proofs

    def events(self, job_id: str, after: int, follow: bool) -> Iterator[Event]:
        """Every event above `after` exactly once, in order, to the final state.

        Raises:
            Unavailable: the service could not be reached for longer than the patience.
            NotFound, OutOfRange: there is no such job or no such number.
            Unauthenticated: the token has expired, and no new one is there.
        """
        pause = FIRST_PAUSE
        given_up = time.monotonic() + self._patience
        while True:
            proofs = self._proofs()
            try:
                for event in self._stream(job_id, after, follow, proofs):
                    yield event
                    after = event.seq
                    pause = FIRST_PAUSE
                    given_up = time.monotonic() + self._patience
                    if _is_final(event):
                        return
                return
            except (Unavailable, Unauthenticated) as error:
                # A token may have expired while the job ran; is there a new one by now?
                if isinstance(error, Unauthenticated) and self._proofs() == proofs:
                    raise
                if time.monotonic() + pause > given_up:
                    raise
                # Not all clients of a restarted service should come back in the same moment.
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE)

    def _stream(self, job_id: str, after: int, follow: bool, proofs: Metadata | None) -> Iterator[Event]:
        request = jobs_pb2.WatchJobRequest(job_id=job_id, after_seq=after, no_follow=not follow)
        call: Any = self._stub.Watch(request, metadata=proofs)
        try:
            for answer in call:
                yield event_from_wire(answer.event)
        except grpc.RpcError as error:
            raise error_from_rpc(error, self._target) from error
        finally:
            call.cancel()


def _is_final(event: Event) -> bool:
    return event.kind is EventKind.STATE and JobState(event.payload["state"]).is_final
