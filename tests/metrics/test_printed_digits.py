"""What comparisons.csv is made of does not depend on threads, tiles, engine or path.

Tables print three significant digits of OPIS and one decimal of R@1 in %; asked for here are twice
as many digits, and the curves of every class, which intervals are drawn from.
"""

import numpy as np
import pytest
import torch

from tcmbench.metrics import evaluate_all_pairs, map_at_r
from tcmbench.metrics.engine import counting
from tests.metrics.references import clustered

DIGITS = 6


@pytest.fixture(scope="module")
def embedded():
    return clustered(3, 300, 48, 17, spread=0.7)


@pytest.fixture(scope="module")
def expected(embedded):
    return measured(*embedded, threads=1)


@pytest.fixture(autouse=True)
def threads_come_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def measured(embeddings, labels, threads, **options):
    torch.set_num_threads(threads)
    found = evaluate_all_pairs(embeddings, labels, (1,), **options)
    scores = found.consistency
    values = (scores.opis, scores.epsilon_opis, scores.d_min, scores.d_max)
    printed = [f"{value:.{DIGITS}g}" for value in (*values, map_at_r(embeddings, labels))]
    return found.recall[1], printed, scores.utility


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("block_size", [37, None])
@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_metrics_agree_beyond_the_printed_digits(
    embedded, expected, monkeypatch, threads, block_size, engine
):
    monkeypatch.setattr(counting, "_engine", lambda rows: engine)
    recall, printed, utility = expected
    for exact in (True, False):
        found = measured(*embedded, threads, block_size=block_size, exact=exact)
        assert found[0] == recall
        assert found[1] == printed
        np.testing.assert_allclose(found[2], utility, rtol=0, atol=1e-5)
