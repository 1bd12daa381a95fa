"""A person's own sessions on OMERO servers, as `noyau omero login` leaves them: two small files per server, readable
by their owner only. One says where the server is, the other holds the key of the session; no password is kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.domain.errors import InvalidInput, NotFound
from noyau.omero.server import OmeroServer

if TYPE_CHECKING:
    from noyau.config_omero import OmeroServerSettings


def own_logins() -> Logins:
    """The logins of the person who runs the command."""
    from noyau.config import load_settings

    return Logins(load_settings().state_dir / "omero")


@dataclass(frozen=True)
class Logins:
    """The logins of one person.

    Attributes:
        folder: where they are kept.
    """

    folder: Path

    def servers(self) -> tuple[OmeroServer, ...]:
        """The servers that the person has logged in to."""
        return tuple(self.server(path.stem) for path in sorted(self.folder.glob("*.json")))

    def server(self, alias: str) -> OmeroServer:
        """A server by its alias.

        Raises:
            NotFound: nobody has logged in to it.
        """
        try:
            known = json.loads((self.folder / f"{alias}.json").read_text())
            return OmeroServer(
                alias=alias,
                host=known["host"],
                port=int(known["port"]),
                tls=bool(known["tls"]),
                ca=Path(known["ca"]) if known.get("ca") else None,
                session_file=self.key_file(alias),
            )
        except (OSError, ValueError, KeyError) as error:
            raise NotFound(
                f"You have not logged in to an OMERO server '{alias}'.",
                f"Log in with: noyau omero login {alias} --host HOST",
            ) from error

    def settings(self) -> dict[str, OmeroServerSettings]:
        """The same servers as settings of a private service, which works with the person's own sessions."""
        from noyau.config_omero import OmeroServerSettings

        return {
            server.alias: OmeroServerSettings(
                host=server.host, port=server.port, tls=server.tls, ca=server.ca, session_file=server.session_file
            )
            for server in self.servers()
        }

    def key_file(self, alias: str) -> Path:
        """Where the key of the session is."""
        return self.folder / f"{alias}.key"

    def keep(self, server: OmeroServer, key: str) -> None:
        """Writes both files anew."""
        if not server.alias.replace("-", "_").replace(".", "_").isidentifier():
            raise InvalidInput(f"'{server.alias}' cannot name an OMERO server.", "Use letters, digits, '-' and '_'.")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = {"host": server.host, "port": server.port, "tls": server.tls, "ca": str(server.ca or "")}
        _write(self.folder / f"{server.alias}.json", json.dumps(place))
        _write(self.key_file(server.alias), key)

    def forget(self, alias: str) -> None:
        """Removes both files; those that are not there are fine."""
        for path in (self.folder / f"{alias}.json", self.key_file(alias)):
            path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Readable by the owner only, from its first moment on."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
