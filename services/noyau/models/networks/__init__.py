"""The known network architectures, all with one kind of answer; see `noyau.models.networks.dense`."""

from noyau.models.networks.dense import DenseNetwork
from noyau.models.networks.known import ARCHITECTURES, arguments_for, build, default_arguments
from noyau.models.networks.vote_unet import VoteUNet

__all__ = [
    "ARCHITECTURES",
    "DenseNetwork",
    "VoteUNet",
    "arguments_for",
    "build",
    "default_arguments",
]
