"""Whether a service takes calls, and which version it is."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from noyau.api.wire.errors import error_from_rpc
from noyau.client.proofs import Proofs, TokenSource
from noyau.client.security import Security
from noyau.oip import open_inference_pb2, open_inference_pb2_grpc


@dataclass(frozen=True)
class ServerState:
    """What a service says of itself."""

    serving: bool
    version: str


def ask(target: str, security: Security, seconds: float, token: str | TokenSource | None = None) -> ServerState:
    """Asks the health service and for the version.

    Raises:
        Unavailable, DeadlineExceeded: nobody answers there, within `seconds` per call.
        NoyauError: what else the service says, e.g. that the caller may not ask.
    """
    proofs = Proofs(target, security, token=token)
    with security.channel(target) as channel:
        try:
            serving = _check(channel, seconds)
            stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            about = stub.ServerMetadata(open_inference_pb2.ServerMetadataRequest(), timeout=seconds, metadata=proofs())
        except grpc.RpcError as error:
            raise error_from_rpc(error, target) from error
    return ServerState(serving, about.version)


def is_serving(channel: grpc.Channel, target: str, seconds: float) -> bool:
    """Whether the service at the other end of a channel takes jobs. Anybody may ask that, without a login.

    Raises:
        Unavailable, DeadlineExceeded: nobody answers there, within `seconds`.
    """
    try:
        return _check(channel, seconds)
    except grpc.RpcError as error:
        raise error_from_rpc(error, target) from error


def _check(channel: grpc.Channel, seconds: float) -> bool:
    request = health_pb2.HealthCheckRequest(service="noyau.v1.JobService")
    found = health_pb2_grpc.HealthStub(channel).Check(request, timeout=seconds)
    return bool(found.status == health_pb2.HealthCheckResponse.SERVING)
