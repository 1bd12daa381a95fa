"""The part of the client that deals with models: what there is, what comes in, and what points to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc

from noyau.api.wire.catalogue import (
    catalogue_from_wire,
    entry_from_wire,
    event_from_wire,
    options_to_wire,
    score_from_wire,
)
from noyau.api.wire.errors import error_from_rpc
from noyau.api.wire.models import model_from_wire
from noyau.client.proofs import Proofs
from noyau.domain.catalogue import PRODUCTION, Catalogue, ModelEntry, ModelEvent, ModelScore
from noyau.domain.errors import AlreadyExists, NotFound
from noyau.domain.model import ModelInfo
from noyau.models.desk import RegisterOptions
from noyau.storage.failures import write_error
from noyau.v1 import models_pb2, models_pb2_grpc

PIECE = 2**20
SLOW_SECONDS = 1800.0
"""For what opens a package: it is tested, and an archive travels first."""


class ModelCalls:
    """What `Client.registry` can do. Errors are those of `Client`.

    Args:
        stub: the service.
        target: its address, for error texts.
        call: makes one call, with a request and a timeout in seconds.
        proofs: metadata of a call that is made without it.
    """

    def __init__(
        self, stub: models_pb2_grpc.ModelServiceStub, target: str, call: Callable[..., Any], proofs: Proofs
    ) -> None:
        self._models = stub
        self._target = target
        self._call = call
        self._proofs = proofs

    def catalogue(self) -> Catalogue:
        """All models with what is known of them, and what is wrong with the others."""
        return catalogue_from_wire(self._call(self._models.List, models_pb2.ListModelsRequest()))

    def entry(self, ref: str) -> ModelEntry:
        """One model by `name`, `name@version` or `name@alias` with what is known of it. Raises NotFound."""
        return entry_from_wire(self._call(self._models.Get, models_pb2.GetModelRequest(model=ref)).model)

    def history(self, name: str) -> Sequence[ModelEvent]:
        """What happened to a name, oldest first. Raises NotFound."""
        answer = self._call(self._models.History, models_pb2.ModelHistoryRequest(name=name))
        return tuple(map(event_from_wire, answer.events))

    def register(self, path: str, options: RegisterOptions | None = None) -> ModelEntry:
        """Registers a package folder or an archive that lies where the service may read."""
        request = models_pb2.RegisterModelRequest(path=path, registration=options_to_wire(options or RegisterOptions()))
        return entry_from_wire(self._call(self._models.Register, request, SLOW_SECONDS).model)

    def register_archive(self, archive: Path, options: RegisterOptions | None = None) -> ModelEntry:
        """Sends an archive of this machine to the service, which registers it. Raises NotFound where there is none."""
        if not archive.is_file():
            raise NotFound(f"There is no archive '{archive}'.")
        parts = _parts(archive, options or RegisterOptions())
        return entry_from_wire(self._call(self._models.Upload, parts, SLOW_SECONDS).model)

    def export(self, ref: str, archive: Path, *, overwrite: bool = False) -> ModelInfo:
        """Fetches a model as a bioimage.io archive and returns which one it was.

        Raises:
            NotFound: there is no such model.
            AlreadyExists: the file is there.
            LimitExceeded, FailedPrecondition: it cannot be written. Nothing is left behind.
        """
        if archive.exists() and not overwrite:
            raise AlreadyExists(f"The archive '{archive}' is there already.", "Give --overwrite to replace it.")
        info = self.entry(ref).info
        beside = archive.with_name(f".{archive.name}.{uuid4().hex}.partial")
        call: Any = self._models.Export(
            models_pb2.ExportModelRequest(model=info.ref), timeout=SLOW_SECONDS, metadata=self._proofs()
        )
        try:
            with beside.open("wb") as file:
                for part in call:
                    file.write(part.data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(archive)
        except grpc.RpcError as error:
            raise error_from_rpc(error, self._target) from error
        except OSError as error:
            raise write_error(error, f"the archive '{archive}'") from error
        finally:
            call.cancel()
            beside.unlink(missing_ok=True)
        return info

    def check(self, ref: str) -> ModelScore:
        """Which elements of a well-documented model its package has. Raises NotFound."""
        return score_from_wire(self._call(self._models.Check, models_pb2.CheckModelRequest(model=ref), SLOW_SECONDS))

    def set_alias(self, name: str, alias: str, version: str, by: str = "") -> ModelEntry:
        """Lets an alias point to a version, or to what another alias points to now."""
        request = models_pb2.SetModelAliasRequest(name=name, alias=alias, version=version, by=by)
        return entry_from_wire(self._call(self._models.SetAlias, request).model)

    def drop_alias(self, name: str, alias: str, by: str = "") -> None:
        """Takes an alias away. Raises NotFound."""
        self._call(self._models.SetAlias, models_pb2.SetModelAliasRequest(name=name, alias=alias, by=by))

    def rollback(self, name: str, alias: str = PRODUCTION, by: str = "") -> ModelEntry:
        """Lets an alias point to what it pointed to before, or else to the next older version."""
        request = models_pb2.RollbackModelRequest(name=name, alias=alias, by=by)
        return entry_from_wire(self._call(self._models.Rollback, request).model)

    def remove(self, ref: str, by: str = "") -> ModelInfo:
        """Removes a registered version. Raises NotFound, and FailedPrecondition where an alias points to it."""
        return model_from_wire(self._call(self._models.Remove, models_pb2.RemoveModelRequest(model=ref, by=by)).model)


def _parts(archive: Path, options: RegisterOptions) -> Iterator[models_pb2.UploadModelRequest]:
    yield models_pb2.UploadModelRequest(registration=options_to_wire(options))
    with archive.open("rb") as file:
        while data := file.read(PIECE):
            yield models_pb2.UploadModelRequest(data=data)
