"""The header `traceparent` is read as the standard says, and wrong ones are ignored."""

from __future__ import annotations

import threading
from contextvars import copy_context

import pytest
from noyau.domain.meters import Meter
from noyau.domain.observing import Scope, current, within
from noyau.domain.tracing import SilentTracer, TraceContext

# The example of the standard, https://www.w3.org/TR/trace-context-1/#examples-of-http-traceparent-headers.
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_the_example_of_the_standard(flags: str, sampled: bool) -> None:
    assert TraceContext.parse(f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(TRACE, SPAN, sampled)


def test_what_was_written_is_read_again() -> None:
    for sampled in (True, False):
        context = TraceContext(TRACE, SPAN, sampled)
        assert TraceContext.parse(context.header) == context


def test_later_versions_may_say_more() -> None:
    assert TraceContext.parse(f"01-{TRACE}-{SPAN}-01-what-comes-later") == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
        "00-" + "é" * 32 + f"-{SPAN}-01",
    ],
)
def test_what_is_none_is_ignored(text: str) -> None:
    assert TraceContext.parse(text) is None


def test_a_silent_tracer_hands_the_position_on() -> None:
    position = TraceContext(TRACE, SPAN)
    with SilentTracer().span("x", position) as span:
        assert span.context == position


def test_a_scope_reaches_threads_with_the_context_and_ends() -> None:
    seen = []
    with within(Scope(TraceContext(TRACE, SPAN))):
        thread = threading.Thread(target=copy_context().run, args=(lambda: seen.append(current().trace),))
        thread.start()
        thread.join()
    assert seen == [TraceContext(TRACE, SPAN)]
    assert current().trace is None


@pytest.mark.parametrize(("windows", "size"), [(1, "1"), (2, "2"), (3, "4"), (8, "8"), (9, "16"), (1000, "64")])
def test_batches_are_counted_by_powers_of_two(windows: int, size: str) -> None:
    meter = Meter()
    meter.batch("cuda:1", windows, 10 * windows, 0.5)
    assert meter.take() == {
        "device/cuda/seconds": 0.5,
        "device/cuda/windows": windows,
        "device/cuda/voxels": 10 * windows,
        f"batch/{size}": 1,
    }
    assert meter.take() == {}
