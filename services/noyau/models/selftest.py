"""Whether a package still does what it did when it was made: its stored test input against the stored answer."""

from __future__ import annotations

from pathlib import Path

from noyau.domain.errors import DamagedData
from noyau.models.package import read_package
from noyau.models.sample import SAMPLE_FILE, make_sample, read_sample, sample_bytes
from noyau.models.writing import write_file


def check(folder: Path) -> None:
    """Runs the stored test input of a package through its network and compares with the stored answer.

    Raises:
        NotFound: there is no package.
        DamagedData: the package is damaged, has no test input, or gives another answer; it must not be served.
    """
    loaded = read_package(folder)  # compares with the stored answer where there is one
    if read_sample(folder) is None:
        raise DamagedData(
            f"The package of model {loaded.info.ref} has no test input ({SAMPLE_FILE}), so nobody can tell whether it "
            "works here.",
            f"If you trust it as it is, store one with `noyau models selftest {folder} --renew`.",
        )


def renew(folder: Path) -> None:
    """Stores a new test input and the network's answer to it, for a package that has none or whose answer changed.

    Raises:
        NotFound, DamagedData: there is no package, or it is damaged.
    """
    loaded = read_package(folder, compare=False)
    write_file(folder / SAMPLE_FILE, sample_bytes(make_sample(loaded.info, loaded.network)))
