"""Margins by error rates, against counting all pairs one by one."""

import itertools

import numpy as np
import pytest

from tcmbench.margins.rates import margins, told


def by_hand(embeddings, labels):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    pairs = list(itertools.combinations(range(len(labels)), 2))
    cosines = {same: [] for same in (True, False)}
    for i, j in pairs:
        cosines[bool(labels[i] == labels[j])].append(float(unit[i] @ unit[j]))
    return sorted(cosines[True]), sorted(cosines[False], reverse=True)


@pytest.fixture
def data():
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(12), 7)
    return random.normal(size=(12, 16))[labels] + random.normal(size=(84, 16)), labels


@pytest.mark.parametrize(("far", "frr"), [(0.01, 0.1), (0.03, 0.25)])
def test_margins_leave_the_shares_that_were_asked_for(data, far, frr):
    positives, negatives = by_hand(*data)
    found = margins(*data, far, frr)
    # The first negative, from the most alike, at which the share is reached.
    assert found.negative == pytest.approx(negatives[int(np.ceil(far * len(negatives))) - 1])
    # Rejected are the pairs below the margin: the largest number that is not above the share.
    assert found.positive == pytest.approx(positives[int(np.floor(frr * len(positives)))])
    assert found.penalised[1] == pytest.approx(
        sum(c >= found.negative - 1e-6 for c in negatives) / len(negatives)
    )
    assert found.penalised[0] == pytest.approx(
        sum(c < found.positive - 1e-6 for c in positives) / len(positives)
    )
    usual = (
        sum(c < 0.9 for c in positives) / len(positives),
        sum(c >= 0.5 for c in negatives) / len(negatives),
    )
    assert found.usual == (0.9, 0.5)
    assert found.usual_penalised == pytest.approx(usual)


def test_crossing_margins_are_said(data):
    found = margins(*data, 0.01, 0.01)
    assert found.positive < found.negative
    lines = list(told(found, 0.01, 0.01))
    assert lines[1].endswith("false accept rate 1 %")
    assert "on these pairs no threshold has both rates" in lines[3]
    embeddings, labels = data
    apart = margins(np.eye(12)[labels] + 0.01 * embeddings[:, :12], labels, 0.01, 0.01)
    assert apart.positive > apart.negative
    assert "no threshold" not in " ".join(told(apart, 0.01, 0.01))
