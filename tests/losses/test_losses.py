"""Smooth-AP and the recall@k surrogate against loops, hand-worked numbers and their memory."""

import math
from functools import partial
from itertools import accumulate

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tcmbench.common.errors import UserError
from tcmbench.losses import _soft_rank
from tcmbench.losses.recall_at_k import RecallAtK
from tcmbench.losses.smooth_ap import SmoothAP
from tcmbench.regularizers.tcm import TCM
from tcmbench.similarity import similarity_matrix
from tests.losses import references as reference

LN3 = math.log(3)  # sigmoid(n * LN3) = 3**n / (3**n + 1): 3/4, 9/10, 27/28, ...

PAIRS = [
    pytest.param(SmoothAP(), reference.smooth_ap, id="smooth_ap"),
    pytest.param(SmoothAP(0.1), partial(reference.smooth_ap, temperature=0.1), id="smooth_ap_warm"),
    pytest.param(RecallAtK(), reference.recall_at_k, id="recall_at_k"),
    pytest.param(
        RecallAtK((2, 3), 0.1, 4.0),
        partial(reference.recall_at_k, k_values=(2, 3), inner=0.1, outer=4.0),
        id="recall_at_k_warm",
    ),
]
LABELS = [
    pytest.param([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4, id="contiguous"),
    pytest.param([2, 0, 1, 1, 0, 2, 2, 0, 1, 0, 1, 2], id="shuffled"),
    pytest.param([7, 7, 5, 900, 7, -3, 5, 7, -3, 7, 11], id="unequal_with_singletons"),
    pytest.param([1, 1, 1, 1, 1], id="one_class"),
]


def value_and_gradient(function, rows, labels):
    rows = rows.clone().requires_grad_()
    value = function(rows, labels)
    value.backward()
    return value.detach(), rows.grad


@pytest.mark.parametrize(("loss", "loops"), PAIRS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equals_the_loops_in_value_and_gradient(loss, loops, labels, dtype):
    rows = reference.unit_rows(len(labels), seed=len(labels))
    wanted, slope = value_and_gradient(lambda x, y: loops(x @ x.T, y), rows, labels)
    got, gradient = value_and_gradient(loss, rows.to(dtype), torch.tensor(labels))
    assert got.dtype == dtype
    assert got.item() == pytest.approx(wanted.item(), abs=1e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("loss", "loops"), PAIRS)
def test_gradcheck(loss, loops):
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 3])
    rows = reference.unit_rows(7, 3, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), rows, eps=1e-7, atol=1e-4)


def test_smooth_ap_by_hand():
    # Rows of classes 0, 0, 1, scores in units of LN3, temperature 1.
    # q0 [2, 1, 0]: p=0: R = 1 + 1/4 + 1/10 = 1.35, R_C = 1 + 1/4; p=1: R = 1 + 3/4 + 1/4 = 2,
    #   R_C = 1 + 3/4
    # q1 [1, 2, 0]: the same two, mirrored. q2 is alone in its class: left out.
    similarity = LN3 * torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    got = SmoothAP(temperature=1.0)(torch.zeros(3, 2), torch.tensor([0, 0, 1]), similarity)
    assert got.item() == pytest.approx(1 - (1.25 / 1.35 + 1.75 / 2) / 2, abs=1e-6)


def test_recall_at_k_by_hand():
    # q0 [2, 1, 0]: R(p=1) = 1 + 3/4 (the query) + 1/4 = 2; sigmoid((1 - 2) * 4 LN3) = 1/82,
    #   sigmoid((2 - 2) * 4 LN3) = 1/2
    # q1 [1, 2, 1]: R(p=0) = 1 + 3/4 + 1/2 = 2.25; sigmoid(-5 LN3) = 1/244, sigmoid(-LN3) = 1/4
    similarity = LN3 * torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    loss = RecallAtK((1, 2), rank_temperature=1.0, recall_temperature=0.25 / LN3)
    got = loss(torch.zeros(3, 2), torch.tensor([0, 0, 1]), similarity)
    assert got.item() == pytest.approx(1 - (1 / 82 + 1 / 2 + 1 / 244 + 1 / 4) / 4, abs=1e-6)


def test_perfect_separation_is_0_for_smooth_ap_and_not_for_recall_at_k():
    # Rows of a class coincide: R = 1 + 3 * 1/2 (the query and two others) = 2.5 for all three.
    # recalls: 3 s(-1.5) / 1, 3 s(-0.5) / 2, s(1.5), s(5.5), s(13.5) = .5473 .5663 .8176 .9959 1
    labels = torch.arange(24) // 4
    rows = torch.nn.functional.one_hot(labels, 6).float()
    assert SmoothAP()(rows, labels).item() == pytest.approx(0, abs=1e-6)
    assert RecallAtK()(rows, labels).item() == pytest.approx(0.2146, abs=5e-5)


