"""The record of a dataset: what a model was trained on and measured with, as JSON that travels with the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from noyau.training.data.opening import Dataset, PairRef
from noyau.training.data.splitting import Split

RECORD_NAME = "dataset.json"
FORMAT = 1
_STATED = ("name", "licence", "modality", "source", "authors", "description")


def dataset_record(dataset: Dataset, split: Split | None = None) -> dict[str, Any]:
    """JSON-ready; the same for the same data, whenever and wherever it is made (no times, no absolute paths).

    Args:
        dataset: from `open_dataset`.
        split: from `split_dataset`; None where nothing is split.
    """
    sides = _sides(dataset, split)
    pairs = [_pair(pair, sides.get(pair.name, "left out")) for pair in dataset.pairs]
    problems = [*dataset.problems, *(split.problems if split else ())]
    return {
        "format": FORMAT,
        "digest": _digest(pairs),
        "ndim": dataset.ndim,
        "parts": _parts(dataset.pairs),
        "counts": _counts(dataset, sides),
        "specimens": dataset.specimens,
        "fragment": dataset.fragment,
        "pairs": pairs,
        "problems": [
            {"pair": p.pair, "kind": p.kind, "severity": p.severity, "cause": p.cause, "others": list(p.others)}
            for p in problems
        ],
    }


def _sides(dataset: Dataset, split: Split | None) -> dict[str, str]:
    if split is None:
        return {pair.name: "all" for pair in dataset.pairs}
    return {p.name: "train" for p in split.train} | {p.name: "validation" for p in split.val}


def _pair(pair: PairRef, side: str) -> dict[str, Any]:
    return {"name": pair.name, "specimen": pair.specimen, "side": side, **pair.found.record()}


def _parts(pairs: Sequence[PairRef]) -> list[dict[str, Any]]:
    """What is stated of each folder: licence, modality, source, voxel size."""
    parts: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        folder = pair.name.rpartition("/")[0]
        part = parts.setdefault(folder, {"folder": folder, "pairs": 0, "objects": 0, "voxel_sizes": []})
        part.update({key: getattr(pair.facts, key) for key in _STATED})
        part["pairs"] += 1
        part["objects"] += pair.found.objects
        size = None if pair.found.voxel_size is None else list(pair.found.voxel_size)
        if size not in part["voxel_sizes"]:
            part["voxel_sizes"].append(size)
    return list(parts.values())


def _counts(dataset: Dataset, sides: dict[str, str]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for side in sorted(set(sides.values())):
        members = [p for p in dataset.pairs if sides.get(p.name) == side]
        counts[side] = {
            "pairs": len(members),
            "objects": sum(p.found.objects for p in members),
            "specimens": len({p.specimen for p in members}),
        }
    return counts


def _digest(pairs: Sequence[dict[str, Any]]) -> str:
    """SHA-256 over names, sides and digests of all pairs, whatever their order."""
    essence = sorted((p["name"], p["side"], p["image_digest"], p["labels_digest"]) for p in pairs)
    return hashlib.sha256(json.dumps(essence).encode()).hexdigest()
