"""MONAI's networks behind our convention: one kind of answer, exact tiles where the neighbourhood is bounded."""

import pytest
import torch
from noyau.domain.errors import InvalidInput
from noyau.models.networks import ARCHITECTURES, arguments_for, build
from noyau.models.receptive_field import halo_for

SMALL = {
    "unet": {"widths": [4, 6], "strides": [[2, 2]]},
    "residual-unet": {"width": 4, "blocks": [1, 1]},
    "swin-unetr": {"width": 12, "depths": [1, 1, 1, 1], "heads": [1, 1, 1, 1]},
}
SMALL_3D = {
    "unet": {"widths": [4, 6], "strides": [[2, 2, 2]], "stem": [1, 2, 2]},
    "residual-unet": {"width": 4, "blocks": [1, 1], "stem": [1, 2, 2]},
}


def network_of(architecture, ndim, shape, **answer):
    """In eval mode, with norms that have seen data."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(architecture, {"ndim": ndim, **shape, **answer})
        size = [max(32, 2 * s) for s in network.total_stride]
        with torch.no_grad():
            network(torch.randn(2, 1, *size))
    return network.eval()


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize(("channels", "logits"), [(None, 1), (3, 3), (9, 1)])
def test_the_answer_has_as_many_channels_as_are_asked_for(architecture, channels, logits):
    network = network_of(architecture, 2, SMALL[architecture], channels=channels, logits=logits)
    shape = [2 * s for s in network.total_stride]
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, *shape)).shape == (1, channels or 3, *shape)
    assert network.scale.ravel().tolist() == [1.0] * logits + [8.0] * ((channels or 3) - logits)


@pytest.mark.parametrize("architecture", SMALL_3D)
def test_tiles_with_the_halo_equal_the_whole_where_the_neighbourhood_is_bounded(architecture):
    network = network_of(architecture, 3, SMALL_3D[architecture])
    assert network.bounded
    halo, stride = halo_for(network), network.total_stride
    core = list(stride)
    whole = torch.randn(1, 1, *(c + 4 * h for c, h in zip(core, halo, strict=True)))
    inner = [slice(h, 3 * h + c) for c, h in zip(core, halo, strict=True)]
    with torch.inference_mode():
        full, tile = network(whole), network(whole[(..., *inner)])
    in_full = tuple(slice(2 * h, 2 * h + c) for c, h in zip(core, halo, strict=True))
    in_tile = tuple(slice(h, h + c) for c, h in zip(core, halo, strict=True))
    assert torch.allclose(full[(..., *in_full)], tile[(..., *in_tile)], atol=1e-5)


def test_a_transformer_sees_its_whole_window_and_says_so():
    network = network_of("swin-unetr", 2, SMALL["swin-unetr"])
    assert not network.bounded
    assert all(h >= 16 and h % s == 0 for h, s in zip(halo_for(network), network.total_stride, strict=True))
    x = torch.randn(1, 1, 256, 32)
    changed = x.clone()
    changed[..., 224:, :] += 5.0
    with torch.inference_mode():
        assert not torch.allclose(network(x)[..., :16, :], network(changed)[..., :16, :], atol=1e-4)


def test_a_transformer_survives_a_window_of_one_coarse_cell():
    network = network_of("swin-unetr", 2, SMALL["swin-unetr"])
    with torch.inference_mode():
        answer = network(torch.randn(1, 1, 32, 32))
    assert answer.shape == (1, 3, 32, 32) and torch.isfinite(answer).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_every_architecture_has_a_shape_of_its_own(architecture, ndim):
    network = build(architecture, arguments_for(architecture, ndim))
    assert network.ndim == ndim and len(network.total_stride) == ndim and network.channels == 1 + ndim


def test_an_unknown_architecture_has_no_shape():
    with pytest.raises(InvalidInput, match="swin-unetr"):
        arguments_for("perceptron", 3)


@pytest.mark.parametrize("architecture", SMALL)
def test_arguments_that_do_not_fit_are_refused(architecture):
    with pytest.raises(InvalidInput, match="do not fit"):
        build(architecture, {"ndim": 2, "depth": 3})
