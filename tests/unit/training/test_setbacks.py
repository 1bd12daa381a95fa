"""What a run does when something goes wrong: NaN, too little memory, a full disk, no progress any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from noyau.domain.errors import FailedPrecondition, InvalidInput, LimitExceeded
from noyau.domain.progress import SilentReporter
from noyau.training.batches import BatchSource
from noyau.training.checkpoint import BEST_NAME, CHECKPOINT_NAME, read_checkpoint
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs
from noyau.training.loop import Loop
from noyau.training.shrinking import is_out_of_memory, smaller_patch
from noyau.training.stopping import Best, score_of


class Notes(SilentReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def log(self, message: str, level: str = "info") -> None:
        self.said.append((level, message))

    @property
    def warnings(self) -> list[str]:
        return [message for level, message in self.said if level == "warning"]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def configure(pairs_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]) -> Callable[..., TrainConfig]:
    def make(out: str = "run", **changes: Any) -> TrainConfig:
        folder = tmp_path / out
        folder.mkdir(exist_ok=True)
        values: dict[str, Any] = {
            "name": "tiny", "ndim": 2, "data": (str(pairs_folder),), "out": folder, "max_steps": 8, "patch": (32, 32),
            "batch": 1, "warmup": 2, "arguments": tiny_network, "checkpoint_minutes": 0.0,
        }  # fmt: skip
        return TrainConfig(**{**values, **changes})

    return make


def loop_of(config: TrainConfig, reporter: Any = None, validator: Any = None, source: Any = None, **more: Any) -> Loop:
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    return Loop(config, source or BatchSource(config, pairs), reporter or SilentReporter(), validator, **more)


class Poisoned(BatchSource):
    """Gives one batch of NaN, the first time that a step is reached."""

    at, given = 5, False

    def batch(self, step: int) -> Any:
        images, targets = super().batch(step)
        if step == self.at and not Poisoned.given:
            Poisoned.given = True
            images = images * float("nan")
        return images, targets


def poisoned(config: TrainConfig, at: int) -> Poisoned:
    Poisoned.given, Poisoned.at = False, at
    return Poisoned(config, load_pairs(find_files(config.data), 2, config.normalisation))


def test_nan_takes_the_run_back_to_its_checkpoint_with_half_the_rate(configure: Callable[..., TrainConfig]) -> None:
    config, notes = configure(), Notes()
    result = loop_of(config, notes, source=poisoned(config, 5)).run()
    assert result.step == 8
    assert [(c["what"], c["step"], c["to"]) for c in result.changes] == [("rate", 5, config.lr / 2)]
    assert "step 5" in notes.warnings[0] and "back to" in notes.warnings[0]
    assert all(torch.isfinite(value).all() for value in result.network.state_dict().values())
    stored = read_checkpoint(config.out)
    assert stored["slowdown"] == 0.5
    assert json.loads(json.dumps(stored["changes"])) == list(result.changes)


def test_nan_before_the_first_checkpoint_takes_the_run_back_to_its_start(
    configure: Callable[..., TrainConfig],
) -> None:
    config, notes = configure(checkpoint_minutes=60.0, max_steps=3), Notes()
    result = loop_of(config, notes, source=poisoned(config, 1)).run()
    assert result.step == 3 and result.changes[0]["step"] == 0
    assert "back to step 0" in notes.warnings[0]


def test_a_run_that_diverges_at_any_rate_is_given_up_and_keeps_its_last_good_checkpoint(
    configure: Callable[..., TrainConfig],
) -> None:
    class Hopeless(BatchSource):
        def batch(self, step: int) -> Any:
            images, targets = super().batch(step)
            return (images * float("nan") if step >= 3 else images), targets

    config = configure()
    source = Hopeless(config, load_pairs(find_files(config.data), 2, config.normalisation))
    with pytest.raises(FailedPrecondition, match="not finite at step 3"):
        loop_of(config, source=source).run()
    stored = read_checkpoint(config.out)
    assert stored["step"] == 3
    assert all(torch.isfinite(value).all() for value in stored["network"].values())


class Greedy(BatchSource):
    """Fails like a device without memory, as long as the patch is larger than allowed."""

    allowed = 300

    def batch(self, step: int) -> Any:
        images, targets = super().batch(step)
        if step >= 2 and images[0, 0].numel() > self.allowed:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return images, targets

    def with_config(self, config: TrainConfig) -> BatchSource:
        return Greedy(config, self._pools[0], self._pools[1])


def greedy(config: TrainConfig) -> Greedy:
    return Greedy(config, load_pairs(find_files(config.data), 2, config.normalisation))


def test_too_little_memory_makes_the_patch_smaller_also_after_a_restart(configure: Callable[..., TrainConfig]) -> None:
    config, notes = configure(max_steps=5), Notes()
    result = loop_of(config, notes, source=greedy(config)).run()
    assert result.step == 5
    assert [c["to"] for c in result.changes] == [[16, 32], [16, 16]]
    assert "memory did not suffice for patches of 32,32" in notes.warnings[0]
    again, later = configure(max_steps=7, resume=True), Notes()
    resumed = loop_of(again, later, source=greedy(again)).run()
    assert resumed.step == 7 and resumed.changes == result.changes and not later.warnings


def test_too_little_memory_for_the_smallest_patch_is_an_error(configure: Callable[..., TrainConfig]) -> None:
    config = configure()
    source = greedy(config)
    Greedy.allowed = 0
    try:
        with pytest.raises(LimitExceeded, match="memory does not suffice"):
            loop_of(config, source=source).run()
    finally:
        Greedy.allowed = 300


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("x"), False),
    ],
)
def test_what_counts_as_too_little_memory(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_patch_shrinks_along_its_longest_axis_down_to_two_strides() -> None:
    assert smaller_patch((32, 80, 80), (2, 4, 4)) == (32, 40, 80)
    assert smaller_patch((32, 40, 80), (2, 4, 4)) == (32, 40, 40)
    patch: tuple[int, ...] | None = (32, 80, 80)
    smallest = patch
    while patch is not None:
        smallest, patch = patch, smaller_patch(patch, (2, 4, 4))
    assert smallest == (4, 8, 8)


def test_a_full_disk_is_told_and_the_checkpoint_before_stays(
    configure: Callable[..., TrainConfig], small_disk: Path
) -> None:
    config = configure(max_steps=2)
    before = loop_of(config).run()
    out = small_disk / "run"
    out.mkdir()
    (out / CHECKPOINT_NAME).write_bytes((config.out / CHECKPOINT_NAME).read_bytes())
    fill(small_disk / "filler")
    full = configure(max_steps=6, resume=True)
    object.__setattr__(full, "out", out)
    with pytest.raises(LimitExceeded, match=r"checkpoint.*cannot be written.*space") as told:
        loop_of(full).run()
    assert "previous checkpoint is intact" in told.value.remedy
    assert read_checkpoint(out)["step"] == before.step == 2
    assert sorted(p.name for p in out.iterdir()) == [CHECKPOINT_NAME]


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def scores(values: list[float]) -> Any:
    def validate(network: Any, step: int) -> dict[str, float]:
        return {"foreground_iou": values[step - 1]}

    return validate


def test_the_best_weights_are_kept_and_hopeless_runs_stop_early(configure: Callable[..., TrainConfig]) -> None:
    figures = [0.1, 0.5, 0.4, 0.3, 0.2, 0.2, 0.2, 0.2]
    config = configure(validate_every=1, keep="best", patience=3)
    result = loop_of(config, validator=scores(figures)).run()
    assert result.step == 5 and (result.best.step, result.best.score) == (2, 0.5)
    kept = torch.load(config.out / BEST_NAME, weights_only=True)
    assert kept["step"] == 2
    for name, value in result.network.state_dict().items():
        assert torch.equal(value, kept["average"][name])
    last = read_checkpoint(config.out)["average"]
    assert any(not torch.equal(value, kept["average"][name]) for name, value in last.items())


def test_an_early_stop_survives_a_restart(configure: Callable[..., TrainConfig]) -> None:
    config = configure(validate_every=1, keep="best", patience=2)
    first = loop_of(config, validator=scores([0.5, 0.4, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9])).run()
    again = loop_of(
        configure(validate_every=1, keep="best", patience=2, resume=True), validator=scores([1.0] * 8)
    ).run()
    assert first.step == again.step == 3 and again.best == first.best


def test_the_parent_is_the_first_to_be_measured(configure: Callable[..., TrainConfig]) -> None:
    parent = loop_of(configure("parent", max_steps=1)).run().network.state_dict()
    seen: list[int] = []

    def validate(network: Any, step: int) -> dict[str, float]:
        seen.append(step)
        return {"foreground_iou": 1.0 - 0.1 * step}

    result = loop_of(configure(max_steps=2, validate_every=1, keep="best"), validator=validate, parent=parent).run()
    assert seen == [0, 1, 2] and result.best.step == 0
    for name, value in result.network.state_dict().items():
        torch.testing.assert_close(value, parent[name])


def test_a_checkpoint_is_told_of_when_it_is_on_disk(configure: Callable[..., TrainConfig]) -> None:
    told: list[tuple[int, bool]] = []
    config = configure(max_steps=3)
    loop_of(config, saved=lambda step: told.append((step, read_checkpoint(config.out)["step"] == step))).run()
    assert [step for step, _ in told][:3] == [1, 2, 3] and all(there for _, there in told)


def test_scores() -> None:
    assert score_of({"f1_50": 0.9, "f1_70": 0.6, "seg": 0.6, "foreground_iou": 0.1}) == pytest.approx(0.7)
    assert score_of({"f1_50": float("nan"), "seg": 0.5}) == 0.5
    assert score_of({"foreground_iou": 0.4}) == 0.4
    assert score_of({"offset_error": 2.0}) is None
    best = Best()
    assert not best.exists and best.judge(0.5, 1) and not best.judge(0.50001, 2) and best.stale == 1


@pytest.mark.parametrize("change", [{"precision": "fp8"}, {"keep": "first"}, {"report_every": 0}])
def test_unknown_choices_are_refused(configure: Callable[..., TrainConfig], change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        configure(**change)
