"""The loop: learns, reports, stops cleanly, and a resumed run equals the uninterrupted one bit for bit."""

import json
import math

import numpy as np
import pytest
import torch
from noyau.domain.errors import DamagedData, FailedPrecondition, InvalidInput, JobCancelled
from noyau.domain.progress import SilentReporter
from noyau.training.batches import BatchSource
from noyau.training.checkpoint import CHECKPOINT_NAME, read_checkpoint
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs
from noyau.training.loop import Loop
from noyau.training.schedule import cosine
from noyau.training.stepping import update_average


class Recorder(SilentReporter):
    """Keeps metrics; stops the run at a step when told to."""

    def __init__(self, stop_after: int | None = None):
        self.metrics: list[tuple[str, float]] = []
        self.checks, self.stop_after = 0, stop_after

    def metric(self, name, value):
        self.metrics.append((name, value))

    def check(self):
        if self.stop_after is not None and self.checks >= self.stop_after:
            raise JobCancelled("stopped by the test")
        self.checks += 1


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def configure(pairs_folder, tmp_path, tiny_network):
    def make(out="run", **changes) -> TrainConfig:
        folder = tmp_path / out
        folder.mkdir(exist_ok=True)
        values = {
            "name": "tiny", "ndim": 2, "data": (str(pairs_folder),), "out": folder, "max_steps": 12, "patch": (32, 32),
            "batch": 2, "warmup": 2, "arguments": tiny_network,
        }  # fmt: skip
        return TrainConfig(**{**values, **changes})

    return make


def loop_of(config, reporter=None, validator=None, clock=None):
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    extra = {} if clock is None else {"clock": clock}
    return Loop(config, BatchSource(config, pairs), reporter or SilentReporter(), validator, **extra)


def states_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_resumed_equals_uninterrupted(configure):
    straight = loop_of(configure("straight")).run()
    with pytest.raises(JobCancelled):
        loop_of(configure("broken"), Recorder(stop_after=5)).run()
    assert read_checkpoint(configure("broken").out)["step"] == 5
    resumed = loop_of(configure("broken", resume=True)).run()
    assert resumed.step == straight.step == 12
    assert states_equal(resumed.network.state_dict(), straight.network.state_dict())
    one, two = (read_checkpoint(configure(n).out) for n in ("straight", "broken"))
    assert states_equal(one["network"], two["network"])
    for key, moments in one["optimizer"]["state"].items():
        assert states_equal(moments, two["optimizer"]["state"][key])


def test_two_runs_of_one_seed_agree_and_another_seed_differs(configure):
    one, two, three = (
        loop_of(configure(n, seed=s, max_steps=3)).run().network.state_dict()
        for n, s in (("one", 0), ("two", 0), ("three", 1))
    )
    assert states_equal(one, two) and not states_equal(one, three)


def test_the_loss_falls(configure):
    recorder = Recorder()
    loop_of(configure(max_steps=100, lr=1e-2), recorder).run()
    totals = [v for n, v in recorder.metrics if n == "train/total"]
    assert len(totals) == 4 and totals[-1] < 0.7 * totals[0]


def test_the_average_is_returned_in_eval_mode_and_lags_behind(configure):
    config = configure(max_steps=8)
    result = loop_of(config).run()
    stored = read_checkpoint(config.out)
    assert not result.network.training
    assert states_equal(result.network.state_dict(), stored["average"])
    assert not states_equal(stored["average"], stored["network"])


def test_the_time_budget_ends_the_run_and_counts_across_resumptions(configure):
    ticks = iter(range(10_000))
    clock = lambda: float(next(ticks))  # noqa: E731
    first = loop_of(configure(max_steps=None, minutes=5 / 60), clock=clock).run()
    assert first.step == 5 and first.elapsed >= 5.0
    again = loop_of(configure(max_steps=None, minutes=5 / 60, resume=True), clock=clock).run()
    assert again.step == 5
    longer = loop_of(configure(max_steps=None, minutes=9 / 60, resume=True), clock=clock).run()
    assert longer.step > 5 and longer.elapsed >= 9.0


def test_validation_sees_the_average_in_eval_mode(configure):
    seen = []

    def validator(network, step):
        seen.append((step, network.training))
        return {"figure": step / 10}

    recorder = Recorder()
    loop_of(configure(validate_every=4), recorder, validator).run()
    assert seen == [(4, False), (8, False), (12, False)]
    assert [m for m in recorder.metrics if m[0] == "val/figure"] == [("val/figure", s / 10) for s in (4, 8, 12)]


def test_a_checkpoint_of_another_network_is_refused(configure, tiny_network):
    loop_of(configure(max_steps=1)).run()
    other = {**tiny_network, "offset_scale": 5.0}
    with pytest.raises(FailedPrecondition, match="another arguments"):
        loop_of(configure(resume=True, arguments=other))


