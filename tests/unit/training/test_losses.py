"""The loss is small for the right answer, and blind where the truth is unknown."""

import torch
from noyau.training.losses import VoteLoss
from noyau.training.targets import Targets


def truth():
    foreground = torch.zeros(1, 1, 16, 16)
    foreground[..., 4:12, 4:12] = 1.0
    offsets = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0)) * 4 * foreground
    return Targets(foreground, offsets, torch.ones(1, 1, 16, 16), foreground.clone())


def answer(targets, confidence=20.0):
    return torch.cat([(targets.foreground * 2 - 1) * confidence, targets.offsets], 1)


def test_the_right_answer_costs_nothing_and_worse_answers_cost_more():
    loss, targets = VoteLoss(8.0), truth()
    right = loss(answer(targets), targets)
    assert right.total < 1e-3
    wrong_place = answer(targets)
    wrong_place[:, 1:] += 3.0
    wrong_shape = answer(targets).roll(3, dims=-1)
    assert loss(wrong_place, targets).offset > 0.05
    assert loss(wrong_shape, targets).dice > 0.1
    assert loss(wrong_shape, targets).entropy > 1.0


def test_unknown_voxels_do_not_matter():
    loss, targets = VoteLoss(8.0), truth()
    known = torch.ones(1, 1, 16, 16)
    known[..., 8:] = 0.0
    masked = Targets(targets.foreground, targets.offsets, known, targets.offset_weight * known)
    one, two = answer(targets), answer(targets)
    two[..., 8:] = 7.0
    assert torch.equal(loss(one, masked).total, loss(two, masked).total)


def test_a_patch_without_nuclei_teaches_silence_and_no_offsets():
    nothing = Targets(*(torch.zeros(1, n, 8, 8) for n in (1, 2)), torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    output = torch.zeros(1, 3, 8, 8, requires_grad=True)
    loss = VoteLoss(8.0)(output, nothing)
    (gradient,) = torch.autograd.grad(loss.total, output)
    assert (gradient[:, 0] > 0).all() and not gradient[:, 1:].any()
    assert loss.offset == 0
