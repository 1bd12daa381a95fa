"""The server's exceptions, one function for each kind of refusal, worded as the server words them."""

from __future__ import annotations

import omero
import omero.cmd

JAVA = "ome.conditions."


class NotSimulated(Exception):
    """A client used something that this server does not know; its test fails even if the client hides the error."""


def api_usage(message: str) -> omero.ApiUsageException:
    """The call makes no sense."""
    return omero.ApiUsageException(None, JAVA + "ApiUsageException", message)


def bad_query(message: str) -> omero.QueryException:
    """The text of a query is wrong."""
    return omero.QueryException(None, "org.hibernate.hql.ast.QuerySyntaxException", message)


def internal(message: str, kind: str = "InternalException") -> omero.InternalException:
    """The server failed, which is also how it answers wrong types of parameters."""
    return omero.InternalException(None, JAVA + kind, message)


def invalid(message: str) -> omero.ValidationException:
    """An object that the database would not take."""
    return omero.ValidationException(None, JAVA + "ValidationException", message)


def over_usage(message: str) -> omero.OverUsageException:
    """More than the server gives to one session."""
    return omero.OverUsageException(None, JAVA + "OverUsageException", message)


def resource(message: str) -> omero.ResourceError:
    """Something outside the database went wrong, such as a buffer of the wrong size."""
    return omero.ResourceError(None, JAVA + "ResourceError", message)


def security(message: str) -> omero.SecurityViolation:
    """The user may not."""
    return omero.SecurityViolation(None, JAVA + "SecurityViolation", message)


def wrong_group(message: str) -> omero.GroupSecurityViolation:
    """Objects of different groups cannot be joined."""
    return omero.GroupSecurityViolation(None, JAVA + "GroupSecurityViolation", message)


def timed_out(uuid: str) -> omero.SessionTimeoutException:
    """The session was idle, or lived, for too long."""
    return omero.SessionTimeoutException(None, JAVA + "SessionTimeoutException", f"Session (uuid={uuid}) expired.")


def removed(uuid: str) -> omero.RemovedSessionException:
    """There is no such session any more."""
    return omero.RemovedSessionException(None, JAVA + "RemovedSessionException", f"No session with uuid: {uuid}")
