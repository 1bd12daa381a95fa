"""The vote network: shapes, scaling, and that tiles with the halo give the prediction of the whole."""

import pytest
import torch
from noyau.domain.errors import InvalidInput
from noyau.models.networks import VoteUNet, build, default_arguments
from noyau.models.receptive_field import halo_for, receptive_radius

TINY_3D = {
    "ndim": 3,
    "levels": [
        {"channels": 4, "stride": [1, 2, 2], "stem": [1, 4, 4], "down": [[3, 3, 3]], "up": [[1, 3, 3]]},
        {"channels": 6, "stride": [2, 2, 2], "down": [[3, 3, 3]], "residual": True},
    ],
}
TINY_2D = {
    "ndim": 2,
    "levels": [
        {"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]},
        {"channels": 6, "stride": [2, 2], "down": [[3, 3]], "residual": True},
    ],
}


def random_network(arguments: dict) -> VoteUNet:
    """A network in eval mode whose norms have seen data, so that nothing is trivially the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build("vote-unet", arguments)
        network.train()
        with torch.no_grad():
            network(torch.randn(2, 1, *([16] * network.ndim)))
    return network.eval()


@pytest.mark.parametrize("arguments", [TINY_3D, TINY_2D, default_arguments(3), default_arguments(2)])
def test_output_has_foreground_and_one_offset_per_axis_at_full_resolution(arguments):
    network = build("vote-unet", arguments).eval()
    shape = [2 * s for s in network.total_stride]
    with torch.inference_mode():
        assert network(torch.zeros(2, 1, *shape)).shape == (2, 1 + network.ndim, *shape)


def test_offset_scale_multiplies_offsets_only():
    one, eight = random_network({**TINY_2D, "offset_scale": 1.0}), build("vote-unet", {**TINY_2D, "offset_scale": 8.0})
    eight.load_state_dict(one.state_dict())
    x = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        a, b = one(x), eight.eval()(x)
    assert torch.equal(a[:, :1], b[:, :1])
    assert torch.allclose(8.0 * a[:, 1:], b[:, 1:], rtol=1e-5)


def test_a_fresh_network_starts_from_background():
    with torch.inference_mode():
        y = build("vote-unet", TINY_2D).eval()(torch.zeros(1, 1, 16, 16))
    assert torch.sigmoid(y[0, 0]).max() < 0.2


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        # 3x3 stem and two 3x3 blocks: one voxel each.
        ([{"channels": 2, "stride": [1, 1], "stem": [3, 3], "down": [[3, 3], [3, 3]]}], (3, 3)),
        # Kernels may differ per axis.
        ([{"channels": 2, "stride": [1, 1], "stem": [1, 3], "down": [[1, 3], [1, 5]]}], (0, 4)),
    ],
)
def test_receptive_radius_of_plain_convolutions_is_the_sum_of_kernel_radii(levels, expected):
    assert receptive_radius(build("vote-unet", {"ndim": 2, "levels": levels})) == expected


@pytest.mark.parametrize("arguments", [TINY_3D, TINY_2D])
def test_tiles_with_the_halo_equal_the_whole(arguments):
    network = random_network(arguments)
    halo, stride = halo_for(network), network.total_stride
    assert all(h % s == 0 for h, s in zip(halo, stride, strict=True))
    core = [2 * s for s in stride]
    whole = torch.randn(1, 1, *(c + 4 * h for c, h in zip(core, halo, strict=True)))
    inner = [slice(h, 3 * h + c) for c, h in zip(core, halo, strict=True)]
    with torch.inference_mode():
        full = network(whole)
        tile = network(whole[(..., *inner)])
    in_full = tuple(slice(2 * h, 2 * h + c) for c, h in zip(core, halo, strict=True))
    in_tile = tuple(slice(h, h + c) for c, h in zip(core, halo, strict=True))
    assert torch.allclose(full[(..., *in_full)], tile[(..., *in_tile)], atol=1e-5)


def test_a_halo_below_the_receptive_field_is_not_enough():
    torch.manual_seed(0)  # an unlucky draw has a dead path in every phase
    network = random_network(TINY_2D)
    radius = receptive_radius(network)[0]
    x = torch.randn(1, 1, 64, 64)
    changed = x.clone()
    at = [32 + p for p in range(network.total_stride[0])]
    # Somewhere among the phases, a voxel `radius` away matters, and one further away never does.
    with torch.inference_mode():
        before = network(x)
        reached = False
        for p in at:
            near, far = changed.clone(), changed.clone()
            near[..., : p - radius + 1, :] += 1.0
            near[..., p + radius :, :] += 1.0
            far[..., : p - radius, :] += 1.0
            far[..., p + radius + 1 :, :] += 1.0
            assert torch.allclose(network(far)[..., p, :], before[..., p, :], atol=1e-6)
            reached |= not torch.allclose(network(near)[..., p, :], before[..., p, :], atol=1e-6)
    assert reached


def test_unknown_architecture_names_the_known_ones():
    with pytest.raises(InvalidInput, match="vote-unet"):
        build("resnet", {})


@pytest.mark.parametrize("arguments", [{}, {"ndim": 3}, {"ndim": 2, "levels": [{"channels": 2}]}])
def test_arguments_that_do_not_fit_are_refused(arguments):
    with pytest.raises(InvalidInput, match="do not fit"):
        build("vote-unet", arguments)


def test_3d_network_stays_cheap():
    """About 130 kFLOP per voxel still lets two CPU cores segment more than a megavoxel per second (noyau bench)."""
    from torch.utils.flop_counter import FlopCounterMode

    network = build("vote-unet", default_arguments(3)).eval()
    x = torch.zeros(1, 1, 8, 32, 32)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(x)
    assert counter.get_total_flops() / x.numel() < 150_000
