"""Where the commands of `noyau models` do their work: at a service, or at the user's own models on this machine."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from noyau.commands.connecting import connected, explain_absence
from noyau.commands.credentials import NOBODY, Credentials
from noyau.domain.errors import NoyauError

if TYPE_CHECKING:
    from noyau.domain.catalogue import Catalogue, ModelEntry, ModelEvent, ModelScore
    from noyau.domain.model import ModelInfo
    from noyau.models.desk import RegisterOptions


class Desk(Protocol):
    """What `noyau.models.desk.ModelDesk` and `noyau.client.model_calls.ModelCalls` have in common."""

    def catalogue(self) -> Catalogue: ...

    def entry(self, ref: str) -> ModelEntry: ...

    def history(self, name: str) -> Sequence[ModelEvent]: ...

    def register(self, path: str, options: RegisterOptions) -> ModelEntry: ...

    def register_archive(self, archive: Path, options: RegisterOptions) -> ModelEntry: ...

    def export(self, ref: str, archive: Path, *, overwrite: bool = False) -> ModelInfo: ...

    def check(self, ref: str) -> ModelScore: ...

    def set_alias(self, name: str, alias: str, version: str, by: str) -> ModelEntry: ...

    def drop_alias(self, name: str, alias: str, by: str) -> None: ...

    def rollback(self, name: str, alias: str, by: str) -> ModelEntry: ...

    def remove(self, ref: str, by: str) -> ModelInfo: ...


@contextmanager
def model_desk(server: str | None, local: bool, credentials: Credentials = NOBODY) -> Iterator[Desk]:
    """The desk of the service that is named; without a name the user's own.

    Args:
        server: `--server`, or NOYAU_SERVER.
        local: `--local`, which wins over NOYAU_SERVER.
        credentials: `--tls-ca` and what else proves who calls.
    """
    if server is None or local:
        yield _own_desk()
        return
    with connected(server, False, credentials) as client:
        try:
            yield client.registry
        except NoyauError as error:
            raise explain_absence(error, server) from error


def _own_desk() -> Desk:
    from noyau.config import load_settings
    from noyau.wiring import own_model_desk

    return own_model_desk(load_settings())


def user_name() -> str:
    """Who runs the command, as the system knows it; empty where it does not."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