def test_separated_classes_of_different_images_are_further_from_0():
    # The query is above its positives, which stand far apart: R = 2, 3 and 4. Recalls:
    # s(-1) + s(-2) + s(-3), (s(0) + s(-1) + s(-2)) / 2, (s(2) + s(1) + s(0)) / 3, and so on
    # = .4356 .4441 .7040 .9909 1
    labels = torch.arange(24) // 4
    similarity = torch.zeros(24, 24)
    for first in range(0, 24, 4):
        for i, row in enumerate(([0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0])):
            similarity[first + i, first : first + 4] = 1 - 0.2 * torch.tensor(row)
    got = RecallAtK()(torch.zeros(24, 2), labels, similarity).item()
    assert got == pytest.approx(0.2851, abs=5e-5)


def test_k_stays_where_the_official_code_lowers_it_to_the_batch_size():
    rows, labels = reference.unit_rows(8), torch.arange(8) // 4
    similarity = rows @ rows.T
    kept = RecallAtK((1, 16))(rows, labels).item()
    assert kept == pytest.approx(float(reference.recall_at_k(similarity, labels, (1, 16))))
    lowered = float(reference.recall_at_k(similarity, labels, (1, min(16, len(rows)))))
    assert abs(kept - lowered) > 1e-3


def test_recall_is_capped_at_k():
    # A very warm outer sigmoid gives each of 3 positives about 1/2: 1.5 hits, capped at k = 1.
    rows = reference.unit_rows(4)
    assert RecallAtK((1,), recall_temperature=1e4)(rows, torch.zeros(4)).item() == 0


@pytest.mark.parametrize(("loss", "loops"), PAIRS)
def test_blocks_do_not_change_the_result(loss, loops, monkeypatch):
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 3, 2, 2])
    rows = reference.unit_rows(9)
    whole, slope = value_and_gradient(loss, rows, labels)
    monkeypatch.setattr(_soft_rank, "LARGEST_BLOCK", 60)  # 2 rows of 9 x 3, then of 9 x 2
    assert len(list(_soft_rank._row_blocks(rows @ rows.T, torch.zeros(9, 3)))) == 5
    parts, gradient = value_and_gradient(loss, rows, labels)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(gradient, slope)


class LargestTensor(TorchDispatchMode):
    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@pytest.mark.parametrize("loss", [SmoothAP(), RecallAtK()], ids=["smooth_ap", "recall_at_k"])
@pytest.mark.parametrize(("batch", "per_class"), [(512, 4), (256, 256)])
def test_no_tensor_grows_with_the_cube_of_the_batch(loss, batch, per_class):
    rows = reference.unit_rows(batch, dtype=torch.float32).requires_grad_()
    with LargestTensor() as largest:
        loss(rows, torch.arange(batch) // per_class).backward()
    assert batch**2 <= largest.elements <= min(batch**2 * per_class, batch**3 // 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_matrix_gives_back_the_gradient_of_any_weights(dtype):
    rows = reference.unit_rows(12, 7, dtype=dtype).requires_grad_()
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    weights = torch.linspace(-1, 2, 144, dtype=exact).reshape(12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        matrix = similarity_matrix(rows)
        # Inside, where products of half precision would do the harm.
        (found,) = torch.autograd.grad((matrix * weights).sum(), rows)
    plain = rows.detach().to(exact).requires_grad_()
    product = plain @ plain.T
    (wanted,) = torch.autograd.grad((product * weights).sum(), plain)
    assert (matrix.dtype, found.dtype) == (exact, dtype)
    torch.testing.assert_close(matrix, product, rtol=0, atol=0)
    torch.testing.assert_close(found, wanted.to(dtype))


def peak_memory(function):
    """Bytes that torch's CPU allocator holds at the peak of a call beyond those before it."""
    with torch.autograd.profiler.profile(profile_memory=True) as profiler:
        function()
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(event.nbytes() for event in events))


@pytest.mark.parametrize("loss", [SmoothAP(), RecallAtK()], ids=["smooth_ap", "recall_at_k"])
def test_the_largest_batch_with_tcm_takes_less_than_500_mb_inside_autocast(loss):
    rows = reference.unit_rows(4096, 512, dtype=torch.float32).requires_grad_()
    labels = torch.arange(4096) // 4

    def step():
        with torch.autocast("cpu", torch.bfloat16):
            similarity = similarity_matrix(rows)
            total = loss(rows, labels, similarity) + TCM()(rows, labels, similarity)
        assert similarity.dtype == torch.float32
        total.backward()

    assert 4096**2 * 4 * 2 < peak_memory(step) < 500e6


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, "1e-2", None])
@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (SmoothAP, "temperature"),
        (RecallAtK, "rank_temperature"),
        (RecallAtK, "recall_temperature"),
    ],
)
def test_a_bad_temperature_is_named(loss, name, value):
    with pytest.raises(UserError, match=f"^{name} must be a finite number above 0, not"):
        loss(**{name: value})


@pytest.mark.parametrize("value", [(), (0,), (1, 2.5), (True,), 4, "1,2"])
def test_bad_k_values_are_named(value):
    with pytest.raises(UserError, match=r"^k_values must be whole numbers of at least 1, not"):
        RecallAtK(k_values=value)
