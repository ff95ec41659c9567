"""What every loss keeps: each file in the losses folder, the regularizer, and losses of your own.

A new file in the folder is tested as it stands. For losses kept elsewhere, files or the full names
of a package's classes, call from the repository's root (several, separated as in PATH):
`LOSSES=/home/me/my_loss.py python -m pytest tests/losses/test_loss_contract.py`.
"""

import inspect
import os
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.losses import available_losses, load_loss
from tcmbench.members import class_members
from tcmbench.regularizers.tcm import TCM
from tcmbench.similarity import similarity_matrix
from tests.losses import references as reference

OWN = [name for name in os.environ.get("LOSSES", "").split(os.pathsep) if name]
CASES = [*available_losses(), "regularizers/tcm", *OWN]
# A batch holds a few of the classes, as in a training.
LABELS = torch.tensor([3, 17, 29, 41]).repeat_interleave(4)


def build(case):
    torch.manual_seed(0)  # a loss may have weights of its own
    if case == "regularizers/tcm":
        return TCM()
    # As a training does, for losses with a vector for each class.
    sizes = {"num_classes": 60, "embedding_size": reference.unit_rows(2).shape[1]}
    if case not in OWN:
        return load_loss(case, {}, sizes=sizes)
    if case.endswith(".py"):
        return load_loss(Path(case).stem, {}, Path(case), sizes)
    return load_loss(case.rpartition(".")[2], {}, None, sizes, case)


@pytest.fixture(params=CASES)
def loss(request):
    return build(request.param)


@pytest.fixture
def rows():
    return reference.unit_rows(len(LABELS), dtype=torch.float32).requires_grad_()


def only_ours(request):
    if request.node.callspec.params["loss"] in OWN:
        pytest.skip("a training hands float32 over; sources are asked of this project's own files")


def takes_similarity(loss):
    return "similarity" in inspect.signature(loss.forward).parameters


def test_value_and_gradient_are_finite_and_not_0(loss, rows):
    value = loss(rows, LABELS)
    assert value.shape == ()
    assert value.dtype == torch.float32
    value.backward()
    assert value.isfinite()
    assert rows.grad.isfinite().all()
    assert rows.grad.any()


def test_the_names_of_classes_do_not_matter():
    """Labels are numbers of classes: other ones, in another order, give the same loss."""
    for name in (*available_losses(), "regularizers/tcm"):
        loss, rows = build(name), reference.unit_rows(len(LABELS), dtype=torch.float32)
        for names in ([0, 1, 2, 3], [50, 7, 2**40, -3]):
            other = torch.tensor(names).repeat_interleave(4)
            assert torch.equal(loss(rows, other), loss(rows, LABELS)), name


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(len(LABELS))))
@pytest.mark.parametrize("case", CASES)
def test_the_order_of_rows_does_not_matter(case, order):
    loss, rows = build(case), reference.unit_rows(len(LABELS), dtype=torch.float32)
    wanted = loss(rows, LABELS).item()
    assert loss(rows[order], LABELS[order]).item() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_a_given_similarity_changes_nothing(loss, rows):
    if not takes_similarity(loss):
        pytest.skip("this loss takes no similarity")
    other = rows.detach().clone().requires_grad_()
    own, given_one = loss(rows, LABELS), loss(other, LABELS, similarity=similarity_matrix(other))
    own.backward()
    given_one.backward()
    assert torch.equal(own, given_one)
    assert torch.equal(rows.grad, other.grad)


def test_given_members_change_nothing(loss, rows):
    if "members" not in inspect.signature(loss.forward).parameters:
        pytest.skip("this loss takes no members")
    order = torch.tensor([3, 9, 0, 14, 7, 1, 5, 11])  # classes of 3, 2, 2 and 1 rows
    rows, labels = rows.detach()[order], LABELS[order]
    members, filled = class_members(labels)
    for row, (slots, whether) in enumerate(zip(members.tolist(), filled.tolist(), strict=True)):
        assert slots[0] == row
        found = [slot for slot, there in zip(slots, whether, strict=True) if there]
        assert sorted(found) == [at for at in range(8) if labels[at] == labels[row]]
    assert torch.equal(loss(rows, labels), loss(rows, labels, members=(members, filled)))


@pytest.mark.parametrize(
    "labels",
    [torch.arange(len(LABELS)), torch.zeros_like(LABELS)],
    ids=["no_positive", "one_class"],
)
def test_a_batch_without_positives_or_negatives_trains_on(loss, rows, labels):
    value = loss(rows, labels)
    value.backward()
    assert value.isfinite()
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(loss, rows, dtype, request):
    only_ours(request)
    half = rows.detach().to(dtype).requires_grad_()
    value = loss(half, LABELS)
    value.backward()
    assert value.dtype == torch.float32
    assert half.grad.isfinite().all()
    torch.testing.assert_close(value, loss(half.float(), LABELS))
    if takes_similarity(loss):
        assert loss(half, LABELS, similarity=half @ half.T).dtype == torch.float32


def test_autocast_changes_nothing(loss, rows, request):
    only_ours(request)
    wanted = loss(rows, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(rows, LABELS)
        got.backward()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted)


def test_two_calls_agree_to_the_last_bit(loss, rows):
    values = [loss(rows, LABELS) for _ in range(2)]
    gradients = [torch.autograd.grad(value, rows)[0] for value in values]
    assert torch.equal(*values)
    assert torch.equal(*gradients)


def test_the_docstring_names_its_source(loss, request):
    only_ours(request)
    assert re.search(r"arXiv|doi\.org|https?://", type(loss).__doc__ or "")
