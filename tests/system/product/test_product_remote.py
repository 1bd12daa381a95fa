"""Images on S3 and behind a web server, jobs kept in PostgreSQL: real servers, real jobs."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import numpy as np
import pytest
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobState, SegmentSpec
from product_kit import Service, cli, label_array, leftovers, listing

Make = Callable[..., Path]


def keys(endpoint: str, bucket: str) -> set[str]:
    client = boto3.client("s3", endpoint_url=endpoint)
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}
    finally:
        client.close()


def download(endpoint: str, bucket: str, folder: Path) -> None:
    """Copies the bucket with a tool that is not the one under test."""
    client = boto3.client("s3", endpoint_url=endpoint)
    try:
        for key in keys(endpoint, bucket):
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, key, str(folder / key))
    finally:
        client.close()


@pytest.fixture
def files_over_http(place: Path) -> Iterator[str]:
    """Address of a plain file server for the test's folder."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote_service(
    short_folder: Path, place: Path, s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A service that may reach the bucket and this machine's web servers; so may the commands of the test."""
    settings = {
        "NOYAU_ACCESS__S3_ENDPOINT": s3_server,
        "NOYAU_ACCESS__REMOTE_HOSTS": json.dumps([f"s3://{s3_bucket}", "127.0.0.1"]),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with Service(short_folder, [place]) as running:
        yield running


@pytest.mark.slow
@pytest.mark.s3
def test_s3_in_and_out_and_a_web_server_in(
    remote_service: Service,
    s3_server: str,
    s3_bucket: str,
    place: Path,
    embryo: np.ndarray,
    embryo_image: Path,
    files_over_http: str,
) -> None:
    assert remote_service.cli("segment", str(embryo_image), "--quiet").code == 0
    expected = label_array(embryo_image)
    check_s3(remote_service, s3_server, s3_bucket, place, embryo, expected)
    check_http(remote_service, files_over_http, embryo_image, place, expected)
    told = remote_service.cli("segment", "s3://another-bucket/a.ome.zarr", "--quiet")
    assert told.code == 6 and "another-bucket" in told.err


def check_s3(
    service: Service, endpoint: str, bucket: str, place: Path, pixels: np.ndarray, expected: np.ndarray
) -> None:
    """Converted into the bucket, segmented there, results there; the same nuclei as from the disk."""
    np.savez(place / "a.npz", image=pixels)
    uri = f"s3://{bucket}/day/a.ome.zarr"
    converted = cli("convert", str(place / "a.npz"), uri, "--voxel-size", "1.75,0.8,0.8")
    assert converted.code == 0, converted.err
    before = keys(endpoint, bucket)
    told = service.cli("segment", uri, "--json", "--quiet")
    assert told.code == 0, told.err
    (image,) = json.loads(told.out)["job"]["result"]["images"]
    assert image["labels_uri"] == f"{uri}/labels/nuclei" and image["nuclei"] == expected.max()
    found = keys(endpoint, bucket)
    for name in ("noyau/nuclei/nuclei.csv", "noyau/nuclei/provenance.json", "tables/nuclei/table.parquet"):
        assert f"day/a.ome.zarr/{name}" in found
    assert not [key for key in found - before if "/." in key], "hidden objects are left"
    download(endpoint, bucket, place / "copy")
    np.testing.assert_array_equal(label_array(place / "copy" / "day" / "a.ome.zarr"), expected)
    refused = service.cli("segment", uri, "--quiet")
    assert refused.code == 5, refused.err
    assert keys(endpoint, bucket) == found


def check_http(service: Service, address: str, image: Path, place: Path, expected: np.ndarray) -> None:
    """Read over http, written to a folder; without one, the job is refused and says what to do."""
    uri = f"{address}/{image.name}"
    before = listing(image)
    refused = service.cli("segment", uri, "--quiet")
    assert refused.code == 11 and "--output" in refused.err
    output = place / "from_the_web.ome.zarr"
    told = service.cli("segment", uri, "--output", str(output), "--quiet")
    assert told.code == 0, told.err
    np.testing.assert_array_equal(label_array(output), expected)
    assert listing(image) == before
    assert urlsplit(uri).netloc in (output / "noyau" / "nuclei" / "provenance.json").read_text()
    assert leftovers(place) == []


@pytest.mark.slow
@pytest.mark.postgres
def test_a_service_on_postgresql(short_folder: Path, place: Path, embryo_image: Path, postgres_url: str) -> None:
    import psycopg

    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    with Service(short_folder, [place], settings={"NOYAU_JOBS__DATABASE": url}) as service, service.client() as client:
        job = client.submit(SegmentSpec((ImageRef(str(embryo_image)),)), idempotency_key="k")
        assert client.result(job.id).nuclei == label_array(embryo_image).max() > 5
        assert not (service.state / "jobs.sqlite").exists()
        with psycopg.connect(postgres_url) as connection:
            assert connection.execute("SELECT id, state FROM jobs").fetchall() == [(job.id, JobState.SUCCEEDED.value)]
        # The job is still known to a service that starts anew.
        service.process.terminate()
        service.process.start()
        assert client.get(job.id).result == client.submit(job.spec, idempotency_key="k").result
    assert leftovers(place) == []
