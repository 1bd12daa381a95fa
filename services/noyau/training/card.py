"""The card of a model that a training job has made: what it is, what it learned from, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noyau.domain.model import ModelInfo

CURVES, EXAMPLES = "curves.png", "examples.png"


def job_card(
    info: ModelInfo,
    data: Mapping[str, Any],
    reasons: Mapping[str, str],
    warnings: Sequence[str],
    pictures: Sequence[str],
) -> str:
    """Markdown with the sections that readers look for.

    Args:
        info: the model's description, with its figures.
        data: record of the dataset; empty where all pairs are synthetic.
        reasons: why the configuration is as it is, by field.
        warnings: what was odd about the data or the run.
        pictures: names of those that lie beside the card.
    """
    parts = [
        f"# {info.name} version {info.version}",
        "",
        info.description,
        "",
        *_table({
            "network": f"{info.architecture}, {info.ndim}D, decoder {info.decoder}",
            "voxel size (um, z/y/x)": tuple(info.voxel_size) if info.voxel_size else "works in pixels",
            "typical nucleus": f"{info.diameter:g} {'um' if info.voxel_size else 'pixels'}",
            "starts from": info.parent or "random weights",
            "licence": info.licence or "not stated",
        }),
        "## Training data",
        "",
        *_data(data, info),
        "## How it was trained",
        "",
        f"By `noyau train`, loss of the decoder {info.decoder}, optimizer AdamW, in "
        f"{info.training.get('steps')} steps and {info.training.get('minutes_used')} minutes, with these settings:",
        "",
        *_table({name: value for name, value in info.training.items() if not isinstance(value, Mapping | list)}),
        *(f"- {name}: {reason}" for name, reason in reasons.items()),
        "",
        *_changes(info.training.get("changes", [])),
        "## Validation",
        "",
        *_figures(info.metrics),
        *(f"![{name}]({name})\n" for name in pictures),
        "## Limits",
        "",
        "Images unlike the training data may be segmented badly: look at some results before trusting the rest, and "
        "run `noyau evaluate` on annotated images of your own.",
        *(f"- {warning}" for warning in warnings),
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def _data(data: Mapping[str, Any], info: ModelInfo) -> list[str]:
    made = info.training.get("synthetic_count")
    lines = [f"{made} synthetic pairs, made for this run from seed {info.training.get('seed')}.", ""] if made else []
    if not data:
        return lines
    rows = [
        f"| {p.get('folder') or '.'} | {p.get('pairs')} | {p.get('objects')} | {p.get('modality') or ''} | "
        f"{p.get('licence') or 'not stated'} |"
        for p in data.get("parts", [])
    ]
    table = ["| folder | pairs | nuclei | modality | licence |", "|---|---|---|---|---|", *rows, ""]
    return [*lines, *table, f"Digest {data.get('digest')}; every pair is listed in `dataset.json`.", ""]


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the run changed of its own configuration."""
    lines = [f"- at step {c['step']}: {c['what']} became {c['to']}, because {c['why']}" for c in changes]
    return ["While it ran:", *lines, ""] if lines else []


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return ["Not measured: no image was held back. Run `noyau evaluate` on images that were not trained on.", ""]
    return _table(metrics)


def _table(rows: Mapping[str, Any]) -> list[str]:
    return ["| what | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
