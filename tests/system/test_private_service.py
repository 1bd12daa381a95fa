"""A private service ends with its command, whatever happens, and leaves nothing."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from noyau.commands.connecting import PrivateService, connected, private_settings
from noyau.commands.credentials import Credentials
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where private services make their folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_it_answers_and_goes(scratch: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with connected(None, local=True, workers=0) as client:
        assert client.target.startswith("unix:")
        assert client.list().jobs == ()
        assert len(list(scratch.iterdir())) == 1
        assert oct(next(scratch.iterdir()).stat().st_mode)[-3:] == "700"
    assert list(scratch.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before
    assert not [thread for thread in threading.enumerate() if thread.name == "noyau-private"]


def test_an_error_inside_ends_it_too(scratch: Path) -> None:
    with pytest.raises(KeyboardInterrupt), connected(None, local=True, workers=0):
        raise KeyboardInterrupt
    assert list(scratch.iterdir()) == []


def test_a_failure_to_start_is_told_and_leaves_nothing(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOYAU_JOBS__WORKERS", "many")
    with pytest.raises(InvalidInput, match="workers"), PrivateService():
        pass
    assert list(scratch.iterdir()) == []


def test_a_job_that_was_left_waiting_is_cancelled(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ome.zarr").mkdir()
    with connected(None, local=True, workers=0) as client:
        client.submit(SegmentSpec((ImageRef(str(tmp_path / "a.ome.zarr")),)))
        with pytest.raises(NotFound):
            client.submit(SegmentSpec((ImageRef(str(tmp_path / "none.ome.zarr")),)))
    assert list(scratch.iterdir()) == []


def test_a_long_path_falls_back_to_the_loopback(tmp_path: Path) -> None:
    assert private_settings(tmp_path / ("x" * 120), 1).listen.address == "127.0.0.1:0"
    assert private_settings(Path("/tmp/x"), 1).listen.address == "unix:/tmp/x/noyau.sock"


def test_the_name_of_a_service_in_the_environment_gives_way_to_local() -> None:
    with connected("nobody:1", local=True, workers=0) as client:
        assert client.list().jobs == ()
    with (
        pytest.raises(InvalidInput),
        connected(None, local=True, credentials=Credentials(tls_ca=Path("ca.pem")), workers=0),
    ):
        pass
