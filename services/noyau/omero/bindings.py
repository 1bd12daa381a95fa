"""omero-py, imported with the first call that needs it."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from noyau.domain.errors import FailedPrecondition


def omero_library() -> Any:
    """The module `omero` with its client, model, callbacks and table columns loaded.

    Raises:
        FailedPrecondition: omero-py or the Ice runtime is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Its generated code warns of Python versions to come; that is not the caller's business.
            warnings.simplefilter("ignore")
            import omero
            import omero.callbacks
            import omero.clients
            import omero.grid
            import omero.model
            import omero.rtypes
            import omero.sys
            import omero_model_ExternalInfoI  # noqa: F401  # fills omero.model
    except ImportError as error:
        raise FailedPrecondition(
            "This installation cannot talk to OMERO: omero-py or the Ice runtime is missing.",
            "Install the extra: pip install 'noyau[omero]' (the README says where the Ice wheel comes from).",
        ) from error
    # It logs each lost connection at ERROR; what matters of that is told as our own error.
    logging.getLogger("omero.client").setLevel(logging.CRITICAL)
    return omero