def test_a_damaged_checkpoint_is_refused(configure):
    config = configure(resume=True)
    (config.out / CHECKPOINT_NAME).write_bytes(b"half a file")
    with pytest.raises(DamagedData, match=r"checkpoint\.pt"):
        loop_of(config)


def test_resuming_without_a_checkpoint_starts_afresh(configure):
    assert loop_of(configure(resume=True, max_steps=2)).run().step == 2


def test_no_partial_checkpoint_is_left(configure):
    config = configure(max_steps=2)
    loop_of(config).run()
    assert [p.name for p in config.out.iterdir()] == [CHECKPOINT_NAME]


def test_the_record_in_a_checkpoint_is_plain_data(configure):
    config = configure(max_steps=1)
    loop_of(config).run()
    record = read_checkpoint(config.out)["record"]
    assert json.loads(json.dumps(record))["patch"] == [32, 32]


def test_a_gradient_that_is_not_finite_stops_the_run(configure):
    loop = loop_of(configure(lr=1e30, clip=1e30, max_steps=50))
    with pytest.raises(FailedPrecondition, match="not finite"):
        loop.run()


@pytest.mark.skipif(torch.cuda.is_available(), reason="only without a GPU")
def test_a_gpu_that_is_absent_is_an_error(configure):
    with pytest.raises(FailedPrecondition, match="GPU"):
        loop_of(configure(device="cuda"))


def test_a_patch_that_does_not_fit_the_stride_is_refused(configure):
    with pytest.raises(FailedPrecondition, match="stride"):
        loop_of(configure(patch=(31, 32)))


@pytest.mark.parametrize(
    "changes",
    [{"ndim": 4}, {"max_steps": None}, {"synthetic_fraction": 1.5}, {"patch": (32,)}, {"batch": 0}, {"settle": 1.5}],
)
def test_nonsense_configurations_are_refused(configure, changes):
    with pytest.raises(InvalidInput):
        configure(**changes)


def test_batches_are_functions_of_seed_and_step(configure):
    config = configure()
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    source = BatchSource(config, pairs)
    images, targets = source.batch(3)
    source.batch(4)
    again, _ = BatchSource(config, pairs).batch(3)
    assert torch.equal(images, again) and images.shape == (2, 1, 32, 32)
    assert not torch.equal(images, source.batch(4)[0])
    assert targets.offsets.shape == (2, 2, 32, 32)


def test_synthetic_pairs_come_in_their_share(configure):
    config = configure(synthetic_fraction=0.25, batch=1)
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    drawn = []

    class Spy(list):
        def __getitem__(self, index):
            drawn.append(self.name)
            return super().__getitem__(index)

    source = BatchSource(config, pairs, pairs)
    for pool, name in zip(source._pools, ("real", "synthetic"), strict=True):
        spy = Spy(pool)
        spy.name = name
        source._pools[name == "synthetic"] = spy
    for step in range(200):
        source.batch(step)
    assert 0.15 < np.mean([d == "synthetic" for d in drawn]) < 0.35


def test_nothing_to_train_on_is_an_error(configure):
    with pytest.raises(InvalidInput, match="no pair"):
        BatchSource(configure(), [])


def test_cosine_falls_from_one_to_a_hundredth():
    assert cosine(0.0) == 1.0 and cosine(1.0) == pytest.approx(0.01) and cosine(2.0) == pytest.approx(0.01)
    assert all(cosine(a / 10) > cosine((a + 1) / 10) for a in range(10))
    assert math.isclose(cosine(0.5), 0.505)


def test_the_average_moves_by_its_share_and_copies_counters():
    one, two = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    with torch.no_grad():
        two.weight += 1.0
        two.num_batches_tracked += 7
    update_average(one, two, 0.9)
    assert torch.allclose(one.weight, torch.full((2,), 1.1)) and one.num_batches_tracked == 7


def test_settling_takes_the_synthetic_share_down_with_the_steps(configure):
    config = configure(max_steps=100, settle=0.25, synthetic_fraction=0.4)
    assert [config.variety(step) for step in (0, 50, 100, 200)] == [1.0, 0.625, 0.25, 0.25]
    with pytest.raises(InvalidInput, match="last step"):
        configure(max_steps=None, minutes=1.0, settle=0.5)


def test_a_run_starts_from_its_parents_weights(configure):
    first = loop_of(configure()).run().network.state_dict()
    config = configure("child", max_steps=1, lr=0.0)
    pairs = load_pairs(find_files(config.data), 2, config.normalisation)
    child = Loop(config, BatchSource(config, pairs), SilentReporter(), parent=first).run().network.state_dict()
    for name, value in first.items():
        if name.endswith(("weight", "bias")):
            torch.testing.assert_close(child[name], value)
