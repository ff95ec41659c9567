"""Loading a loss by name or from a file, and the sentence for each way it can go wrong."""

import subprocess
import sys

import pytest
import torch

from tcmbench.common.errors import UserError
from tcmbench.losses import available_losses, load_loss
from tcmbench.losses.recall_at_k import RecallAtK
from tcmbench.losses.smooth_ap import SmoothAP
from tcmbench.similarity import batch_similarity
from tests.paths import SRC

GOOD = """
import torch
from torch import nn
from torch.nn import Linear

class _Helper(nn.Module):
    pass

class Mine(nn.Module):
    def __init__(self, scale, offset=0.0):
        super().__init__()
        if scale < 0:
            raise ValueError("scale is negative")
        self.scale, self.offset = scale, offset

    def forward(self, embeddings, labels):
        return self.scale * embeddings.sum() + self.offset

Alias = Mine
"""


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    return file


def test_names_are_the_public_files():
    assert {"smooth_ap", "recall_at_k"} <= set(available_losses())
    assert not [name for name in available_losses() if name.startswith("_")]


def test_names_are_known_without_torch():
    code = (
        "import sys, tcmbench.losses as l; l.available_losses(); assert 'torch' not in sys.modules"
    )
    folder = SRC
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


def test_a_named_loss_gets_its_parameters():
    assert isinstance(load_loss("smooth_ap", {}), SmoothAP)
    loss = load_loss("recall_at_k", {"k_values": [1, 3], "rank_temperature": 0.5})
    assert isinstance(loss, RecallAtK)
    assert (loss.k_values, loss.rank_temperature) == ((1, 3), 0.5)


def test_a_loss_from_a_file(mine):
    loss = load_loss("mine", {"scale": 2, "offset": 1.0}, mine)
    assert loss(torch.ones(2, 3), torch.zeros(2)).item() == 13


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("smoth_ap", {}, "there is no loss 'smoth_ap'; did you mean 'smooth_ap'?"),
        ("_soft_rank", {}, "there is no loss '_soft_rank'; "),
        ("smooth_ap", {"temprature": 1}, "'smooth_ap' has no parameter 'temprature'; did you mean"),
        ("smooth_ap", {"temperature": 0}, "loss 'smooth_ap': temperature must be a finite number"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(name, params, sentence):
    with pytest.raises(UserError) as caught:
        load_loss(name, params)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "loss 'mine': missing a required argument: 'scale'"),
        ({"scale": -1}, "cannot be built from its parameters {'scale': -1}: ValueError: scale is"),
        ({"scale": 1, "ofset": 1}, "loss 'mine' has no parameter 'ofset'; did you mean 'offset'?"),
    ],
)
def test_a_mistake_in_the_parameters_of_a_file_is_named(mine, params, sentence):
    with pytest.raises(UserError) as caught:
        load_loss("mine", params, mine)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "must define exactly one public torch.nn.Module, but has none"),
        (GOOD + "class Two(nn.Module): pass", "one public torch.nn.Module, but has Mine, Two"),
        ("1 / 0", "bad.py fails to import: ZeroDivisionError: division by zero"),
        ("def f(:", "bad.py fails to import: SyntaxError: "),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, sentence):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_loss("bad", {}, file)
    assert str(file) in str(caught.value)
    assert sentence in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"mine\.py is not a Python file"):
        load_loss("mine", {}, tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (torch.zeros(4), torch.zeros(4)),
        (torch.zeros(4, 2), torch.zeros(3)),
        (torch.zeros(0, 2),) * 2,
    ],
)
def test_a_batch_that_does_not_fit_is_refused(rows, labels):
    with pytest.raises(UserError, match=r"takes embeddings \[B, D\] and labels \[B\]"):
        batch_similarity(rows, labels)


def test_a_similarity_of_another_batch_is_refused():
    with pytest.raises(UserError, match=r"similarity must be \[4, 4\] for 4 embeddings"):
        batch_similarity(torch.zeros(4, 2), torch.zeros(4), torch.zeros(3, 3))
