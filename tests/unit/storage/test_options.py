"""Which S3 server and which credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.domain.access import AccessPolicy
from noyau.storage.options import StorageOptions


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        ({"AWS_ACCESS_KEY_ID": "a"}, "environment"),
        ({"AWS_PROFILE": "lab"}, "profile"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "default"),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/absent"}, "anonymous"),
    ],
)
def test_credentials_come_from_where_every_tool_looks(environment: dict[str, str], want: str) -> None:
    assert StorageOptions().s3_spec(environment)["aws_credentials"] == {"type": want}


def test_a_credentials_file(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]")
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    assert StorageOptions().s3_spec(environment)["aws_credentials"] == {"type": "profile"}


def test_the_setting_wins_over_the_environment() -> None:
    access = AccessPolicy.everything(s3_endpoint="http://minio:9000/")
    spec = StorageOptions.of(access).s3_spec({"AWS_ENDPOINT_URL": "http://other"})
    assert spec["endpoint"] == "http://minio:9000" and spec["aws_region"] == "us-east-1"
    assert StorageOptions().s3_spec({"AWS_ENDPOINT_URL": "http://other"})["endpoint"] == "http://other"
    assert "endpoint" not in StorageOptions().s3_spec({})


def test_no_secret_is_part_of_a_specification() -> None:
    spec = StorageOptions().s3_spec({"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})
    assert "secret" not in str(spec)
