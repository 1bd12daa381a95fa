"""The synthetic training set: the same for the same seed, resumable, and readable as pairs."""

import numpy as np
import pytest
from noyau.domain.errors import JobCancelled
from noyau.domain.model import Normalisation
from noyau.domain.progress import SilentReporter
from noyau.training.dataset import load_pair
from noyau.training.synthetic_set import make_synthetic_set


def arrays(path):
    with np.load(path) as stored:
        return stored["image"], stored["labels"]


def test_the_same_seed_gives_the_same_pairs(tmp_path):
    one = make_synthetic_set(tmp_path / "one", 2, 3, 5, SilentReporter())
    two = make_synthetic_set(tmp_path / "two", 2, 3, 5, SilentReporter())
    other = make_synthetic_set(tmp_path / "other", 2, 1, 6, SilentReporter())
    assert [p.name for p in one] == [p.name for p in two]
    for a, b in zip(one, two, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))
    assert not np.array_equal(arrays(one[0])[0], arrays(other[0])[0])


def test_a_larger_set_contains_the_smaller_one(tmp_path):
    small = make_synthetic_set(tmp_path, 2, 2, 5, SilentReporter())
    times = [p.stat().st_mtime_ns for p in small]
    large = make_synthetic_set(tmp_path, 2, 3, 5, SilentReporter())
    assert large[:2] == small and [p.stat().st_mtime_ns for p in small] == times


def test_pairs_are_trainable_and_hold_nuclei(tmp_path):
    (path,) = make_synthetic_set(tmp_path, 3, 1, 2, SilentReporter(), recipes=("tissue",))
    pair = load_pair(path, 3, Normalisation())
    assert pair.image.shape == (40, 128, 128) and len(pair.objects.ids) > 3
    assert pair.high > pair.low


def test_a_stop_leaves_only_whole_pairs(tmp_path):
    class Impatient(SilentReporter):
        left = 1

        def check(self):
            if self.left == 0:
                raise JobCancelled("enough")
            self.left -= 1

    with pytest.raises(JobCancelled):
        make_synthetic_set(tmp_path, 2, 3, 5, Impatient())
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]
