"""Write units partition the label array and never share a chunk."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.planning.units import plan_units

TRIPLES = st.tuples(*[st.integers(1, 40)] * 3)


@settings(max_examples=60, deadline=None)
@given(TRIPLES, TRIPLES, TRIPLES)
def test_units_partition_the_array_in_whole_chunks(shape, chunk, wanted):
    owner = np.full(shape, -1)
    for unit in plan_units(shape, chunk, wanted):
        assert (owner[unit.box.slices] == -1).all()
        owner[unit.box.slices] = unit.index
        assert all(a % c == 0 for a, c in zip(unit.box.start, chunk, strict=True))
    assert (owner >= 0).all()


def test_names_are_unique_and_tell_the_place():
    units = plan_units((10, 20, 30), (5, 10, 10), (5, 10, 20))
    assert [u.name for u in units][:3] == ["z0y0x0", "z0y0x20", "z0y10x0"]
    assert len({u.name for u in units}) == len(units) == 8
