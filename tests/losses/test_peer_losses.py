"""What pytorch-metric-learning computes: TCM agrees with it, its Smooth-AP is no oracle."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.losses.smooth_ap import SmoothAP
from tcmbench.regularizers.tcm import TCM
from tests.losses import references as reference

peers = pytest.importorskip("pytorch_metric_learning.losses")


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=24),
    margins=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    weights=st.tuples(st.floats(0, 3), st.floats(0, 3)),
)
def test_tcm_equals_the_peer_in_value_and_gradient(seed, labels, margins, weights):
    labels = torch.tensor(labels)
    ours, theirs = (reference.unit_rows(len(labels), 4, seed).requires_grad_() for _ in range(2))
    unit = torch.nn.functional.normalize
    got = TCM(*margins, *weights)(unit(ours), labels)
    peer = peers.ThresholdConsistentMarginLoss(
        lambda_plus=weights[0],
        lambda_minus=weights[1],
        margin_plus=margins[0],
        margin_minus=margins[1],
    )
    wanted = torch.as_tensor(peer(unit(theirs), labels))
    assert got.item() == pytest.approx(wanted.item(), abs=1e-6)
    got.backward()
    if wanted.requires_grad:  # the peer returns a plain 0 where no pair is active
        wanted.backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)
    else:
        assert not ours.grad.any()


@pytest.mark.documents
def test_the_peers_smooth_ap_is_the_formula_only_where_classes_equal_rows_per_class():
    """The peer (2.9.0) is no oracle: it takes the rows per class for the number of classes.

    4 classes of 4 rows hide the mix-up; with 6 classes of 3 it ranks within groups of 6 rows that
    belong to two classes.
    """
    square, other = torch.arange(16) // 4, torch.arange(18) // 3
    for labels, agrees in [(square, True), (other, False)]:
        rows = reference.unit_rows(len(labels), dtype=torch.float32)
        wanted = reference.smooth_ap(rows @ rows.T, labels).item()
        peer = peers.SmoothAPLoss()(rows, labels).item()
        assert (abs(peer - wanted) < 1e-5) == agrees
        assert SmoothAP()(rows, labels).item() == pytest.approx(wanted, abs=1e-5)
