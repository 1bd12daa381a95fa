"""Beyond this machine only with TLS and proofs of who calls, or with an explicit word."""

from __future__ import annotations

from pathlib import Path

import pytest
from noyau.api.binding import Binding, split_address
from noyau.domain.errors import FailedPrecondition, InvalidInput


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0", "localhost:50051", "unix:/run/noyau.sock"]
)
def test_addresses_of_this_machine_need_nothing(address: str) -> None:
    assert Binding(address).is_local


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1"])
def test_other_addresses_need_tls_or_a_word(address: str) -> None:
    with pytest.raises(FailedPrecondition, match="protect"):
        Binding(address)
    assert not Binding(address, insecure=True).is_local


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1"])
def test_tls_alone_lets_anyone_in_and_is_not_enough(address: str) -> None:
    pem = (Path("c.pem"), Path("k.pem"))
    with pytest.raises(FailedPrecondition, match="anyone there could run jobs"):
        Binding(address, *pem)
    with pytest.raises(FailedPrecondition, match="nothing would protect it"):
        Binding(address, asks_callers=True)
    for good in (
        Binding(address, *pem, asks_callers=True),
        Binding(address, *pem, client_ca=Path("ca.pem")),
        Binding(address, *pem, insecure=True),
        Binding(address, insecure=True, asks_callers=True),
    ):
        assert not good.is_local


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Binding("127.0.0.1:0", certificate=Path("c.pem"))
    with pytest.raises(InvalidInput):
        Binding("127.0.0.1:0", client_ca=Path("ca.pem"))


def test_addresses_are_taken_apart() -> None:
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address("host:0") == ("host", 0)


@pytest.mark.parametrize("address", ["", "host", ":1", "host:", "host:x", "host:70000", "host:-1"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(InvalidInput):
        Binding(address)
