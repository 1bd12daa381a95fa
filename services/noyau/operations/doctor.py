"""All checks of `noyau doctor` in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from noyau.client.proofs import TokenSource
from noyau.client.security import Security
from noyau.config import Settings
from noyau.operations import machine, places, remote
from noyau.operations.findings import Finding, Status, look, ok
from noyau.operations.starting import startup_mistakes
from noyau.wiring import own_model_desk

Token = str | TokenSource | None


def examine(
    settings: Settings, *, quick: bool, server: str | None, security: Security | None = None, token: Token = None
) -> Iterator[Finding]:
    """Looks at everything, one finding after the other. Changes nothing, and makes no file that stays.

    Args:
        settings: of the service.
        quick: without what takes seconds: devices, and the test inputs of models.
        server: address of a running service; None looks at none.
        security: TLS of the channel to it.
        token: of the caller.
    """
    yield from look("settings", lambda: _settings(settings))
    yield from look("software", machine.software)
    yield from look("extras", machine.extras)
    yield from look("machine", lambda: machine.capacity(settings))
    if not quick:
        yield from look("gpu", machine.devices)
    yield from look("folders", lambda: places.folders(settings))
    yield from look("job database", lambda: places.job_store(settings))
    yield from look("models", lambda: places.models(own_model_desk(settings), test=not quick))
    yield from look("endpoints", lambda: remote.endpoints(settings))
    yield from look("token keys", lambda: remote.token_keys(settings))
    if server is not None:
        yield from look(f"server {server}", partial(remote.server, server, security, token))


def works(findings: Iterable[Finding]) -> bool:
    """True where nothing has failed; what is absent is optional."""
    return all(finding.status is not Status.FAILED for finding in findings)


def _settings(settings: Settings) -> Iterator[Finding]:
    mistakes = list(startup_mistakes(settings))
    for mistake in mistakes:
        yield Finding(f"setting {mistake.where}", Status.FAILED, mistake.why, mistake.instead)
    if not mistakes:
        yield ok("settings", "all can be used together")
