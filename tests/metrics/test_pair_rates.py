"""Error rates at any thresholds, against loops over all pairs."""

import doctest

import numpy as np
import pytest
import torch

import tcmbench.metrics.pair_rates as module
from tcmbench.common.errors import UserError
from tcmbench.metrics import error_rates
from tests.metrics.references import clustered, distances

THRESHOLDS = [1.1, 0.0, 0.7, 1.4, 2.0, 1.2]


def loops(embeddings, labels, threshold):
    """FAR and FRR of all pairs, and of each class with two images, counted one pair at a time."""
    d, n = distances(embeddings), len(labels)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    negatives = [(i, j) for i, j in pairs if labels[i] != labels[j]]
    positives = [(i, j) for i, j in pairs if labels[i] == labels[j]]

    def far(some):
        return np.mean([d[pair] <= threshold for pair in some])

    names = [name for name in np.unique(labels) if (labels == name).sum() >= 2]
    return (
        far(negatives),
        1 - far(positives),
        [far([p for p in negatives if name in labels[list(p)]]) for name in names],
        [1 - far([p for p in positives if labels[p[0]] == name]) for name in names],
    )


@pytest.mark.parametrize("block_size", [7, 59, 60, 61, None])
def test_agrees_with_loops_over_pairs(block_size):
    embeddings, labels = clustered(1, count=60, classes=6)
    labels[:3] = [91, 92, 93]
    found = error_rates(embeddings, labels, THRESHOLDS, block_size=block_size)
    expected = [loops(embeddings, labels, threshold) for threshold in THRESHOLDS]
    for at, name in enumerate(("far", "frr", "class_far", "class_frr")):
        column = np.array([row[at] for row in expected])
        np.testing.assert_allclose(getattr(found, name), column.T, atol=1e-12, err_msg=name)
    assert 0.05 < found.far[0] < 0.95
    assert 0.05 < found.frr[2] < 0.95
    assert found.classes.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found.thresholds, THRESHOLDS)


def test_a_pair_at_the_threshold_is_accepted_and_no_threshold_is_too_large():
    found = error_rates(np.eye(4), [0, 0, 1, 1] * np.ones(4, int), [2**0.5, 1.4142, 1e300, np.inf])
    assert found.far.tolist() == [1, 0, 1, 1]
    assert found.frr.tolist() == [0, 1, 0, 0]


def test_without_positive_or_without_negative_pairs_a_rate_is_0():
    alone = error_rates(torch.eye(3), torch.arange(3), [1.0, 2.0])
    assert (alone.far.tolist(), alone.frr.tolist()) == ([0, 1], [0, 0])
    assert alone.class_far.shape == alone.class_frr.shape == (0, 2)
    together = error_rates(torch.eye(3), torch.zeros(3, dtype=int), [1.0, 2.0])
    assert (together.far.tolist(), together.frr.tolist()) == ([0, 0], [1, 0])
    assert together.class_far.tolist() == [[0, 0]]


@pytest.mark.parametrize("thresholds", [[], 0.5, [[0.5]], [-0.1], [np.nan]])
def test_unusable_thresholds_are_refused(thresholds):
    with pytest.raises(UserError, match="give distances >= 0 in a list"):
        error_rates(np.eye(3), np.arange(3), thresholds)


def test_documented_example_runs():
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("block_size", [1, 7, 10, 64])
def test_every_pair_is_told_of(block_size):
    told = []
    error_rates(np.eye(23), np.arange(23) // 3, [1.0], block_size=block_size, report=told.append)
    assert sum(told) == 23 * 22 // 2
