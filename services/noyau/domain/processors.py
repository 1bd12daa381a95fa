"""How many processors this process may use: its affinity, and the quota of its control group.

A container with `--cpus=2` or a limit in Kubernetes sees all processors of its host; more threads than the quota only
make the kernel stop them all for a while. Files of version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html
(`cpu.max`); of version 1: https://docs.kernel.org/scheduler/sched-bwc.html (`cpu.cfs_quota_us`, `cpu.cfs_period_us`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_FOLDERS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def usable_processors(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """Whole processors, at least one.

    Args:
        groups: where control groups are mounted.
        own: names the groups of this process.
    """
    allowed = len(os.sched_getaffinity(0))
    quotas = list(_quotas(groups, own))
    # Half a processor that would be used by another thread is not worth being stopped for.
    return max(1, min(allowed, int(min(quotas)))) if quotas else allowed


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """Limits of the group and of all groups around it, in processors."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _found(_quota_2(folder) for folder in _around(groups, path))
        elif "cpu" in controllers.split(","):
            for name in _FOLDERS:
                yield from _found(_quota_1(folder) for folder in _around(groups / name, path))


def _around(root: Path, path: str) -> Iterator[Path]:
    """The folder of a group, and those above. In a container the path may be the host's and only the root be there."""
    inside = PurePosixPath(path.lstrip("/"))
    for part in (inside, *inside.parents):
        if ".." not in part.parts:
            yield root / part


def _found(quotas: Iterator[float | None]) -> Iterator[float]:
    return (quota for quota in quotas if quota is not None)


def _quota_2(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _quota_1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    """None for `max` and -1, which mean no limit."""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) > 0 else None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
