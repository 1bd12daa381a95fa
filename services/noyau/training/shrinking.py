"""What a run does when the memory does not suffice: it goes on with a smaller patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import torch

# What torch says when the C++ allocator of the CPU fails; there is no exception class for it.
_CPU_ALLOCATOR = re.compile(r"can't allocate memory|not enough memory|DefaultCPUAllocator", re.I)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the GPU or of the machine, is exhausted."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_CPU_ALLOCATOR.search(str(error)))


def smaller_patch(patch: Sequence[int], stride: Sequence[int]) -> tuple[int, ...] | None:
    """The patch with its longest axis (in strides) halved; None where it cannot become smaller.

    Args:
        patch, stride: voxels per axis; the patch is a multiple of the stride.
    """
    counts = [p // s for p, s in zip(patch, stride, strict=True)]
    # A network needs some context: two strides are the least.
    axes = [axis for axis, count in enumerate(counts) if count > 2]
    if not axes:
        return None
    longest = max(axes, key=lambda axis: (counts[axis] * stride[axis], -axis))
    counts[longest] = max(2, (counts[longest] + 1) // 2)
    smaller = tuple(count * s for count, s in zip(counts, stride, strict=True))
    return smaller if prod(smaller) < prod(patch) else None
