"""What the product's tests against an OMERO server share: a gateway with the service's account, callers, counting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import omero
from noyau.domain.caller import OmeroUser
from noyau.omero.gateway import Gateway
from noyau.omero.server import OmeroServer
from noyau.omero.visitor import Visitor
from omero.rtypes import rlong, rstring, unwrap
from omero_place import Place
from omero_seed import Seed, make_image

ALIAS = "lab"
PASSWORD_ENV = "NOYAU_TEST_OMERO_PASSWORD"


def server_of(place: Place, seed: Seed, *, tls: bool = False, **changes: Any) -> OmeroServer:
    """The server of the tests with the service's restricted account; plain TCP where there is any."""
    plain = bool(place.tcp) and not tls
    host, port = (place.host, place.port) if not plain else _split(place.tcp)
    values: dict[str, Any] = {
        "alias": ALIAS,
        "host": host,
        "port": port,
        "tls": not plain,
        "user": seed.service,
        "password_env": PASSWORD_ENV,
        "patience": 10.0,
    }
    return OmeroServer(**{**values, **changes})


def visitor_of(gateway: Gateway, seed: Seed, user: str) -> Visitor:
    """A job's way in, for a user of the seed by the short name."""
    return Visitor(gateway, OmeroUser(ALIAS, seed.users[user]).owner)


def rows(client: Any, hql: str, **values: int | str) -> list[list[Any]]:
    """A projection in all groups of the client's user."""
    params = omero.sys.ParametersI()
    for name, value in values.items():
        params.map[name] = rlong(value) if isinstance(value, int) else rstring(value)
    answer = client.sf.getQueryService().projection(hql, params, {"omero.group": "-1"})
    return [[unwrap(cell) for cell in row] for row in answer]


def count(client: Any, hql: str, **values: int | str) -> int:
    """Number of rows of a projection."""
    return len(rows(client, hql, **values))


def results_on(client: Any, image: int) -> Mapping[str, int]:
    """How many things of which kind hang on an image."""
    return {
        "rois": count(client, "select r.id from Roi r where r.image.id = :id", id=image),
        "annotations": count(client, "select l.id from ImageAnnotationLink l where l.parent.id = :id", id=image),
        "label_images": count(
            client, "select i.id from Image i where i.description like :text", text=f"noyau run %Image:{image}"
        ),
    }


def password_file(folder: Path, seed: Seed) -> Path:
    """A file with the password of the service's account."""
    path = folder / "password"
    path.write_text(seed.password + "\n")
    return path


def _split(tcp: str) -> tuple[str, int]:
    host, _, port = tcp.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def new_image(login: Any, user: str, group: str, array: Any, **options: Any) -> int:
    """A new image of a user of the seed in a group, both by their short names; `options` as in `make_image`."""
    return make_image(login(user, group), array, **options)
