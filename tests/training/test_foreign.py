"""Losses of files and packages that do not keep to the call: one sentence that names the loss."""

import pytest
import torch

from tcmbench.common.errors import UserError
from tcmbench.losses import load_loss
from tcmbench.training.foreign import blamed
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec

PACKAGE = "pytorch_metric_learning.losses"
LABELS = torch.tensor([3, 3, 5, 5])
FILE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Parameter(torch.ones(()))

    def forward(self, embeddings, labels):
        {body}
"""


def step(loss, regularizer=None, sizes=None):
    objective = Objective(loss, regularizer, sizes)
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(4, 6, generator=generator)).requires_grad_()
    terms = objective(rows, LABELS)
    return objective.gradient(terms["total"], rows)


def two_steps(loss):
    objective = Objective(loss, None)
    for _ in range(2):
        rows = torch.nn.functional.normalize(torch.randn(4, 6)).requires_grad_()
        objective.gradient(objective(rows, LABELS)["total"], rows)


@pytest.fixture
def mine(tmp_path):
    def write(body):
        file = tmp_path / "mine.py"
        file.write_text(FILE.format(body=body))
        return LossSpec("mine", {}, str(file))

    return write


@pytest.mark.parametrize("regularizer", [None, {}], ids=["base", "tcm"])
@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return embeddings.sum(1)", "returns a tensor of shape [4], but"),
        ("return embeddings.sum(), 3", "returns a tuple, but"),
        ("return {'loss': embeddings.sum()}", "returns a dict, but"),
        ("return float(embeddings.sum())", "returns a float, but"),
        ("return embeddings.detach().sum()", "returns a number without gradient, but"),
        ("raise KeyError('ref')", "(PATH) fails (KeyError: 'ref'); "),
        ("return embeddings[:, 9].sum()", "(PATH) fails (IndexError: index 9 is out of bounds"),
        ("assert labels.max() < 2, 'labels from 0'", "fails (AssertionError: labels from 0); "),
    ],
)
def test_what_is_no_loss(mine, body, what, regularizer):
    loss = mine(body)
    with pytest.raises(UserError) as error:
        step(loss, regularizer)
    said = str(error.value).replace(loss.file, "PATH")
    assert said.startswith("loss 'mine' ")
    assert what in said
    assert said.endswith(
        "a loss is called as loss(embeddings [B, D], labels [B]) in every step and returns one "
        "number to minimise, a tensor of shape [] that depends on the embeddings; mend it or "
        "choose another"
    )


def test_a_loss_of_its_own_parameters_alone(mine):
    with pytest.raises(UserError, match=r"^loss 'mine' returns a number that does not depend on"):
        step(mine("return self.own * 2"))


def test_one_number_in_a_row_is_a_number(mine):
    assert torch.equal(step(mine("return embeddings.sum()[None]")), torch.ones(4, 6))


def test_a_graph_kept_from_the_last_step(mine):
    loss = mine("self.kept = getattr(self, 'kept', 0) + (embeddings**2).sum(); return self.kept")
    with pytest.raises(UserError, match=r"fails \(RuntimeError: Trying to backward through"):
        two_steps(loss)


@pytest.mark.parametrize(
    "raised",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_is_no_fault_of_the_loss(raised):
    with pytest.raises(type(raised)) as error, blamed(LossSpec("mine", {}, "mine.py")):
        raise raised
    assert error.value is raised


def test_a_defect_of_this_project_keeps_its_traceback():
    with pytest.raises(KeyError), blamed(LossSpec("smooth_ap", {})):
        raise KeyError


@pytest.mark.parametrize("name", ["CosFaceLoss", "SubCenterArcFaceLoss", "ArcFaceLoss"])
def test_sizes_reach_a_loss_through_its_base_classes(name):
    sizes = {"num_classes": 9, "embedding_size": 6}
    loss = load_loss("mine", {"scale": 8}, None, sizes, f"{PACKAGE}.{name}")
    assert loss.num_classes == 9
    assert loss.scale == 8
    assert step(LossSpec("mine", {}, None, f"{PACKAGE}.{name}"), None, sizes).any()
    loss = load_loss("mine", {"num_classes": 11}, None, sizes, f"{PACKAGE}.{name}")
    assert loss.num_classes == 11


def test_sizes_are_not_given_to_who_does_not_ask():
    sizes = {"num_classes": 9, "embedding_size": 6}
    assert load_loss("mine", {}, None, sizes, f"{PACKAGE}.CircleLoss").m == 0.4


@pytest.mark.parametrize("name", ["DynamicSoftMarginLoss", "VICRegLoss"])
def test_losses_of_a_package_that_cannot_be_called_so(name):
    with pytest.raises(UserError, match=rf"^loss 'mine' \({PACKAGE}\.{name}\) fails"):
        two_steps(LossSpec("mine", {}, None, f"{PACKAGE}.{name}"))
