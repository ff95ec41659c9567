"""TCM against loops, hand-worked numbers, and its promise not to make a GPU wait."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tcmbench.common.errors import UserError
from tcmbench.regularizers.tcm import TCM
from tests.losses import references as reference

NO_ROWS = torch.zeros(4, 2)
LABELS = torch.tensor([0, 0, 1, 1])


def symmetric(*upper):
    matrix = torch.eye(4)
    matrix[tuple(torch.triu_indices(4, 4, 1))] = torch.tensor(upper)
    return torch.triu(matrix) + torch.triu(matrix, 1).T


@pytest.mark.parametrize(
    ("weights", "wanted"),
    # Positives 01: 0.7 and 23: 0.95; only 0.7 <= 0.9: mean of (0.9 - 0.7) = 0.2.
    # Negatives 02: 0.6, 03: 0.1, 12: 0.9, 13: 0.4; active 0.6 and 0.9: mean (0.1 + 0.4) / 2 = 0.25.
    [((1, 1), 0.45), ((2, 1), 0.65), ((1, 0), 0.2), ((0, 4), 1.0)],
)
def test_by_hand(weights, wanted):
    similarity = symmetric(0.7, 0.6, 0.1, 0.9, 0.4, 0.95)
    got = TCM(0.9, 0.5, *weights)(NO_ROWS, LABELS, similarity)
    assert got.item() == pytest.approx(wanted, abs=1e-6)


def test_a_pair_on_its_margin_counts_in_the_mean():
    # Positives 0.75 (on the margin, adds 0) and 0.5: (0 + 0.25) / 2; negatives 0.5 and 0.75, rest
    # below: (0 + 0.25) / 2. Strict comparisons would give 0.25 + 0.25.
    similarity = symmetric(0.75, 0.5, 0.0, 0.75, 0.0, 0.5)
    got = TCM(margin_positive=0.75, margin_negative=0.5)(NO_ROWS, LABELS, similarity)
    assert got.item() == pytest.approx(0.25, abs=1e-7)


def test_a_row_is_no_pair_with_itself():
    # At margin 1 the diagonal would count, and halve the mean of (1 - 0.7) and (1 - 0.95).
    similarity = symmetric(0.7, 0.1, 0.1, 0.1, 0.1, 0.95)
    got = TCM(margin_positive=1.0)(NO_ROWS, LABELS, similarity)
    assert got.item() == pytest.approx(0.175, abs=1e-6)


def test_gradient_by_hand():
    # One active positive pair and two active negative pairs, each twice in the matrix.
    similarity = symmetric(0.7, 0.6, 0.1, 0.9, 0.4, 0.95).requires_grad_()
    TCM()(NO_ROWS, LABELS, similarity).backward()
    assert torch.equal(similarity.grad, symmetric(-0.5, 0.25, 0, 0.25, 0, 0).fill_diagonal_(0))


def test_without_an_active_pair_value_and_gradient_are_0():
    rows = torch.eye(4)[[0, 0, 1, 1]].requires_grad_()
    loss = TCM()(rows, LABELS)
    loss.backward()
    assert loss.item() == 0
    assert not rows.grad.any()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    margins=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    weights=st.tuples(st.floats(0, 3), st.floats(0, 3)),
)
def test_equals_the_loops(seed, labels, margins, weights):
    rows = reference.unit_rows(len(labels), 3, seed)
    wanted = reference.tcm(rows @ rows.T, labels, margins, weights)
    got = TCM(*margins, *weights)(rows, torch.tensor(labels))
    assert float(got) == pytest.approx(float(wanted), abs=1e-9)


def test_classes_whose_names_float32_cannot_tell_apart():
    similarity = symmetric(0.7, 0.6, 0.1, 0.9, 0.4, 0.95)
    got = TCM()(NO_ROWS, LABELS + 2**24, similarity)
    assert got.item() == pytest.approx(0.45, abs=1e-6)


@pytest.mark.parametrize("margins", [(0.9, 0.5), (0.999, -1.0)])
def test_float32_is_as_good_as_float64_where_all_pairs_are_hard(margins):
    rows, labels = reference.unit_rows(256, 32), torch.arange(256) // 4
    exact, single = rows.clone().requires_grad_(), rows.float().requires_grad_()
    wanted, got = TCM(*margins)(exact, labels), TCM(*margins)(single, labels)
    wanted.backward()
    got.backward()
    assert got.item() == pytest.approx(wanted.item(), abs=1e-6)
    torch.testing.assert_close(single.grad.double(), exact.grad, rtol=1e-5, atol=1e-6)


def test_a_similarity_that_is_not_a_number_is_not_passed_over():
    similarity = symmetric(0.7, math.nan, 0.1, 0.9, 0.4, 0.95)
    assert TCM()(NO_ROWS, LABELS, similarity).isnan()


def test_gradcheck():
    rows = reference.unit_rows(8, 3, seed=5).requires_grad_()
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 3, 2])
    assert torch.autograd.gradcheck(lambda x: TCM(0.8, 0.1)(x, labels), rows)


class Operators(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_no_operator_brings_a_number_back_from_the_device():
    rows = reference.unit_rows(8).requires_grad_()
    with Operators() as seen:
        TCM()(rows, torch.arange(8) // 2).backward()
    assert "mm" in seen.names
    assert not seen.names & {"_local_scalar_dense", "nonzero", "masked_select", "index", "item"}


@pytest.mark.parametrize("value", [-1.5, 1.01, math.nan, "0.9", None])
@pytest.mark.parametrize("name", ["margin_positive", "margin_negative"])
def test_a_bad_margin_is_named(name, value):
    with pytest.raises(UserError, match=f"^{name} must be a number between -1 and 1, not"):
        TCM(**{name: value})


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, "1", None])
@pytest.mark.parametrize("name", ["weight_positive", "weight_negative"])
def test_a_bad_weight_is_named(name, value):
    with pytest.raises(UserError, match=f"^{name} must be a number at least 0 and finite, not"):
        TCM(**{name: value})
