"""Death is declared only where this kernel can prove it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from noyau.domain.errors import InternalError
from noyau.jobs.identity import ProcessIdentity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which this system does not have")


def test_this_process_lives_and_survives_text() -> None:
    me = ProcessIdentity.of()
    assert not me.is_provably_dead
    assert ProcessIdentity.parse(str(me)) == me


def test_a_process_is_dead_from_its_kill_on_also_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(child.pid)
    assert not identity.is_provably_dead
    child.kill()
    child.communicate()
    assert identity.is_provably_dead


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print()"], stdout=subprocess.PIPE)
    identity = ProcessIdentity.of(child.pid)
    assert child.stdout is not None
    child.stdout.read()
    # Not reaped yet: waitid with WNOWAIT leaves the zombie.
    import os

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity.is_provably_dead
    child.communicate()


def test_a_reused_process_id_does_not_keep_the_dead_alive() -> None:
    assert replace(ProcessIdentity.of(), started="1").is_provably_dead


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"boot": ""}, {"namespace": "pid:[1]"}])
def test_what_another_kernel_or_container_runs_is_never_declared_dead(elsewhere: dict[str, str]) -> None:
    gone = replace(ProcessIdentity.of(), started="1", **elsewhere)
    assert not gone.is_provably_dead


def test_a_text_that_names_no_process_is_refused() -> None:
    with pytest.raises(InternalError, match="'w'"):
        ProcessIdentity.parse("w")
