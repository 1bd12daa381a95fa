"""Archives that come in pieces: into a file, up to a size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from noyau.api.threads import Threads
from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.storage.failures import write_error
from noyau.v1 import models_pb2

PIECE = 2**20
"""Bytes of a piece, in both directions."""


async def receive(
    parts: AsyncIterator[models_pb2.UploadModelRequest], target: Path, most: int, threads: Threads
) -> models_pb2.Registration:
    """Writes the pieces to a new file and returns the header that came before them.

    Args:
        parts: a header, then pieces.
        target: the file, in a folder that the caller removes whatever happens.
        most: largest size, bytes.
        threads: where the disk is waited for.

    Raises:
        InvalidInput: no header, a second one, or no bytes.
        LimitExceeded: too many bytes, or the disk is full.
    """
    header: models_pb2.Registration | None = None
    size = 0
    async for part in parts:
        if part.WhichOneof("part") == "registration":
            if header is not None:
                raise InvalidInput("The upload has a second header.", "Send it once, before the bytes.")
            header = part.registration
            continue
        if header is None:
            raise InvalidInput("The upload begins without a header.", "Send the registration before the bytes.")
        size += len(part.data)
        if size > most:
            raise LimitExceeded(
                f"The archive is larger than the {most / 2**20:.0f} MiB that this service takes.",
                "An operator can raise the setting `limits.archive_mib`.",
            )
        await threads.run(_append, target, part.data)
    if header is None or not size:
        raise InvalidInput("The upload holds no archive.", "Send a header and then the bytes of a .zip file.")
    return header


def _append(target: Path, data: bytes) -> None:
    try:
        with target.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise write_error(error, "the uploaded archive") from error
