"""Which service a command talks to: one that is named, the usual one on this machine, or a private one."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noyau.commands.credentials import NOBODY, Credentials
from noyau.domain.errors import InternalError, InvalidInput, NoyauError

if TYPE_CHECKING:
    from noyau.client import Client
    from noyau.config import Settings

# Unix socket paths are limited to 107 bytes (unix(7)).
_LONGEST_SOCKET = 100
_START_SECONDS = 60.0
_TIDY_SECONDS = 60.0


@contextmanager
def connected(
    server: str | None, local: bool, credentials: Credentials = NOBODY, workers: int = 1, omero: str = ""
) -> Iterator[Client]:
    """A client of the service that the options name.

    Args:
        server: `--server`.
        local: `--local`; the private service ends with the context, whatever happens in it.
        credentials: `--tls-ca`, `--tls-certificate`, `--tls-key`, `--token-file`.
        workers: worker processes of a private service; 0 where the command runs no job.
        omero: alias of the OMERO server that the command is about, else that of `--omero`; the service is told who
            asks. A private service uses the session of `noyau omero login` itself.

    Raises:
        InvalidInput: both are given.
        NotFound: nobody has logged in to that server here.
    """
    from noyau.client import Client
    from noyau.commands.logins import own_logins
    from noyau.config import DEFAULT_ADDRESS

    if server is not None and local:
        # NOYAU_SERVER in the environment is a default; the word on the command line wins.
        server = None
    if local:
        if credentials.are_given:
            raise InvalidInput(
                "--tls-ca, --tls-certificate, --tls-key, --token-file and --omero go with --server.",
                "A private service asks nobody who calls.",
            )
        with PrivateService(workers) as address, Client(address) as client:
            yield client
        return
    omero = omero or credentials.omero or ""
    proof = (omero, own_logins().server(omero).own_key()) if omero else None
    with Client(
        server or DEFAULT_ADDRESS, security=credentials.security(), omero=proof, token=credentials.token()
    ) as client:
        yield client


class PrivateService:
    """A service in this process for one command: own state folder, unix socket in a folder of the user's own."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._folder = Path()
        self._thread = threading.Thread(target=self._run, name="noyau-private")
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._address = ""
        self._leave = threading.Event()
        self._previous: Any = None

    def __enter__(self) -> str:
        """Starts it and returns its address. SIGTERM then works like Ctrl-C, so that nothing is left behind."""
        from noyau.logs import configure_logging

        configure_logging("console", "error")
        self._folder = Path(tempfile.mkdtemp(prefix="noyau-"))
        self._previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._thread.start()
            if not self._ready.wait(_START_SECONDS):
                raise InternalError("The private service did not start in time.")
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self.__exit__()
            raise
        return self._address

    def __exit__(self, *exc: object) -> None:
        self._leave.set()
        if self._thread.ident is not None:
            self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, self._previous)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from noyau.main import Service

        service = Service(private_settings(self._folder, self._workers), warm=False)
        await service.start()
        try:
            self._address = service.address
            self._ready.set()
            await asyncio.to_thread(self._leave.wait)
        finally:
            # What a cancelled or failed job left beside its images must be gone before its workers are.
            await service.wind_up(_TIDY_SECONDS)
            await service.stop()


def private_settings(folder: Path, workers: int) -> Settings:
    """The user's settings with what is different for a private service: it may touch what the user may touch."""
    from noyau.commands.logins import Logins
    from noyau.config import load_settings
    from noyau.config_auth import AuthSettings
    from noyau.config_operations import MetricsSettings

    given = load_settings()
    socket = folder / "noyau.sock"
    address = f"unix:{socket}" if len(str(socket).encode()) <= _LONGEST_SOCKET else "127.0.0.1:0"
    return given.model_copy(
        update={
            "state_dir": folder,
            "listen": given.listen.model_copy(
                update={
                    "address": address,
                    "tls_certificate": None,
                    "tls_key": None,
                    "tls_client_ca": None,
                    "drain_seconds": 0.0,
                }
            ),
            "jobs": given.jobs.model_copy(update={"workers": workers, "database": None, "drain_seconds": 0.0}),
            "metrics": MetricsSettings(),
            # Its socket lies in a folder of the user's own.
            "auth": AuthSettings(),
            "access": given.access.model_copy(update={"roots": (), "remote_hosts": ("*",)}),
            "log": given.log.model_copy(update={"format": "console", "level": "error"}),
            "omero": Logins(given.state_dir / "omero").settings(),
        }
    )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def explain_absence(error: NoyauError, server: str | None) -> NoyauError:
    """The error of a service that does not answer, with both ways out where none was named."""
    if server is not None or error.kind.value != "UNAVAILABLE":
        return error
    return type(error)(
        "No service was named, and none answers on this machine.",
        "Run the command with --local, start a service with `noyau serve`, or name one with --server.",
    )
