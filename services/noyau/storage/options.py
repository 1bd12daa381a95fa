"""How storage is reached: threads, cache, retries and the S3 server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorstore as ts

from noyau.domain.access import AccessPolicy


@dataclass(frozen=True)
class StorageOptions:
    """Bounds of one opened image or output.

    Attributes:
        cache_bytes: decoded chunks kept in memory, so that overlapping tiles do not decode a chunk twice.
        io_threads: simultaneous local reads or writes.
        request_threads: simultaneous S3 or HTTP requests.
        copy_threads: threads that decode and encode chunks.
        retries: how often a remote request is repeated before it counts as failed.
        s3_endpoint: URL of an S3 server other than Amazon's.
        s3_region: region to sign requests for; needed only where the server cannot be asked.
    """

    cache_bytes: int = 256 * 2**20
    io_threads: int = 8
    request_threads: int = 16
    copy_threads: int = 4
    retries: int = 4
    s3_endpoint: str | None = None
    s3_region: str | None = None

    @classmethod
    def of(cls, access: AccessPolicy, **changes: Any) -> StorageOptions:
        """Options that follow an access policy; keyword arguments replace single fields."""
        return cls(**{"s3_endpoint": access.s3_endpoint, **changes})

    def context(self) -> ts.Context:
        """A tensorstore context (thread pools and cache) with these bounds."""
        retry = {"max_retries": self.retries, "initial_delay": "200ms", "max_delay": "5s"}
        return ts.Context(
            {
                "cache_pool": {"total_bytes_limit": self.cache_bytes},
                "data_copy_concurrency": {"limit": self.copy_threads},
                "file_io_concurrency": {"limit": self.io_threads},
                "s3_request_concurrency": {"limit": self.request_threads},
                "http_request_concurrency": {"limit": self.request_threads},
                "s3_request_retries": retry,
                "http_request_retries": retry,
            }
        )

    def s3_spec(self, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The part of a tensorstore S3 spec that says which server and which credentials.

        Credentials come from where every S3 tool looks for them (environment, profile, role); with none of these the
        bucket is read anonymously, without the long wait for a metadata service that is not there.
        """
        env = os.environ if environment is None else environment
        endpoint = self.s3_endpoint or env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
        region = self.s3_region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
        spec: dict[str, Any] = {"aws_credentials": {"type": _credential_type(env)}}
        if endpoint:
            spec["endpoint"] = endpoint.rstrip("/")
            region = region or "us-east-1"
        if region:
            spec["aws_region"] = region
        return spec


def _credential_type(env: Mapping[str, str]) -> str:
    if env.get("AWS_ACCESS_KEY_ID"):
        return "environment"
    roles = (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    if any(env.get(name) for name in roles):
        return "default"
    shared = env.get("AWS_SHARED_CREDENTIALS_FILE")
    if env.get("AWS_PROFILE") or (Path(shared) if shared else Path.home() / ".aws" / "credentials").exists():
        return "profile"
    return "anonymous"
