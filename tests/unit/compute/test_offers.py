"""Which workers a scheduler may give an order to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from noyau.compute.offers import Demand, Offer

OFFER = Offer("host-1", "0.1.0", "mark", False, ("torch", "openvino"), 4)
DEMAND = Demand("0.1.0", "mark", False, "torch")


def test_an_offer_that_fits() -> None:
    assert DEMAND.is_met(OFFER)
    assert OFFER.resources["CPU"] == 1 and OFFER.resources["HANDS"] == 4
    assert replace(OFFER, gpu=True).resources["GPU"] == 1


@pytest.mark.parametrize(
    "changes", [{"version": "0.1.1"}, {"scratch": "other"}, {"gpu": True}, {"backends": ("openvino",)}]
)
def test_offers_that_do_not_fit(changes: dict) -> None:
    assert not DEMAND.is_met(replace(OFFER, **changes))


def test_hands_need_no_device() -> None:
    demand = DEMAND.resources(device=False)
    assert "CPU" not in demand and "GPU" not in demand and demand["HANDS"] == 1
    # Yet they need the same version and the same scratch.
    assert len(demand) == 3


def test_an_offer_travels_as_json_and_bears_fields_of_later_versions() -> None:
    assert Offer.from_json({**OFFER.to_json(), "backends": ["torch", "openvino"], "later": 1}) == OFFER
