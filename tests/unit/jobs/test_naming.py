"""Two coordinators with one name: refused where it was chosen, made distinct where it was not."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from noyau.domain.errors import AlreadyExists
from noyau.jobs.database import Database
from noyau.jobs.naming import hold_name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    return str(request.getfixturevalue("postgres_url"))


def test_a_chosen_name_belongs_to_one_at_a_time(url: str) -> None:
    one, other = Database.open(url), Database.open(url)
    held = hold_name(one, "alpha")
    with pytest.raises(AlreadyExists, match="Another coordinator named 'alpha'") as caught:
        hold_name(other, "alpha")
    assert "NOYAU_JOBS__NAME" in caught.value.remedy
    hold_name(other, "beta").close()
    held.close()
    hold_name(other, "alpha").close()
    one.close()
    other.close()


@pytest.mark.postgres
def test_names_from_the_host_are_made_distinct(postgres_url: str) -> None:
    database = Database.open(postgres_url)
    names = [hold_name(database, None) for _ in range(3)]
    host = socket.gethostname()
    assert [held.name for held in names] == [host, f"{host}-2", f"{host}-3"]
    names[1].close()
    names[1] = hold_name(database, None)
    assert names[1].name == f"{host}-2"
    for held in names:
        held.close()
    database.close()


def test_the_name_of_a_process_that_was_killed_is_free(url: str) -> None:
    code = (
        "import sys, time; from noyau.jobs.database import Database; from noyau.jobs.naming import hold_name\n"
        f"held = hold_name(Database.open({url!r}), 'alpha'); print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    database = Database.open(url)
    with pytest.raises(AlreadyExists):
        hold_name(database, "alpha")
    process.kill()
    process.wait()
    process.stdout.close()
    # PostgreSQL notices the closed connection at once, but not in the same instant.
    for _ in range(600):
        try:
            hold_name(database, "alpha").close()
            break
        except AlreadyExists:
            pass
    else:
        pytest.fail("the name is still taken")
    database.close()
