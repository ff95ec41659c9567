"""A driver older than torch's CUDA: both versions named, with pretended ones."""

import os
from pathlib import Path

import pytest
import torch

from tcmbench.common.driver import built_for, driver, require_driver
from tcmbench.common.errors import UserError

# The head of what the program prints, with the versions that matter.
PRINTED = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {driver}             Driver Version: {driver}     CUDA Version: {cuda}     |
+-----------------------------------------+------------------------+----------------------+
"""


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def program(driver: str, cuda: str, code: int = 0) -> None:
        file = tmp_path / "nvidia-smi"
        text = PRINTED.format(driver=driver, cuda=cuda)
        file.write_text(f"#!/bin/sh\ncat <<'E'\n{text}E\nexit {code}\n")
        file.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


def test_the_versions_are_read(pretend) -> None:
    pretend("535.104.05", "12.2")
    assert driver() == ("535.104.05", (12, 2))
    pretend("580.65.06", "13.0")
    assert driver() == ("580.65.06", (13, 0))


def test_an_older_driver_is_refused_with_both_versions(pretend) -> None:
    pretend("535.104.05", "12.2")
    with pytest.raises(UserError) as caught:
        require_driver("2.15.0", "13.2")
    sentence = str(caught.value)
    for part in ("driver 535.104.05", "up to 12.2", "torch 2.15.0", "CUDA 13.2", "driver 580"):
        assert part in sentence
    assert "a build of torch for CUDA 12" in sentence


# Within a generation any minor version of CUDA runs, and an older generation on a newer driver.
@pytest.mark.parametrize(("cuda", "wanted"), [("13.0", "13.2"), ("13.2", "12.6"), ("12.2", "12.8")])
def test_a_driver_of_the_generation_serves(pretend, cuda: str, wanted: str) -> None:
    pretend("580.65.06", cuda)
    require_driver("2.15.0", wanted)


def test_without_a_driver_nothing_is_said(pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend("535.104.05", "12.2", code=9)
    assert driver() is None
    require_driver("2.15.0", "13.2")
    monkeypatch.setenv("PATH", "")
    assert driver() is None


def test_the_installed_torch_is_read_without_importing_it() -> None:
    if torch.version.cuda is None:
        assert built_for() is None
    else:
        assert built_for() == (str(torch.__version__), torch.version.cuda)
