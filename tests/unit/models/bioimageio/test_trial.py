"""The process in which programs of others are tried has no rights, and its end is not ours."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from noyau.domain.errors import InvalidInput, NoyauError
from noyau.models.bioimageio.torchscript import check_torchscript
from noyau.models.bioimageio.trial import try_out
from torch import nn

PROCESSING = {
    "input": {"axes": ["batch", "channel", "y", "x"], "dtype": "float32", "steps": []},
    "output": {"index": 0, "axes": ["batch", "channel", "y", "x"], "steps": []},
}
ATTEMPTS = """
import json, os, socket, subprocess, sys
from noyau.models.bioimageio.trial import _give_up_rights
written = open(sys.argv[1], "w")
_give_up_rights(is_program=True)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def attempt(what):
    try:
        what()
    except BaseException as error:
        return type(error).__name__
    return "done"
def write():
    written.write("evil")
    written.flush()
found = {
    "read": attempt(lambda: open("/etc/passwd")),
    "connect": attempt(lambda: socket.socket()),
    "start": attempt(lambda: subprocess.run(["true"])),
    "write": attempt(write),
}
os.write(1, json.dumps(found).encode())
os._exit(0)
"""


class Careful(nn.Module):
    """A program that does not like its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(3) < 100:
            raise RuntimeError("too small for me")
        return x


def test_the_process_can_neither_read_nor_write_nor_connect_nor_start_others(tmp_path):
    command = [sys.executable, "-c", ATTEMPTS, str(tmp_path / "target")]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert json.loads(done.stdout) == dict.fromkeys(("read", "connect", "start", "write"), "OSError")
    assert (tmp_path / "target").read_bytes() == b""


def test_what_a_program_raises_is_said(tools, tmp_path):
    content = tools["program"](Careful())
    check_torchscript(content, "careful.pt")
    with pytest.raises(NoyauError, match="too small for me"):
        try_out(tmp_path / "trial", "torchscript", content, PROCESSING, tools["image_2d"]())


def test_a_process_that_dies_is_a_refusal(tools, tmp_path, monkeypatch):
    monkeypatch.setattr("noyau.models.bioimageio.trial.sys.executable", "/bin/false")
    with pytest.raises(InvalidInput, match=r"ended the process that tried it \(code 1\)"):
        try_out(tmp_path / "trial", "torchscript", b"", PROCESSING, tools["image_2d"]())


@pytest.mark.parametrize(
    ("name", "how"), [("UNet", "trace"), ("UNet", "script"), ("BasicUNet", "trace"), ("SegResNet", "trace")]
)
def test_ordinary_networks_pass_the_check_of_programs(tools, name, how):
    import monai.networks.nets as nets

    arguments = {
        "UNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]},
        "BasicUNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "features": [4, 4, 8, 8, 8, 4]},
        "SegResNet": {"spatial_dims": 2, "init_filters": 8, "in_channels": 1, "out_channels": 2},
    }
    network = getattr(nets, name)(**arguments[name]).eval()
    check_torchscript(tools["torchscript" if how == "trace" else "program"](network), name)
